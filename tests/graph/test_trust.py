"""What a graph is trusted with, by hand."""

import numpy as np
import pytest

from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.graph.search import Graph
from pad_jax.graph.trust import trusted_edges, trusted_size


def clusters_of(labels, separation, similarity=-1.0):
    levels = Levels(np.array([0.5]), np.array([similarity]), np.array([0.4]))
    return Clusters(np.asarray(labels), separation, levels)


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
