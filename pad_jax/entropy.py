"""How sure the encoder is of each sample: the entropy of Eq 2 over the memory."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax.rows import padded_blocks

_BLOCK = 2**24  # logits held at a time: 64 MB


def entropies(features: np.ndarray, temperature: float | jax.Array = 0.1) -> np.ndarray:
    """H_i = - sum_j p_ij log p_ij with p_ij = softmax_j(x_i . x_j / tau), the own row included.

    Args:
      features: float32 [N, D], unit rows.
      temperature: tau.

    Returns:
      float32 [N], in nats, between 0 and log N.
    """
    n = len(features)
    block = max(1, min(n, _BLOCK // n))
    on_device = jnp.asarray(features)
    blocks = padded_blocks(features, block)
    found = [np.asarray(_entropies(rows, on_device, temperature)) for rows in blocks]
    return np.concatenate(found)[:n]


@jax.jit
def _entropies(rows, features, temperature):
    logits = jnp.matmul(rows, features.T, precision=lax.Precision.HIGHEST) / temperature
    log_p = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=1)
