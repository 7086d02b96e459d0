"""Rows that are nearly the same, all pairs of them, and the sets that they make."""

from typing import NamedTuple

import numpy as np

from pad_jax import progress
from pad_jax.graph.groups import by_falling_size, smallest_index
from pad_jax.graph.search import Graph

_BLOCK = 2**24  # similarities held at a time: 64 MB
_ROUNDING = 1e-6  # of the similarity of a row with itself


class Copies(NamedTuple):
    """Pairs of rows at least as similar as a threshold; linked ones make a set.

    Attributes:
      sets: int64 [N], the set of each row, 0 .. S-1 by falling size (of two as large the one with
        the lower first row is first); -1 for rows in none.
      num_pairs: how many pairs there are.
    """

    sets: np.ndarray
    num_pairs: int


def near_copies(features: np.ndarray, graph: Graph, threshold: float) -> Copies:
    """All pairs of rows with at least that similarity, exactly, not only the k nearest.

    Only rows whose k-th neighbour is as similar may have more such neighbours: these alone are
    compared with all others.

    Args:
      features: float32 [N, D], unit rows.
      graph: their nearest neighbours, [N, k], k at least 1.
      threshold: of cosine similarity; 1.0 means equal up to rounding.
    """
    import scipy.sparse
    import scipy.sparse.csgraph

    n = len(features)
    least = threshold - _ROUNDING

    def joined(component: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The components once these rows are linked, too."""
        edges = (np.ones(len(a), bool), (component[a], component[b]))
        links = scipy.sparse.coo_matrix(edges, shape=(n, n))
        _, merged = scipy.sparse.csgraph.connected_components(links, directed=False)
        return merged[component]

    near = graph.similarities >= least
    count = near.sum(1)
    full = near[:, -1] & (graph.indices.shape[1] < n - 1)
    a, place = np.nonzero(near & ~full[:, None])
    component = joined(np.arange(n), a, graph.indices[a, place])
    rows = np.flatnonzero(full)
    size = max(1, _BLOCK // n)
    blocks = range(0, len(rows), size)
    for first in progress.bar(blocks, len(rows), "comparing", each=size):
        own = rows[first : first + size]
        near = features[own] @ features.T >= least
        near[np.arange(len(own)), own] = False
        count[own] = near.sum(1)
        a, b = np.nonzero(near)
        component = joined(component, own[a], b)
    return Copies(by_falling_size(smallest_index(component)), int(count.sum()) // 2)
