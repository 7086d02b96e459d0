"""The SCS search against a naive networkx reference, and its properties P1 to P7."""

import functools

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_jax.graph.subgraphs import strongest_edges, strongly_connected_subgraphs
from tests.support.scs_oracle import KINDS, naive_search, random_neighbors


@st.composite
def graphs(draw, max_vertices=40):
    """Random neighbour lists: self loops, repeated neighbours, k = 1, sparse and complete ones."""
    n = draw(st.integers(1, max_vertices))
    k = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(KINDS))
    return random_neighbors(rng, n, k, kind)


# Without a database, which Hypothesis would keep in the working directory.
cases = functools.partial(settings, deadline=None, database=None)
sizes = st.sampled_from([2, 3, 5, 10, 100])
seeds = st.integers(0, 1000)


@cases(max_examples=300)
@given(graphs(), st.one_of(st.none(), sizes), st.booleans(), seeds)
def test_equals_the_naive_reference(neighbors, max_size, cyclic, seed):
    found = strongly_connected_subgraphs(neighbors, max_size, cyclic=cyclic, seed=seed)
    np.testing.assert_array_equal(found, naive_search(neighbors, max_size, cyclic, seed))


@pytest.mark.parametrize("max_size", [3, 10, 100])
@pytest.mark.parametrize("k", [1, 5])
def test_equals_the_naive_reference_on_the_graph_of_points(rng, max_size, k):
    points = rng.standard_normal((400, 3))
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distance, np.inf)
    neighbors = distance.argsort(1)[:, :k]
    found = strongly_connected_subgraphs(neighbors, max_size, seed=4)
    np.testing.assert_array_equal(found, naive_search(neighbors, max_size, True, 4))
    assert (np.unique(found, return_counts=True)[1] > 1).sum() > 10


@cases(max_examples=200)
@given(graphs(200), sizes, seeds)
def test_disjoint_connected_bounded_and_named_by_the_smallest_index(neighbors, max_size, seed):
    group_id = strongly_connected_subgraphs(neighbors, max_size, seed=seed)
    graph = nx.DiGraph((i, int(j)) for i, row in enumerate(neighbors) for j in row)
    for name in np.unique(group_id):  # P1: one id a vertex makes them disjoint
        members = np.flatnonzero(group_id == name)
        assert members[0] == name
        assert len(members) <= max_size  # P3
        assert nx.is_strongly_connected(graph.subgraph(members.tolist()))  # P2


def test_pinned_result():
    """P4 across machines and versions: computed once and written down."""
    rng = np.random.default_rng(7)
    neighbors = (np.arange(24)[:, None] + rng.integers(-3, 4, (24, 3))) % 24
    expected = [
        0,
        1,
        2,
        2,
        2,
        5,
        2,
        2,
        8,
        9,
        10,
        11,
        11,
        11,
        11,
        15,
        11,
        17,
        18,
        18,
        18,
        18,
        22,
        23,
    ]
    assert strongly_connected_subgraphs(neighbors, 5, seed=(3, 1)).tolist() == expected
    assert strongly_connected_subgraphs(neighbors, 5, seed=(3, 0)).tolist() != expected


@cases(max_examples=100)
@given(graphs(), seeds)
def test_unlimited_is_tarjan(neighbors, seed):
    n, k = neighbors.shape
    row = np.arange(n).repeat(k)
    matrix = scipy.sparse.coo_matrix((np.ones(n * k), (row, neighbors.ravel())), (n, n))
    _, component = scipy.sparse.csgraph.connected_components(matrix, connection="strong")
    for max_size in (None, n + 1):  # P5; a limit that no traversal reaches is none
        found = strongly_connected_subgraphs(neighbors, max_size, seed=seed)
        np.testing.assert_array_equal(found[:, None] == found, component[:, None] == component)


@cases(max_examples=100)
@given(graphs(), sizes, seeds)
def test_nothing_is_left_among_the_singletons(neighbors, max_size, seed):
    group_id = strongly_connected_subgraphs(neighbors, max_size, seed=seed)
    _, inverse, count = np.unique(group_id, return_inverse=True, return_counts=True)
    single = count[inverse] == 1
    # P6: the graph without the subgraphs; edges to taken vertices become self loops.
    own = np.arange(len(neighbors))[:, None]
    rest = np.where(single[:, None] & single[neighbors], neighbors, own)
    again = strongly_connected_subgraphs(rest, max_size, seed=seed)
    np.testing.assert_array_equal(again, np.arange(len(neighbors)))


