"""k-means from what stands apart, against k-means by hand."""

import numpy as np
import pytest

from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import singletons
from pad_jax.graph.modularity import clusters
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.partition import partition


def made_up(labels, separation=0.7):
    """A discovery in which these rows are surely of a kind."""
    levels = Levels(np.ones(1), np.ones(1, np.float32), np.ones(1))
    labels = np.array(labels)
    return Discovery(1, singletons(len(labels)), clusters=Clusters(labels, separation, levels))


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def blobs(unit_rows, rng):
    """300 rows of five kinds of unlike sizes, and which."""
    kind = rng.choice(5, 300, p=[0.1, 0.3, 0.15, 0.25, 0.2])
    return unit(unit_rows(5, 32)[kind] + 0.5 * unit_rows(300, 32)), kind


def test_every_row_has_a_cluster_of_as_many_as_stand_apart(blobs):
    rows, kind = blobs
    graph = nearest_neighbors(rows, 5)
    apart = clusters(graph)
    found = Discovery(1, singletons(300), graph, None, apart)
    cluster = partition(found, rows)
    assert cluster.dtype == np.int32
    assert apart.coverage < 1  # so some are told by k-means alone
    by_size = np.argsort(-np.bincount(kind), kind="stable")
    np.testing.assert_array_equal(by_size[cluster], kind)
    np.testing.assert_array_equal(partition(found, rows), cluster)


def test_equals_k_means_by_hand_from_the_means(unit_rows, rng):
    rows = unit_rows(200, 3)  # overlapping, so that where it begins decides
    start = np.where(np.arange(200) < 40, np.arange(200) % 4, -1)
    cluster = partition(made_up(start), rows)
    centers = unit(np.stack([rows[start == c].mean(0) for c in range(4)])).astype(float)
    for _ in range(300):
        label = ((rows[:, None] - centers) ** 2).sum(2).argmin(1)
        centers = np.stack([rows[label == c].mean(0) for c in range(4)])
    pairs = set(zip(label.tolist(), cluster.tolist(), strict=True))
    assert len(pairs) == 4
    assert (np.diff(np.bincount(cluster)) <= 0).all()


def test_of_two_as_large_that_with_the_lower_first_row_is_first():
    rows = np.eye(3, dtype=np.float32)[[1, 2, 1, 0, 2, 2]]
    assert partition(made_up([1, 2, 1, 0, 2, 2]), rows).tolist() == [1, 0, 1, 2, 0, 0]
    rows = np.eye(3, dtype=np.float32)[[2, 0, 2, 0]]  # a row alone is a cluster as well
    assert partition(made_up([1, 0, 1, 0]), rows).tolist() == [0, 1, 0, 1]


def test_rows_that_coincide():
    cluster = partition(made_up([0, 0, 1, 1]), np.ones((4, 1), np.float32))
    assert cluster.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("separation", [0.49, 0.0])
def test_no_row_has_one_where_nothing_stands_apart(separation):
    rows = np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]
    assert partition(made_up([0, 0, 1, 1], separation), rows).tolist() == [-1] * 4
    assert partition(made_up([0, 0, 1, 1], 0.5), rows).tolist() == [0, 0, 1, 1]
    assert partition(Discovery(0, singletons(4)), None).tolist() == [-1] * 4
