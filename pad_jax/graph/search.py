"""The blocked all-against-all search: many rows with many others, never all at once.

One loop serves the kNN classifier, the entropies of Eq 2, the report and searches by example. The
affinity graph of all rows with each other has a faster way of its own (``neighbors``).
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax.graph.rows import padded_blocks

_BLOCK = 2**24  # similarities held at a time: 64 MB


class Graph(NamedTuple):
    """The nearest rows of each row: an affinity graph (Eq 1), or the answer to a search.

    Attributes:
      indices: int32 [N, k], nearest first, ties to the lower index.
      similarities: float32 [N, k], the cosines of these.
    """

    indices: np.ndarray
    similarities: np.ndarray


def search(queries: np.ndarray, rows: np.ndarray, k: int, *, leave_one_out: bool = False) -> Graph:
    """The k rows most similar to each query, exactly.

    Args:
      queries: float32 [Q, D], unit rows.
      rows: float32 [N, D], unit rows.
      k: at most N, or N - 1 with ``leave_one_out``.
      leave_one_out: whether query i is row i and must not find itself.

    Returns:
      Indices and similarities, [Q, k] each.

    Raises:
      ValueError: if there are fewer rows than k.
    """
    most, k = len(rows) - leave_one_out, operator.index(k)
    if not 1 <= k <= most:
        raise ValueError(
            f"k={k} neighbours cannot be found among {most} rows; use 1 <= k <= {most}"
        )
    similarities, indices = over_similarities(
        _nearest, queries, rows, static=(k,), leave_one_out=leave_one_out
    )
    return Graph(indices, similarities)


def over_similarities(
    function: Callable,
    queries: np.ndarray,
    rows: np.ndarray,
    *arguments: Any,
    static: tuple = (),
    leave_one_out: bool = False,
) -> Any:
    """What a function makes of each query's similarities with all rows, a block at a time.

    Args:
      function: f(similarities float32 [b, N], *arguments, *static) -> arrays [b, ...]; pure, of a
        module, run on the device.
      queries: float32 [Q, D], unit rows.
      rows: float32 [N, D], unit rows.
      *arguments: arrays and numbers that may differ from call to call.
      static: hashable arguments, which a program is compiled for.
      leave_one_out: whether query i is row i, and its similarity with itself -inf.

    Returns:
      The function's arrays, NumPy [Q, ...].
    """
    block = max(1, min(len(queries), _BLOCK // len(rows)))
    on_device = jax.device_put(np.asarray(rows, np.float32))
    found = []
    for i, some in enumerate(padded_blocks(queries, block)):
        own = i * block + np.arange(block) if leave_one_out else np.full(block, len(rows))
        result = _of_block(function, static, some, on_device, own, arguments)
        found.append(jax.tree.map(np.asarray, result))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(queries)], *found)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _of_block(function, static, queries, rows, own, arguments):
    similarity = jnp.matmul(queries, rows.T, precision=lax.Precision.HIGHEST)
    similarity = jnp.where(own[:, None] == jnp.arange(len(rows)), -jnp.inf, similarity)
    return function(similarity, *arguments, *static)


def _nearest(similarities: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    values, indices = lax.top_k(similarities, k)
    return values, indices
