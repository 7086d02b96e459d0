"""Eq 2 to 5 and their gradients in closed form, in NumPy and float64."""

from typing import NamedTuple

import numpy as np


class Exact(NamedTuple):
    """What ``exact_loss`` finds.

    Attributes:
      loss: L_pad.
      gradients: of the embeddings and of their positives, [B, D] each.
      terms: as ``gradients``, the sums of the absolute values of what is added up there: rounding
        is in proportion to these, and a sum may cancel.
    """

    loss: float
    gradients: tuple[np.ndarray, np.ndarray]
    terms: tuple[np.ndarray, np.ndarray]


def exact_loss(x, positive, memory, in_group, valid, counts, temperature, weight, hpe) -> Exact:
    """L_pad of a batch, the mean over it.

    Args:
      x: the embeddings [B, D].
      positive: the hard positives' embeddings [B, D].
      memory: [N, D].
      in_group: bool [B, N], which rows are of a sample's group.
      valid: bool [N], which rows are in the softmax.
      counts: bool [B], the samples that have L_scs.
      temperature: tau, or one for each sample [B].
      weight: lambda.
      hpe: "kl", "cosine" or "none".
    """
    x, positive, memory = (np.asarray(v, np.float64) for v in (x, positive, memory))
    in_group, counts = (in_group & valid)[:, valid], counts[:, None]
    rows, tau = memory[valid], np.broadcast_to(temperature, len(x))[:, None].astype(np.float64)

    def log_softmax(v):
        logits = v @ rows.T / tau
        logits -= logits.max(1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(1, keepdims=True))

    log_p, log_q = log_softmax(x), log_softmax(positive)
    p, q = np.exp(log_p), np.exp(log_q)
    of_group = np.where(in_group, p, 0)
    share = np.where(counts, of_group.sum(1, keepdims=True), 1)
    of_group = np.where(counts, of_group / share, p)
    loss = -np.log(share).sum()
    of_x, size_of_x = p - of_group, p + of_group
    of_positive = size_of_positive = np.zeros_like(p)
    if hpe == "kl":
        ratio = log_p - log_q
        kl = (p * ratio).sum(1, keepdims=True)
        loss += weight * kl.sum()
        of_x = of_x + weight * p * (ratio - kl)
        size_of_x = size_of_x + weight * p * (np.abs(ratio) + np.abs(kl))
        of_positive, size_of_positive = weight * (q - p), weight * (q + p)
    scale = 1 / (tau * len(x))
    gradients = [of @ rows * scale for of in (of_x, of_positive)]
    terms = [of @ np.abs(rows) * scale for of in (size_of_x, size_of_positive)]
    if hpe == "cosine":
        loss += weight * np.sum(1 - np.sum(x * positive, axis=1))
        for i, other in enumerate((positive, x)):
            gradients[i] = gradients[i] - weight * other / len(x)
            terms[i] = terms[i] + weight * np.abs(other) / len(x)
    return Exact(loss / len(x), tuple(gradients), tuple(terms))
