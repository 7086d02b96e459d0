"""Strong components of the affinity graph at all levels of similarity, and the stable ones.

NumPy in, NumPy out; this module never touches a device.
"""

import math
from typing import NamedTuple

import numpy as np

from pad_jax.graph.compilation import compiled
from pad_jax.graph.components import merges
from pad_jax.graph.search import Graph

_MIN_SIZE = 5  # of a cluster


class Tree(NamedTuple):
    """Which strong components of the affinity graph come together, and when.

    Edges enter from the most similar to the least; those of one similarity together. Nodes 0 .. N-1
    are the rows. Nodes N .. N+M-1 are the components of two or more that come up, in the order in
    which they do: a node's children are before it. Two or more of them come together in one. The
    tree is a forest where not all rows are in one component at the end.

    Attributes:
      parent: int32 [N + M], the node that a node becomes part of; -1 for none.
      similarity: float32 [M], of the edge that completes node N + j; falling.
      edge_share: float64 [M], share of all edges that have entered by then.
      size: int32 [M], rows in it.
    """

    parent: np.ndarray
    similarity: np.ndarray
    edge_share: np.ndarray
    size: np.ndarray


def strong_component_tree(graph: Graph) -> Tree:
    """The strong components of the affinity graph at all levels, in one pass.

    At every similarity s the rows below each topmost node with ``similarity >= s`` are a strong
    component of the edges at least as similar as s (Tarjan: A hierarchical strong components
    algorithm. Information Processing Letters, 1982). O(E log E) for E = N k edges.

    Args:
      graph: of N rows, k neighbours each; an edge of a row to itself connects nothing.

    Returns:
      The tree; the same on every machine.
    """
    n, k = graph.indices.shape
    similarity = graph.similarities.ravel()
    order = np.argsort(-similarity, kind="stable")
    falling = similarity[order]
    # Edges of one similarity are of one level.
    starts = np.flatnonzero(np.concatenate([[True], falling[1:] != falling[:-1]]))
    level = np.empty(n * k, np.int32)
    level[order] = np.repeat(
        np.arange(len(starts), dtype=np.int32), np.diff(starts, append=len(order))
    )
    entered = np.append(starts[1:], len(order)) / len(order)
    source, target = np.repeat(np.arange(n, dtype=np.int32), k), graph.indices.ravel()
    edge = source != target
    when, first, second = merges(
        source[edge], target[edge].astype(np.int32), level[edge], np.int64(n)
    )
    order = np.lexsort((second, first, when))
    parent, at, size = _nodes(when[order], first[order], second[order], np.int64(n))
    return Tree(parent, falling[starts[at]], entered[at], size)


@compiled
def _nodes(when, first, second, n):
    """Nodes of merges sorted by level, then by component: those of both alike are one."""
    parent = np.full(n + len(when), -1, np.int32)
    size = np.ones(n + len(when), np.int32)
    at = np.empty(len(when), np.int32)
    node = np.arange(n).astype(np.int32)  # the newest of a component, by its smallest vertex
    count = n
    for i in range(len(when)):
        if i == 0 or when[i] != when[i - 1] or first[i] != first[i - 1]:
            old = node[first[i]]
            parent[old], size[count], at[count - n] = count, size[old], when[i]
            node[first[i]] = count
            count += 1
        old = node[second[i]]
        parent[old] = count - 1
        size[count - 1] += size[old]
    return parent[:count], at[: count - n], size[n:count]


def least_size(num_rows: int) -> int:
    """The rows of the smallest cluster that counts, where none are given: sqrt(N), at least 5.

    So clusters are at most as many as the smallest of them has rows: 31 of a thousand, a thousand
    of a million.
    """
    return max(_MIN_SIZE, math.isqrt(max(num_rows - 1, 0)) + 1)


def stable_clusters(tree: Tree, min_size: int) -> np.ndarray:
    """The clusters that stand apart for longest, by excess of mass.

    Campello, Moulavi, Sander: Density-Based Clustering Based on Hierarchical Density Estimates.
    PAKDD 2013. A cluster is a component of ``min_size`` rows or more, and stays the same one while
    smaller ones come into it; where two or more clusters come together, another one begins. With r
    the share of edges that have entered, the stability of a cluster that comes into another at r_c
    (1 for none) is

      sum over its rows i of log r_c - log r_i,

    r_i the share at which the row became part of it. Of a cluster and all that lie inside it, those
    are taken whose stabilities sum up to more. Only the order of the similarities matters, no scale
    of theirs. One cluster of nearly all rows is a possible answer: the one for rows without classes
    that their graph could tell apart.

    Args:
      tree: of N rows.
      min_size: rows of a cluster, at least 2.

    Returns:
      int32 [K], the clusters' nodes in the tree, each at its largest, by falling size, of two as
      large the one with the lower first row before the other.
    """
    nodes = _excess_of_mass(tree.parent, -np.log(tree.edge_share), tree.size, min_size)
    cluster = rows_below(tree, nodes)
    _, first, size = np.unique(cluster[cluster >= 0], return_index=True, return_counts=True)
    return nodes[np.lexsort((first, -size))]


@compiled
def _excess_of_mass(parent, measure, size, min_size):
    n, num_nodes = len(parent) - len(size), len(parent)
    cluster = np.full(num_nodes, -1, np.int32)  # that a node is a stage of
    inside = np.zeros(num_nodes, np.int32)  # clusters that come together in a node,
    last = np.empty(num_nodes, np.int32)  # one of them,
    clustered = np.zeros(num_nodes, np.int64)  # and their rows
    top = np.empty(len(size), np.int32)  # by cluster: its node at its largest
    mass = np.zeros(len(size))  # by cluster: sum of the measure over its rows
    count = 0
    for v in range(n, num_nodes):
        rows = size[v - n]
        if rows < min_size:
            continue
        if inside[v] == 1:
            c = cluster[last[v]]
            mass[c] += (rows - clustered[v]) * measure[v - n]
        else:
            c = count
            mass[c] = rows * measure[v - n]
            count += 1
        cluster[v], top[c] = c, v
        if parent[v] >= 0:
            inside[parent[v]] += 1
            last[parent[v]] = v
            clustered[parent[v]] += rows
    best = np.zeros(count)  # by cluster: what the best choice inside it sums up to
    chosen = np.zeros(num_nodes, np.bool_)
    for c in range(count):
        v = top[c]
        p = parent[v]
        stability = mass[c] - (size[v - n] * measure[p - n] if p >= 0 else 0.0)
        chosen[v] = stability >= best[c]
        best[c] = max(best[c], stability)
        if p >= 0:
            best[cluster[p]] += best[c]
    # What lies inside one that is chosen is not.
    covered = np.zeros(num_nodes, np.bool_)
    for v in range(num_nodes - 1, n - 1, -1):
        p = parent[v]
        covered[v] = p >= 0 and (covered[p] or chosen[p])
        chosen[v] = chosen[v] and not covered[v]
    return np.flatnonzero(chosen).astype(np.int32)


def rows_below(tree: Tree, nodes: np.ndarray) -> np.ndarray:
    """Which of some nodes each row is below: int [K], none below another -> int64 [N], -1: none."""
    n = len(tree.parent) - len(tree.size)
    return _below(tree.parent, np.asarray(nodes, np.int64), np.int64(n))


@compiled
def _below(parent, nodes, n):
    number = np.full(len(parent), -1, np.int64)
    for i in range(len(nodes)):
        number[nodes[i]] = i
    for v in range(len(parent) - 1, -1, -1):
        if number[v] < 0 and parent[v] >= 0:
            number[v] = number[parent[v]]
    return number[:n]
