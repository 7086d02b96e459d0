"""The affinity graph (Eq 1): exact k nearest neighbours by cosine similarity."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax import parallel

_BLOCK = 2**24  # similarities held at a time: 64 MB
_RUN = 64  # columns of which only the largest similarity is compared at first


def nearest_neighbors(features: np.ndarray | jax.Array, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar other rows of each row, N_k of Eq 1, exactly.

    The rows are divided over the devices; each compares its own with all.

    Args:
      features: float32 [N, D], unit rows.
      k: number of neighbours, at most N - 1.

    Returns:
      (indices int32 [N, k], similarities float32 [N, k]): nearest first, ties to the lower index,
      a row never its own neighbour. Similarities are cosines in full float32 precision on every
      platform.

    Raises:
      ValueError: if k is not in 1..N-1.
    """
    features = parallel.fetch(features).astype(np.float32)
    n = len(features)
    if not 1 <= k < n:
        raise ValueError(f"k={k} neighbours cannot be chosen among {n} rows; use 1 <= k <= {n - 1}")
    queries = parallel.shard_rows(features)
    found = _search(queries, parallel.replicate(features), k)
    indices, similarities = (parallel.fetch_rows(x, n) for x in found)
    return indices, similarities


@functools.partial(
    jax.pmap, axis_name=parallel.AXIS, in_axes=(0, None), static_broadcasted_argnums=2
)
def _search(queries, features, k):
    """Queries [n, D] of this device, features [N, D] -> indices and similarities [n, k]."""
    n, dim = queries.shape
    first = lax.axis_index(parallel.AXIS) * n
    block = max(1, min(n, _BLOCK // len(features)))
    blocks = -(-n // block)
    queries = jnp.pad(queries, ((0, blocks * block - n), (0, 0))).reshape(blocks, block, dim)

    def search_block(args):
        i, rows = args
        similarity = jnp.matmul(rows, features.T, precision=lax.Precision.HIGHEST)
        own = first + i * block + jnp.arange(block)
        similarity = jnp.where(own[:, None] == jnp.arange(len(features)), -jnp.inf, similarity)
        values, indices = _top_k(similarity, k)
        return indices.astype(jnp.int32), values

    found = lax.map(search_block, (jnp.arange(blocks), queries))
    return jax.tree.map(lambda x: x.reshape(blocks * block, k)[:n], found)


def _top_k(x: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """``lax.top_k`` along the last axis of [B, N], much faster on CPU.

    A row's k largest lie in the k runs of columns with the largest maxima: a run outside them has k
    runs before it, each with an element at least as large. Ties keep their order, since the runs
    are looked through in the order of their columns.
    """
    b, n = x.shape
    runs = -(-n // _RUN)
    if runs <= k:
        return lax.top_k(x, k)
    x = jnp.pad(x, ((0, 0), (0, runs * _RUN - n)), constant_values=-jnp.inf).reshape(b, runs, _RUN)
    _, best = lax.top_k(x.max(2), k)
    best = jnp.sort(best, axis=1)
    candidates = jnp.take_along_axis(x, best[:, :, None], axis=1)
    values, position = lax.top_k(candidates.reshape(b, k * _RUN), k)
    return values, jnp.take_along_axis(best, position // _RUN, axis=1) * _RUN + position % _RUN
