"""The memory: one unit-norm embedding per training sample (Eq 6)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax import parallel
from pad_jax.models.layers import l2_normalize
from pad_jax.settings import one_of, setting, share


@dataclasses.dataclass(frozen=True)
class MemorySettings:
    """The memory of embeddings."""

    SECTION: ClassVar[str] = "memory"

    rate: float = setting(0.5, "eta of Eq 6", share("use 0 to 1"), "paper")
    init: str = setting(
        "embed",
        "embed: the random encoder's embeddings; random: random unit rows",
        one_of("embed", "random"),
    )


def random_rows(num_rows: int, dim: int, seed: int) -> np.ndarray:
    """Random unit rows, float32 [num_rows, dim], in which there are no groups to find yet."""
    rows = np.random.default_rng([seed, num_rows]).standard_normal((num_rows, dim), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def refresh(
    memory: jax.Array,
    index: jax.Array,
    embeddings: jax.Array,
    rate: float,
    axis_name: str | None = None,
) -> jax.Array:
    """m_i <- normalize((1 - rate) m_i + rate x_i) for the batch's own samples (Eq 6).

    The renormalisation is AND's (Huang et al., ICML 2019).

    Args:
      memory: float32 [N, D], unit rows; with ``axis_name`` this device's shard of them.
      index: int32 [B], the samples' rows in the whole memory, no row twice; with ``axis_name``
        -1 stands for none.
      embeddings: float32 [B, D], unit rows.
      rate: eta in [0, 1].
      axis_name: the pmapped axis over which memory and batch are divided, or None.

    Returns:
      The memory with the batch's rows replaced; the other rows unchanged, bit by bit.
    """
    memory = jnp.asarray(memory)
    embeddings = parallel.gather(lax.stop_gradient(embeddings), axis_name)
    row = parallel.local_rows(parallel.gather(index, axis_name), memory.shape[0], axis_name)
    old = memory.at[row].get(mode="fill", fill_value=0)
    return memory.at[row].set(l2_normalize((1 - rate) * old + rate * embeddings), mode="drop")
