"""Modularity against networkx' own of scipy's components, at every level."""

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_jax.graph.clusters import Levels
from pad_jax.graph.hierarchy import (
    least_size,
    rows_below,
    stable_clusters,
    strong_component_tree,
)
from pad_jax.graph.modularity import clusters, modularity, modularity_by_level
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import Graph
from tests.graph.test_hierarchy import cases, graphs, naive_components


def naive_modularity(graph, component):
    whole = networkx.MultiDiGraph()
    whole.add_nodes_from(range(len(component)))
    whole.add_edges_from((i, int(j)) for i, row in enumerate(graph.indices) for j in row if i != j)
    parts = [set(np.flatnonzero(component == c).tolist()) for c in range(component.max() + 1)]
    return networkx.community.modularity(whole, parts)


@cases(max_examples=100)
@given(graphs(25))
def test_equals_networkx_at_every_level(graph):
    levels = modularity_by_level(graph, strong_component_tree(graph))
    known = dict(zip(levels.similarity.tolist(), levels.modularity, strict=True))
    modularity, has_edges = None, (graph.indices != np.arange(len(graph.indices))[:, None]).any()
    for similarity in np.unique(graph.similarities)[::-1] if has_edges else []:
        component = naive_components(graph, similarity)
        if len(set(component)) == len(component):
            assert similarity.item() not in known  # nothing has come together yet
            continue
        # A level that is left out is as the one before.
        modularity = known.get(similarity.item(), modularity)
        assert modularity == pytest.approx(naive_modularity(graph, component), abs=1e-12)
    assert (np.diff(levels.edge_share) > 0).all()


@cases(max_examples=100)
@given(graphs(25), st.integers(0, 2**32 - 1))
def test_modularity_of_any_partition_equals_networkx(graph, seed):
    labels = np.random.default_rng(seed).integers(-1, 4, len(graph.indices))
    alone = labels < 0
    parts = np.where(alone, 4 + np.arange(len(labels)), labels)
    _, parts = np.unique(parts, return_inverse=True)
    if (graph.indices == np.arange(len(graph.indices))[:, None]).all():
        assert modularity(graph, labels) == 0
        return
    assert modularity(graph, labels) == pytest.approx(naive_modularity(graph, parts), abs=1e-12)


@cases(max_examples=100)
@given(graphs(40))
def test_clusters_are_the_stable_ones(graph):
    found = clusters(graph)
    tree = strong_component_tree(graph)
    nodes = stable_clusters(tree, least_size(len(graph.indices)))
    np.testing.assert_array_equal(found.labels, rows_below(tree, nodes))
    assert found.count == len(nodes)
    rows = tree.size[nodes - len(graph.indices)].sum()
    assert found.coverage == pytest.approx(rows / len(graph.indices))
    expected = modularity(graph, found.labels) / (1 - 1 / found.count) if found.count > 1 else 0
    assert found.separation == pytest.approx(min(max(expected, 0), 1))


@cases(max_examples=50)
@given(graphs(40))
def test_peak_is_the_first_of_the_highest_levels(graph):
    levels = clusters(graph).levels
    if not (levels.modularity > 0).any():
        assert levels.peak == (0, np.inf, 0)
        return
    best = levels.modularity.argmax()
    assert levels.peak == tuple(of_level[best] for of_level in levels)
    entered = (graph.similarities >= levels.peak.similarity).mean()
    assert levels.peak.edge_share == entered
    near = levels.first_at(0.9)
    high = levels.modularity >= 0.9 * levels.peak.modularity
    assert near.edge_share == levels.edge_share[high][0] <= levels.peak.edge_share


@pytest.mark.parametrize("classes", [2, 7])
def test_counts_classes_that_stand_apart(unit_rows, rng, classes):
    centers = unit_rows(classes, 32)
    label = np.arange(classes * 100) % classes
    rows = centers[label] + 0.3 * unit_rows(len(label), 32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = clusters(nearest_neighbors(rows.astype(np.float32), 10))
    assert found.count == classes
    assert found.coverage > 0.8
    inside = found.labels >= 0
    assert len(set(zip(found.labels[inside], label[inside], strict=True))) == classes
    assert found.separation > 0.7


def test_rows_without_classes_do_not_stand_apart(unit_rows):
    assert clusters(nearest_neighbors(unit_rows(2000, 128), 10)).separation < 0.2


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_separation_is_1_for_complete_graphs_side_by_side(classes):
    own = np.arange(classes * 8)
    indices = np.stack([own // 8 * 8 + (own + shift) % 8 for shift in range(1, 8)], axis=1)
    graph = Graph(indices.astype(np.int32), np.full(indices.shape, 0.9, np.float32))
    found = clusters(graph)
    assert found.count == classes
    assert found.separation == pytest.approx(float(classes > 1))


def test_nothing_is_found_in_a_graph_without_cycles():
    indices = np.minimum(np.arange(1, 9), 7).astype(np.int32)[:, None]
    graph = Graph(indices, np.linspace(1, 0.5, 8, dtype=np.float32)[:, None])
    found = clusters(graph)
    assert (found.count, found.separation, found.coverage) == (0, 0, 0)
    assert found.levels.peak == (0, np.inf, 0)


def test_the_modularity_at_a_share_is_that_of_the_last_level_reached():
    levels = Levels(np.array([0.1, 0.5]), np.array([0.9, 0.8], np.float32), np.array([0.3, 0.6]))
    at = levels.at(np.array([0.05, 0.1, 0.49, 0.5, 1.0]))
    assert at.tolist() == [0, 0.3, 0.3, 0.6, 0.6]
    assert Levels(*(column[:0] for column in levels)).at(np.array([0.5, 1.0])).tolist() == [0, 0]
