"""Groups of samples found on the host: strongly connected subgraphs and their ablations.

NumPy in, NumPy out; this module never touches a device.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import scipy.sparse
import scipy.sparse.csgraph


class Groups(NamedTuple):
    """The groups of one epoch.

    Attributes:
      group_id: int32 [N], the smallest index in each sample's group; singletons have their own, or
        -1 where they are no classes (``without_singletons``).
      hard_positive: int32 [N], the member of the group least similar to the sample; singletons have
        themselves.
      members: int32 [N, m] or None. Where the groups are no partition (kinds "neighbors" and
        "anchor_neighbors"), the rows of C(i) for each i, filled up with -1, and ``group_id`` is
        every sample's own index.
    """

    group_id: np.ndarray
    hard_positive: np.ndarray
    members: np.ndarray | None = None


def anchor_neighbors(nearest: np.ndarray, entropy: np.ndarray, share: float) -> Groups:
    """Anchor neighbourhoods (Huang et al., ICML 2019): {i, its nearest neighbour} for some i.

    Args:
      nearest: int32 [N], each sample's nearest neighbour.
      entropy: float32 [N], of Eq 2: how unsure the encoder is of each sample.
      share: of the samples, those with the lowest entropy, that are anchors; all others are
        singletons.
    """
    own = np.arange(len(nearest), dtype=np.int32)
    anchors = np.argsort(entropy, kind="stable")[: round(share * len(nearest))]
    neighbor = np.full(len(nearest), -1, np.int32)
    neighbor[anchors] = nearest[anchors]
    hard_positive = np.where(neighbor >= 0, neighbor, own)
    return Groups(own, hard_positive, np.stack([own, neighbor], axis=1))


def singletons(num_samples: int) -> Groups:
    """Every sample a group of its own: instance discrimination."""
    own = np.arange(num_samples, dtype=np.int32)
    return Groups(own, own)


def without_singletons(groups: Groups) -> Groups:
    """The same groups, with -1 for the ``group_id`` of singletons: these are no classes."""
    own = np.arange(len(groups.group_id))
    alone = groups.hard_positive == own
    return groups._replace(group_id=np.where(alone, np.int32(-1), groups.group_id))


def before_training(kind: str, num_samples: int, num_neighbors: int) -> Groups:
    """Singletons in the form that groups of ``kind`` have, arrays and shapes alike."""
    groups = singletons(num_samples)
    if kind not in ("neighbors", "anchor_neighbors"):
        return groups
    size = num_neighbors + 1 if kind == "neighbors" else 2
    members = np.full((num_samples, size), -1, np.int32)
    members[:, 0] = groups.group_id
    return groups._replace(members=members)


def find_groups(
    kind: str,
    neighbors: np.ndarray,
    features: np.ndarray,
    *,
    max_size: int | None = 10,
    cyclic: bool = True,
    seed: int | Sequence[int] = 0,
) -> Groups:
    """Groups of one kind, with their hard positives.

    Args:
      kind: "scs" (strongly connected subgraphs), "neighbors" (each sample and its k nearest
        neighbours, Table 3) or "singleton" (instance discrimination).
      neighbors: int32 [N, k], nearest first.
      features: float32 [N, D], unit rows, by which hard positives are chosen.
      max_size, cyclic, seed: see ``strongly_connected_subgraphs``.
    """
    if kind == "scs":
        group_id = strongly_connected_subgraphs(neighbors, max_size, cyclic=cyclic, seed=seed)
        return Groups(group_id, hard_positives(group_id, features))
    if kind == "neighbors":
        own = np.arange(len(features), dtype=np.int32)
        members = np.concatenate([own[:, None], neighbors], axis=1).astype(np.int32)
        return Groups(own, neighbors[:, -1].astype(np.int32), members)
    if kind == "singleton":
        return singletons(len(features))
    raise ValueError(f"kind={kind!r} is unknown; use scs, neighbors or singleton")


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
    count = math.ceil(share * similarities.size)
    least = np.partition(similarities, -count, axis=None)[-count]
    own = np.arange(len(neighbors), dtype=neighbors.dtype)[:, None]
    return np.where(similarities >= least, neighbors, own)


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
      ValueError: for neighbours outside 0..N-1, or a ``max_size`` below 2.
    """
    neighbors = np.ascontiguousarray(neighbors, np.int32)
    if neighbors.ndim != 2:
        raise ValueError(f"neighbors must be [N, k], not of shape {neighbors.shape}")
    n, k = neighbors.shape
    if neighbors.size and (neighbors.min() < 0 or neighbors.max() >= n):
        raise ValueError(f"neighbors must lie in 0..{n - 1}")
    if max_size is not None and max_size < 2:
        raise ValueError(f"max_size={max_size} leaves no subgraph; use 2 or more, or None")
    if max_size is None and cyclic:
        edges = (np.ones(n * k, bool), neighbors.ravel(), np.arange(0, n * k + 1, k))
        graph = scipy.sparse.csr_matrix(edges, shape=(n, n))
        _, component = scipy.sparse.csgraph.connected_components(graph, connection="strong")
        return smallest_index(component)
    order = np.random.default_rng(seed).permutation(n).astype(np.int32)
    return _search(neighbors, order, n if max_size is None else min(max_size, max(n, 1)), cyclic)


