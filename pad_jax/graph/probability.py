"""Eq 2: how probable each sample is for another, its temperature, and its entropy."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from pad_jax.graph.groups import Groups
from pad_jax.graph.search import over_similarities
from pad_jax.settings import AUTO, RunSettings, at_least, or_auto, refuse, setting, share

MIN_TEMPERATURE = 0.03  # of the losses, which take no maximum: nothing overflows in float32
_LEGAL = at_least(MIN_TEMPERATURE)._replace(hint=f"use {MIN_TEMPERATURE} or more, such as 0.1")


@dataclasses.dataclass(frozen=True)
class TemperatureSettings:
    """The temperature of Eq 2, which may change once on the way."""

    SECTION: ClassVar[str] = "loss"

    temperature: float | str = setting(
        0.1,
        "tau of Eq 2; auto: 1 / H, H the entropy of the epoch's groups",
        or_auto(_LEGAL),
        "AND",
    )
    final_temperature: float | None = setting(
        None, "tau from a share of the run on; None: it stays", _LEGAL
    )
    final_temperature_from: float = setting(0.75, "that share", share("use a share of the run"))

    def check(self) -> None:
        if self.temperature == AUTO and self.final_temperature is not None:
            refuse(
                "loss.final_temperature",
                self.final_temperature,
                "loss.temperature=auto follows the groups; give that a number, or None here",
            )

    def at(self, epoch: int | jax.Array, run: RunSettings) -> float | jax.Array:
        """The temperature of an epoch, counted from 0; an array where a run has two.

        Not in the paper: a high one joins what is spread out, a low one tells apart what is near.
        """
        assert self.temperature != AUTO, "that is what the groups say: entropy_temperature"
        if self.final_temperature is None:
            return self.temperature
        first_late = round(self.final_temperature_from * run.num_epochs)
        return jnp.where(epoch < first_late, self.temperature, self.final_temperature)


def entropy_temperature(groups: Groups) -> float:
    """The temperature that fits an epoch's groups: tau = 1 / H. Not in the paper.

    H is the mean of log(N / |C(i)|) over the N samples that are classes: where groups are a
    partition, the entropy of a random sample's group, in nats. The reason: a sample at one with its
    group of n, and at right angles to all else, gives it the probability
    n e^(1 / tau) / (n e^(1 / tau) + N - n). That is about a half at tau = 1 / log(N / n). A perfect
    embedding is then neither out of reach of the loss nor long reached.

    Singletons get 0.09 of 50,000 samples and 0.07 of 1.28 million; instance discrimination takes
    0.1 and 0.07 (Wu et al., CVPR 2018). Ten classes of one size get 0.43.

    Args:
      groups: of the samples, as they are learnt.

    Returns:
      tau, at most 1.
    """
    if groups.members is not None:
        num_samples, size = len(groups.members), (groups.members >= 0).sum(axis=1)
    else:
        _, group, count = np.unique(
            groups.group_id[groups.group_id >= 0], return_inverse=True, return_counts=True
        )
        num_samples, size = len(group), count[group]
    entropy = float(np.mean(np.log(num_samples / size))) if num_samples else 0.0
    return 1 / max(entropy, 1.0)


def entropies(features: np.ndarray, temperature: float | jax.Array = 0.1) -> np.ndarray:
    """H_i = - sum_j p_ij log p_ij with p_ij = softmax_j(x_i . x_j / tau), the own row included.

    Args:
      features: float32 [N, D], unit rows.
      temperature: tau.

    Returns:
      float32 [N], in nats, between 0 and log N.
    """
    return over_similarities(_entropy, features, features, temperature)


def _entropy(similarities: jax.Array, temperature: jax.Array) -> jax.Array:
    log_p = jax.nn.log_softmax(similarities / temperature)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=1)
