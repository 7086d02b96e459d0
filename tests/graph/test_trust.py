"""What a graph is trusted with, by hand."""

import numpy as np
import pytest

from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.graph.modularity import clusters
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import Graph
from pad_jax.graph.subgraphs import strongly_connected_subgraphs
from pad_jax.graph.trust import SOUND, support, trusted_edges, trusted_size


def clusters_of(labels, separation, similarity=-1.0):
    levels = Levels(np.array([0.5]), np.array([similarity]), np.array([0.4]))
    return Clusters(np.asarray(labels), separation, levels)


@pytest.mark.parametrize(
    ("separation", "similarity"),
    [(1.0, 0.5), (0.85, 0.6), (0.7, 0.7), (0.6, 0.7), (0.5, 0.8), (0.0, 0.8)],
)
def test_trusted_edges_end_at_the_peak_or_near_it(separation, similarity):
    reached = np.array([0.2, 0.82, 0.89, 0.95, 1.0, 0.8]) * 0.5
    falling = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32)
    levels = Levels(np.linspace(0.1, 1, 6), falling, reached)
    graph = Graph(np.tile(np.arange(1, 7, dtype=np.int32) % 6, (6, 1)), np.tile(falling, (6, 1)))
    edges = trusted_edges(graph, Clusters(np.zeros(6, int), separation, levels))
    kept = edges[0] != 0
    assert graph.similarities[0][kept].min() == np.float32(similarity)


def test_trusted_edges_are_strong_and_within_a_cluster():
    indices = np.array([[1, 2], [0, 2], [3, 1], [2, 4], [3, 5], [4, 0]], np.int32)
    similarities = np.array([[0.9, 0.8]] * 3 + [[0.9, 0.4]] * 3, np.float32)
    found = clusters_of([0, 0, 1, 1, -1, -1], 0.9, similarity=0.8)
    expected = [[1, 0], [0, 1], [3, 2], [2, 3], [4, 4], [4, 5]]
    assert trusted_edges(Graph(indices, similarities), found).tolist() == expected


@pytest.mark.parametrize(
    ("separation", "size"), [(0.0, 10), (0.5, 10), (0.75, round(10 * 20**0.5)), (1.0, 200)]
)
def test_trusted_size_grows_as_clusters_stand_apart(separation, size):
    labels = np.arange(1000) % 5 // 2  # 400, 400, 200 of 1,000
    labels[labels == 2] = -1
    assert trusted_size(clusters_of(labels, separation)) == size


def test_trusted_size_is_never_below_the_papers():
    assert trusted_size(clusters_of(np.arange(30) % 3, 1.0)) == 10
    assert trusted_size(clusters_of(np.full(30, -1), 0.0)) == 10


def test_support_by_hand():
    group_id = np.array([0, 0, 0, 0, 4, 4, 6, 7])  # six of eight, of whom four see 4 and two 2
    expected = 0.4 / np.sqrt(6 / 8 * np.log((4 * 4 + 2 * 2) / 6))
    assert support(clusters_of(np.zeros(8, int), 0.0), group_id) == pytest.approx(expected)


@pytest.mark.parametrize(("noise", "is_sound"), [(0.3, True), (3.0, False)])
def test_support_tells_groups_of_a_class_from_groups_across(unit_rows, noise, is_sound):
    label = np.arange(2000) % 5
    rows = unit_rows(5, 32)[label] + noise * unit_rows(2000, 32)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    graph = nearest_neighbors(rows, 10)
    group_id = strongly_connected_subgraphs(graph.indices, 50)
    right = (label[group_id] == label).mean()
    assert (right > 0.9) == is_sound
    assert (support(clusters(graph), group_id) >= SOUND) == is_sound


def test_clusters_of_unlike_sizes_are_trusted_less(unit_rows):
    """Two kinds without an edge between them: what stands in the docs of separation and support."""
    label = (np.arange(1000) >= 900).astype(int)
    rows = 4 * np.eye(2, 32)[label] + 0.4 * unit_rows(1000, 32)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    graph = nearest_neighbors(rows, 10)
    assert (label[graph.indices] == label[:, None]).all()
    found = clusters(graph)
    assert found.count == 2
    assert found.separation == pytest.approx(0.36, abs=0.04)
    assert trusted_size(found) == 10


def test_equal_rows_have_no_edges_to_trust():
    graph = nearest_neighbors(np.ones((60, 4), np.float32), 5)
    assert (trusted_edges(graph, clusters(graph)) == np.arange(60)[:, None]).all()
