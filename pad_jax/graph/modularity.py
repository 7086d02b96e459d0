"""How many kinds of things an affinity graph holds, and how far they stand apart, without labels.

NumPy in, NumPy out; this module never touches a device.
"""

import numpy as np

from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.graph.compilation import compiled
from pad_jax.graph.groups import from_labels
from pad_jax.graph.hierarchy import (
    Tree,
    least_size,
    rows_below,
    stable_clusters,
    strong_component_tree,
)
from pad_jax.graph.search import Graph


def clusters(graph: Graph) -> Clusters:
    """The stable clusters of a graph (``stable_clusters``), and how far they stand apart.

    Args:
      graph: of N rows, k neighbours each.
    """
    tree = strong_component_tree(graph)
    nodes = stable_clusters(tree, least_size(len(graph.indices)))
    labels, count = rows_below(tree, nodes), len(nodes)
    separation = modularity(graph, labels) / (1 - 1 / count) if count > 1 else 0.0
    return Clusters(labels, min(max(separation, 0.0), 1.0), modularity_by_level(graph, tree))


def modularity(graph: Graph, labels: np.ndarray) -> float:
    """Of a partition of a directed graph with m edges, loops excluded.

      Q = sum over its parts c of  e_c / m - out_c in_c / m^2,

    e_c edges inside of c, out_c that leave its rows and in_c that lead to them (Leicht, Newman:
    Community structure in directed networks. Physical Review Letters 100, 2008).

    Args:
      graph: of N rows, k neighbours each.
      labels: int [N], the part of each row; a row with -1 is a part of its own.
    """
    source, target, out_degree, in_degree = _edges(graph)
    part = from_labels(labels)
    inside = np.count_nonzero(part[source] == part[target])
    leaving, arriving = (np.zeros(len(part), np.int64) for _ in range(2))
    np.add.at(leaving, part, out_degree)
    np.add.at(arriving, part, in_degree)
    num_edges = max(len(source), 1)
    return inside / num_edges - int(np.sum(leaving * arriving)) / num_edges**2


def _edges(graph: Graph) -> tuple[np.ndarray, ...]:
    """(source, target) int32 [m] of the edges, without loops, and (out-, in-)degrees int64 [N]."""
    n, k = graph.indices.shape
    source, target = np.repeat(np.arange(n, dtype=np.int32), k), graph.indices.ravel()
    edge = source != target
    source, target = source[edge], target[edge].astype(np.int32)
    return source, target, np.bincount(source, minlength=n), np.bincount(target, minlength=n)


def modularity_by_level(graph: Graph, tree: Tree) -> Levels:
    """The modularity of the graph's strong components as edges go from the most similar to all.

    The edges counted are those of the whole graph at every level; the parts are the components of
    those that have entered. In whole numbers, so the same on every machine. O(E log N).

    Args:
      graph: of N rows, k neighbours each.
      tree: ``strong_component_tree(graph)``.
    """
    source, target, out_degree, in_degree = _edges(graph)
    num_edges = max(len(source), 1)
    inside = np.cumsum(_meetings(tree.parent, source, target, np.int64(len(out_degree))))
    expected = np.sum(out_degree * in_degree) + np.cumsum(
        _gains(tree.parent, out_degree, in_degree)
    )
    of_nodes = inside / num_edges - expected / num_edges**2
    last = np.append(tree.similarity[1:] != tree.similarity[:-1], True)[: len(tree.size)]
    return Levels(tree.edge_share[last], tree.similarity[last], of_nodes[last])


@compiled
def _meetings(parent, source, target, n):
    """By inner node: how many edges have their ends come together in it."""
    never = len(parent) - n
    # Union by size, without path compression: the way up is at most log2 N long, and the latest of
    # the links between two vertices is the node in which they meet.
    above = np.arange(n).astype(np.int32)
    linked = np.full(n, never, np.int32)
    rows = np.ones(n, np.int32)
    member = np.full(len(parent), -1, np.int32)  # of a node, a vertex
    member[:n] = above
    for v in range(len(parent)):
        p = parent[v]
        if p < 0:
            continue
        if member[p] < 0:
            member[p] = member[v]
            continue
        a, b = member[p], member[v]
        while above[a] != a:
            a = above[a]
        while above[b] != b:
            b = above[b]
        if rows[a] < rows[b]:
            a, b = b, a
        above[b], linked[b] = a, p - n
        rows[a] += rows[b]
    met = np.zeros(never, np.int64)
    for e in range(len(source)):
        a, b = source[e], target[e]
        latest = np.int32(0)
        while a != b and latest < never:
            if linked[a] > linked[b]:
                a, b = b, a
            latest = linked[a]
            a = above[a]
        if latest < never:
            met[latest] += 1
    return met


@compiled
def _gains(parent, out_degree, in_degree):
    """By inner node: out_c in_c of its rows, less those of its children."""
    n = len(out_degree)
    leaving, arriving = np.zeros(len(parent), np.int64), np.zeros(len(parent), np.int64)
    leaving[:n], arriving[:n] = out_degree, in_degree
    gained = np.zeros(len(parent), np.int64)
    for v in range(len(parent)):
        product = leaving[v] * arriving[v]
        gained[v] += product
        p = parent[v]
        if p >= 0:
            leaving[p] += leaving[v]
            arriving[p] += arriving[v]
            gained[p] -= product
    return gained[n:]