@cases(max_examples=100)
@given(graphs(), sizes, seeds)
def test_self_loops_and_repeated_neighbors_change_nothing(neighbors, max_size, seed):
    own = np.arange(len(neighbors))[:, None]
    more = np.concatenate([own, neighbors[:, :1], neighbors, neighbors, own], axis=1)
    np.testing.assert_array_equal(  # P7
        strongly_connected_subgraphs(more, max_size, seed=seed),
        strongly_connected_subgraphs(neighbors, max_size, seed=seed),
    )


def test_figure_3_scale_limits_the_traversal():
    # A ring of four: with s = 4 one subgraph; with s = 3 no traversal comes back to its start.
    ring = np.array([[1], [2], [3], [0]])
    assert strongly_connected_subgraphs(ring, 4).tolist() == [0, 0, 0, 0]
    assert strongly_connected_subgraphs(ring, 3).tolist() == [0, 1, 2, 3]
    without = strongly_connected_subgraphs(ring, 3, cyclic=False)
    assert sorted(np.unique(without, return_counts=True)[1].tolist()) == [1, 3]


@pytest.mark.parametrize("share", [0.001, 0.1, 1 / 3, 1.0])
def test_only_the_strongest_edges_stay(rng, share):
    similarities = np.sort(rng.random((50, 5)).astype(np.float32))[:, ::-1]
    neighbors = (np.arange(50)[:, None] + rng.integers(1, 50, (50, 5))).astype(np.int32) % 50
    edges = strongest_edges(neighbors, similarities, share)
    stays = edges != np.arange(50)[:, None]
    assert stays.sum() == np.ceil(share * 250)
    np.testing.assert_array_equal(edges[stays], neighbors[stays])
    assert similarities[~stays].max(initial=-1) < similarities[stays].min()


def test_edges_as_similar_as_the_weakest_that_stays_stay_too():
    neighbors = np.array([[1, 2], [2, 0], [0, 1]])
    similarities = np.array([[0.9, 0.5], [0.5, 0.5], [0.4, 0.1]])
    edges = strongest_edges(neighbors, similarities, 0.5)
    assert edges.tolist() == [[1, 2], [2, 0], [2, 2]]


@pytest.mark.parametrize("share", [0.07, 0.14, 0.28, 0.55])
def test_a_share_is_not_rounded_up_for_its_binary_digits(share):
    similarities = np.linspace(0, 1, 100).reshape(20, 5)
    edges = strongest_edges(np.tile((np.arange(20)[:, None] + 1) % 20, 5), similarities, share)
    assert (edges != np.arange(20)[:, None]).sum() == round(100 * share)


def test_a_share_of_less_than_one_edge_is_one_edge(rng):
    similarities = rng.random((20, 5))
    edges = strongest_edges(np.tile((np.arange(20)[:, None] + 1) % 20, 5), similarities, 1e-12)
    assert (edges != np.arange(20)[:, None]).sum() == 1


@pytest.mark.parametrize("max_size", [10, None])
def test_empty_graph(max_size):
    assert strongly_connected_subgraphs(np.zeros((0, 5), np.int32), max_size).shape == (0,)
    alone = strongly_connected_subgraphs(np.zeros((3, 0), np.int32), max_size)
    assert alone.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("neighbors", "max_size", "message"),
    [
        ([[1], [2]], 10, "0..1"),
        ([[-1], [0]], 10, "0..1"),
        ([1, 0], 10, r"\[N, k\]"),
        ([[2**32 + 1], [2**32]], 10, "0..1"),
        ([[1.9], [0.2]], 10, "integers .*, not float64"),
        ([[1], [0]], 1, "max_size=1"),
        ([[1], [0]], 10.0, "max_size=10.0"),
        ([[1], [0]], "auto", "max_size='auto'"),
    ],
)
def test_bad_arguments(neighbors, max_size, message):
    with pytest.raises(ValueError, match=message):
        strongly_connected_subgraphs(np.array(neighbors), max_size)
