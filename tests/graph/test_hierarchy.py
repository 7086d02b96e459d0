"""The hierarchy of components against scipy's at every level; the stable ones by the definition."""

import functools
import math

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from pad_jax.graph.hierarchy import Tree, rows_below, stable_clusters, strong_component_tree
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import Graph

# Without a database, which Hypothesis would keep in the working directory.
cases = functools.partial(settings, deadline=None, database=None)


@st.composite
def graphs(draw, max_vertices=40):
    """Random graphs: few levels and many, loops, repeated edges, sparse ones and complete ones."""
    n, k = draw(st.integers(1, max_vertices)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["random", "local", "blocks", "symmetric"]))
    indices = rng.integers(0, n, (n, k))
    if kind == "local":
        indices = (np.arange(n)[:, None] + rng.integers(-3, 4, (n, k))) % n
    if kind == "blocks":
        indices = np.minimum(np.arange(n)[:, None] // 7 * 7 + rng.integers(0, 7, (n, k)), n - 1)
    levels = draw(st.sampled_from([1, 2, 5, 30, 10_000]))
    similarities = rng.integers(0, levels, (n, k)) / levels
    if kind == "symmetric":  # both directions alike, as cosines are
        table = rng.integers(0, levels, (n, n)) / levels
        similarities = np.maximum(table, table.T)[np.arange(n)[:, None], indices]
    order = np.argsort(-similarities, axis=1)
    indices, similarities = (np.take_along_axis(x, order, 1) for x in (indices, similarities))
    return Graph(indices.astype(np.int32), similarities.astype(np.float32))


def partition(x):
    return x[:, None] == x


def naive_components(graph, similarity):
    n = len(graph.indices)
    stays = graph.similarities >= similarity
    edges = (np.nonzero(stays)[0], graph.indices[stays])
    matrix = scipy.sparse.coo_matrix((np.ones(len(edges[0])), edges), (n, n))
    return connected_components(matrix, connection="strong")[1]


def components_of(tree, similarity):
    """Of each row its topmost node that is complete by then: what the tree promises."""
    n = len(tree.parent) - len(tree.size)
    complete = np.concatenate([np.full(n, np.inf), tree.similarity]) >= similarity
    node = np.arange(n)
    while True:
        up = tree.parent[node]
        moves = (up >= 0) & complete[up]
        if not moves.any():
            return node
        node = np.where(moves, up, node)


@cases(max_examples=200)
@given(graphs())
def test_equals_the_components_at_every_level(graph):
    tree = strong_component_tree(graph)
    for similarity in np.unique(graph.similarities):
        np.testing.assert_array_equal(
            partition(components_of(tree, similarity)),
            partition(naive_components(graph, similarity)),
        )


@pytest.mark.parametrize("k", [3, 8])
def test_equals_the_components_of_points(unit_rows, k):
    graph = nearest_neighbors(unit_rows(300, 3), k)
    tree = strong_component_tree(graph)
    for similarity in np.unique(graph.similarities)[::17]:
        np.testing.assert_array_equal(
            partition(components_of(tree, similarity)),
            partition(naive_components(graph, similarity)),
        )


@cases(max_examples=200)
@given(graphs())
def test_what_the_tree_s_arrays_are(graph):
    tree = strong_component_tree(graph)
    n, m = len(graph.indices), len(tree.size)
    assert [x.dtype for x in tree] == [np.int32, np.float32, np.float64, np.int32]
    assert [len(x) for x in tree] == [n + m, m, m, m]
    child = np.flatnonzero(tree.parent >= 0)
    assert (tree.parent[child] > child).all()
    children = np.bincount(tree.parent[child], minlength=n + m)
    assert (children[:n] == 0).all()
    assert (children[n:] >= 2).all()
    assert (np.diff(tree.similarity) <= 0).all()
    sizes = np.concatenate([np.ones(n), tree.size])
    below = np.bincount(tree.parent[child], sizes[child], n + m)
    np.testing.assert_array_equal(below[n:], tree.size)
    share = [(graph.similarities >= s).mean() for s in tree.similarity]
    np.testing.assert_allclose(tree.edge_share, share)


def test_edges_of_one_similarity_enter_together():
    graph = Graph(np.array([[1], [2], [0]], np.int32), np.full((3, 1), 0.5, np.float32))
    tree = strong_component_tree(graph)
    assert tree.parent.tolist() == [3, 3, 3, -1]
    assert (tree.similarity.tolist(), tree.edge_share.tolist()) == ([0.5], [1])
    assert tree.size.tolist() == [3]


def test_a_long_cycle_closes_with_its_last_edge():
    n = 20_000
    indices = ((np.arange(n) + 1) % n).astype(np.int32)[:, None]
    similarities = np.linspace(1, 0, n, dtype=np.float32)[:, None]
    tree = strong_component_tree(Graph(indices, similarities))
    assert (tree.size.tolist(), tree.similarity.tolist()) == ([n], [0])


def naive_stable(tree, min_size):
    """By the definition: from the top down, one set of rows after the other."""
    n = len(tree.parent) - len(tree.size)

    def size(v):
        return 1 if v < n else tree.size[v - n]

    def best(top, log_end):
        """The sum of the best choice in a cluster, and its nodes."""
        v, stability = top, 0.0
        while True:
            children = np.flatnonzero(tree.parent == v)
            large = [c for c in children if size(c) >= min_size]
            log_r = math.log(tree.edge_share[v - n])
            if len(large) != 1:
                break
            stability += (size(v) - size(large[0])) * (log_end - log_r)
            (v,) = large
        stability += size(v) * (log_end - log_r)
        inside = [best(c, log_r) for c in large]
        apart = sum(s for s, _ in inside)
        if stability >= apart:
            return stability, [top]
        return apart, [node for _, nodes in inside for node in nodes]

    roots = [v for v in np.flatnonzero(tree.parent < 0) if size(v) >= min_size]
    nodes = [node for root in roots for node in best(root, 0.0)[1]]

    def first(v):
        return v if v < n else min(map(first, np.flatnonzero(tree.parent == v)))

    return sorted(nodes, key=lambda v: (-size(v), first(v)))


@cases(max_examples=150)
@given(graphs(100), st.integers(2, 8))
def test_stable_clusters_are_those_of_the_definition(graph, min_size):
    tree = strong_component_tree(graph)
    found = stable_clusters(tree, min_size)
    assert found.dtype == np.int32
    assert found.tolist() == naive_stable(tree, min_size)


@pytest.mark.parametrize("min_size", [2, 5, 20])
def test_stable_clusters_of_points(rng, min_size):
    centers = 3 * rng.standard_normal((6, 4))
    points = centers[rng.integers(0, 6, 500)] + rng.standard_normal((500, 4))
    tree = strong_component_tree(nearest_neighbors(points, 5))
    assert stable_clusters(tree, min_size).tolist() == naive_stable(tree, min_size)


def test_only_the_order_of_similarities_matters(unit_rows):
    graph = nearest_neighbors(unit_rows(400, 3), 6)
    tree = strong_component_tree(graph)
    other = strong_component_tree(graph._replace(similarities=np.exp(5 * graph.similarities)))
    np.testing.assert_array_equal(tree.parent, other.parent)
    np.testing.assert_array_equal(stable_clusters(tree, 5), stable_clusters(other, 5))


def test_rows_below():
    #     7
    #    / \
    #   5   6      4 is alone
    #  0 1  2 3
    parent = np.array([5, 5, 6, 6, -1, 7, 7, -1], np.int32)
    tree = Tree(parent, np.array([0.9, 0.8, 0.5]), np.array([0.1, 0.2, 1]), np.array([2, 2, 4]))
    assert rows_below(tree, np.array([7])).tolist() == [0, 0, 0, 0, -1]
    assert rows_below(tree, np.array([6, 5])).tolist() == [1, 1, 0, 0, -1]
    assert rows_below(tree, np.array([], int)).tolist() == [-1] * 5