def hard_positives(group_id: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The least similar other member of each sample's group (before Eq 4).

    Args:
      group_id: int32 [N], equal for the members of a group.
      features: float32 [N, D], unit rows.

    Returns:
      int32 [N]; ties go to the lower index, singletons have their own.
    """
    group_id, features = np.asarray(group_id), np.asarray(features)
    hard = np.arange(len(group_id), dtype=np.int32)
    order = np.argsort(group_id, kind="stable").astype(np.int32)
    _, start, size = np.unique(group_id[order], return_index=True, return_counts=True)
    for m in np.unique(size[size > 1]):
        # Groups of one size together, as many at a time as keep the similarities within 64 MB.
        members = order[start[size == m][:, None] + np.arange(m)]
        at_once = max(1, 2**24 // (m * max(m, features.shape[1])))
        for i in range(0, len(members), at_once):
            block = members[i : i + at_once]
            hard[block] = _hardest(block, features)
    return hard


def _hardest(members: np.ndarray, features: np.ndarray) -> np.ndarray:
    """For groups int32 [G, m], the least similar other member of each member, int32 [G, m]."""
    rows = features[members]
    at_once = max(1, 2**24 // members.size)  # rows of a group whose similarities are held at a time
    farthest = []
    for i in range(0, members.shape[1], at_once):
        similarity = rows[:, i : i + at_once] @ rows.transpose(0, 2, 1)
        own = np.arange(similarity.shape[1])
        similarity[:, own, i + own] = np.inf
        farthest.append(similarity.argmin(2))
    return np.take_along_axis(members, np.concatenate(farthest, axis=1), axis=1)


def smallest_index(label: np.ndarray) -> np.ndarray:
    """Renames groups by whatever labels, [N], to the smallest index in each, int32 [N]."""
    _, first, group = np.unique(label, return_index=True, return_inverse=True)
    return first.astype(np.int32)[group]


_FREE, _TAKEN = -1, -2  # in no subgraph yet; in one


@numba.njit(cache=True)
def _search(neighbors, order, max_size, cyclic):
    n, k = neighbors.shape
    group_id = np.arange(n).astype(np.int32)
    place = np.full(n, _FREE, np.int32)  # in ``visited``, for the vertices that are
    visited = np.empty(max_size, np.int32)
    path = np.empty(max_size, np.int32)  # places of the vertices from the start to the current one
    edge = np.empty(max_size, np.int32)  # the next edge to try, by place
    returns = np.empty(max_size, np.bool_)  # whether the start can be reached, by place
    starts, left = order.copy(), n
    found = True
    while found:
        found = False
        num_starts, left = left, 0
        for start in starts[:num_starts]:
            if place[start] == _TAKEN:
                continue
            # Depth-first, nearest neighbour first.
            visited[0], place[start], edge[0], path[0] = start, 0, 0, 0
            size, depth = 1, 1
            while depth > 0 and size < max_size:
                here = path[depth - 1]
                e = edge[here]
                if e == k:
                    depth -= 1
                    continue
                v = neighbors[visited[here], e]
                edge[here] = e + 1
                if place[v] == _FREE:
                    visited[size], place[v], edge[size], path[depth] = v, size, 0, size
                    size += 1
                    depth += 1
            # Which of the visited reach the start inside the visited set?
            returns[:size] = not cyclic
            returns[0] = True
            grown = cyclic
            while grown:
                grown = False
                for p in range(size - 1, 0, -1):
                    if returns[p]:
                        continue
                    for e in range(k):
                        q = place[neighbors[visited[p], e]]
                        if q >= 0 and returns[q]:
                            returns[p] = grown = True
                            break
            smallest, members = n, 0
            for p in range(size):
                if returns[p]:
                    members += 1
                    smallest = min(smallest, visited[p])
            for p in range(size):
                v = visited[p]
                place[v] = _FREE
                if returns[p] and members > 1:
                    place[v] = _TAKEN
                    group_id[v] = smallest
            if members > 1:
                found = True
            else:  # to be tried again when others have left the graph
                starts[left] = start
                left += 1
    return group_id
