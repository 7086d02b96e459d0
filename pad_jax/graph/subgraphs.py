"""Strongly connected subgraphs of the affinity graph, found on the host.

NumPy in, NumPy out; this module never touches a device.
"""

import math
from collections.abc import Sequence

import numpy as np

from pad_jax.graph.groups import smallest_index


def with_loops(neighbors: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """A graph whose other edges are loops (i, i), which connect nothing: int32, bool [N, k]."""
    own = np.arange(len(neighbors), dtype=neighbors.dtype)[:, None]
    return np.where(kept, neighbors, own)


def strongest_edges(neighbors: np.ndarray, similarities: np.ndarray, share: float) -> np.ndarray:
    """The affinity graph without its weaker edges. Not in the paper.

    Args:
      neighbors: int32 [N, k], nearest first.
      similarities: float32 [N, k], the cosines of these.
      share: of all N k edges, those of the highest similarity, that stay; above 0, at most 1. Edges
        as similar as the last of them stay, too.

    Returns:
      int32 [N, k]; in place of an edge that goes, a loop (i, i), which connects nothing.
    """
    count = max(1, math.ceil(round(share * similarities.size, 6)))  # 0.07 of 100 is a little more
    least = np.partition(similarities, -count, axis=None)[-count]
    return with_loops(neighbors, similarities >= least)


def edges_within(neighbors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The edges that do not lead from one part to another: [N, k], int [N] -> int32 [N, k].

    In place of an edge that goes, a loop (i, i).
    """
    return with_loops(neighbors, labels[neighbors] == labels[:, None])


def strongly_connected_subgraphs(
    neighbors: np.ndarray,
    max_size: int | None = 10,
    *,
    cyclic: bool = True,
    seed: int | Sequence[int] = 0,
) -> np.ndarray:
    """Disjoint strongly connected subgraphs of the affinity graph ("Affinity Diffusion", Fig 3).

    From each start vertex, in a seeded random order, the vertices still in the graph are traversed
    depth-first, nearest neighbour first, until ``max_size`` have been visited. Of these, the ones
    from which the start can be reached again within the visited ones are its subgraph (the cyclic
    constraint). Two or more: they leave the graph. Passes over the order repeat until one finds
    nothing. Without a ``max_size`` the result is Tarjan's strongly connected components.

    Args:
      neighbors: int32 [N, k], nearest first: vertex i has an edge to each of ``neighbors[i]``.
      max_size: s, the scale threshold, at least 2; None for no limit.
      cyclic: False takes everything visited for the subgraph (Table 4).
      seed: of the order in which start vertices are tried.

    Returns:
      int32 [N], the smallest index in each vertex's subgraph; singletons have their own.

    Raises:
      ValueError: for neighbours outside 0..N-1, or another ``max_size``.
    """
    neighbors = np.asarray(neighbors)
    if neighbors.ndim != 2 or (neighbors.size and neighbors.dtype.kind not in "iu"):
        raise ValueError(
            f"neighbors must be integers [N, k], not {neighbors.dtype} {neighbors.shape}"
        )
    n, k = neighbors.shape
    if neighbors.size and (neighbors.min() < 0 or neighbors.max() >= n):
        raise ValueError(f"neighbors must lie in 0..{n - 1}")
    neighbors = np.ascontiguousarray(neighbors, np.int32)
    if max_size is not None and not (isinstance(max_size, int | np.integer) and max_size >= 2):
        raise ValueError(
            f"max_size={max_size!r} is no limit; use a whole number from 2 on, or None"
        )
    if max_size is None and cyclic:
        # Here, and below, not at the top: most of what imports this searches nothing.
        import scipy.sparse
        import scipy.sparse.csgraph

        edges = (np.ones(n * k, bool), neighbors.ravel(), np.arange(n + 1) * k)
        graph = scipy.sparse.csr_matrix(edges, shape=(n, n))
        _, component = scipy.sparse.csgraph.connected_components(graph, connection="strong")
        return smallest_index(component)
    order = np.random.default_rng(seed).permutation(n).astype(np.int32)
    from pad_jax.graph.traversal import search

    return search(neighbors, order, n if max_size is None else min(max_size, max(n, 1)), cyclic)
