"""Modularity against networkx' own of scipy's components, at every level."""

import networkx
import numpy as np
import pytest
from hypothesis import given

from pad_jax.graph.clusters import Levels
from pad_jax.graph.hierarchy import least_size, strong_component_tree
from pad_jax.graph.modularity import clusters, modularity_by_level
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import Graph
from tests.graph.test_hierarchy import cases, graphs, naive_components, partition


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
@given(graphs(40))
def test_clusters_are_the_components_at_the_peak(graph):
    found = clusters(graph)
    if not found.modularity:
        assert (found.labels == -1).all()
        assert found.edge_share == 0
        return
    assert found.modularity == found.levels.modularity.max()
    similarity = found.levels.similarity[found.levels.peak]
    assert found.edge_share == (graph.similarities >= similarity).mean()
    component = naive_components(graph, similarity)
    size = np.bincount(component)
    large = size[component] >= least_size(len(component))
    np.testing.assert_array_equal(found.labels >= 0, large)
    np.testing.assert_array_equal(
        partition(found.labels)[large][:, large], partition(component)[large][:, large]
    )
    assert (np.diff(np.bincount(found.labels[large])) <= 0).all()


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
    assert found.count == (classes if classes > 1 else 0)
    assert found.separation == pytest.approx(float(classes > 1))


def test_nothing_is_found_in_a_graph_without_cycles():
    indices = np.minimum(np.arange(1, 9), 7).astype(np.int32)[:, None]
    graph = Graph(indices, np.linspace(1, 0.5, 8, dtype=np.float32)[:, None])
    found = clusters(graph)
    assert (found.count, found.edge_share, found.modularity, found.coverage) == (0, 0, 0, 0)


def test_the_modularity_at_a_share_is_that_of_the_last_level_reached():
    levels = Levels(np.array([0.1, 0.5]), np.array([0.9, 0.8], np.float32), np.array([0.3, 0.6]))
    at = levels.at(np.array([0.05, 0.1, 0.49, 0.5, 1.0]))
    assert at.tolist() == [0, 0.3, 0.3, 0.6, 0.6]
    assert Levels(*(column[:0] for column in levels)).at(np.array([0.5, 1.0])).tolist() == [0, 0]
