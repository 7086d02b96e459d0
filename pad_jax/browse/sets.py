"""Sets of groups: a few dozen things to name, where there are hundreds of groups."""

from typing import NamedTuple

import numpy as np

from pad_jax.browse.ranges import unit_means
from pad_jax.graph.groups import clusters_of_groups

_PARTS = 30  # of a pile without clusters; fewer where there are few groups
_GROUPS = 5  # in a part, at least


class Sets(NamedTuple):
    """Which set each group, and each image in no group, belongs to.

    Attributes:
      of_groups: int64 [G], -1 for none; 0 .. C - 1 in the order in which their groups come.
      of_singles: int64 [S], likewise.
      are_clusters: whether they are what the pile falls into by itself, and not mere parts of it.
    """

    of_groups: np.ndarray
    of_singles: np.ndarray
    are_clusters: bool


def find_sets(clusters: np.ndarray, rows: np.ndarray, start: np.ndarray) -> Sets:
    """The clusters of a pile; where it has only one, or none, parts of it by k-means.

    A group belongs to the cluster of most of its members.

    Args:
      clusters: int [N], of each place, -1 for none.
      rows: float32 [N, D], unit rows, by which it is divided into parts.
      start: int [G + 1], group g has the places start[g] .. start[g + 1] - 1.
    """
    are_clusters = bool(clusters.max(initial=-1) > 0)
    if not are_clusters and (parts := min(_PARTS, (len(start) - 1) // _GROUPS)) > 1:
        clusters = _parts(rows, start, parts)
    else:
        are_clusters = True
    grouped, single = clusters[: start[-1]], clusters[start[-1] :]
    group = np.repeat(np.arange(len(start) - 1), np.diff(start))
    majority = clusters_of_groups(grouped, group)
    known = np.concatenate([majority, single])
    known = known[known >= 0]
    _, first = np.unique(known, return_index=True)
    number = np.full(int(clusters.max(initial=-1)) + 2, -1)
    number[known[np.sort(first)]] = np.arange(len(first))  # index -1 is "none" and stays -1
    return Sets(number[majority], number[single], are_clusters)


def _parts(rows: np.ndarray, start: np.ndarray, parts: int) -> np.ndarray:
    """The part of each row, int [N], of those that k-means makes of the groups' means."""
    from sklearn.cluster import KMeans  # here, not at the top: it takes a second to load

    kmeans = KMeans(parts, n_init=3, random_state=0)
    kmeans.fit(unit_means(rows, start), sample_weight=np.diff(start))
    return kmeans.predict(rows).astype(np.int64)
