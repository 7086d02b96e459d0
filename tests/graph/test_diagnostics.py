"""Statistics of groups against naive loops."""

import itertools

import numpy as np
import pytest

from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.graph.diagnostics import (
    copied_edges,
    graph_statistics,
    group_statistics,
    mean_similarity,
    neighbor_precision,
    purity_by_group,
    size_histogram,
)
from pad_jax.graph.groups import Groups, singletons
from pad_jax.graph.neighbors import nearest_neighbors


def naive(member_lists, labels):
    groups = [g for g in member_lists if len(g) > 1]
    out = {
        "count": len(groups),
        "mean_size": np.mean([len(g) for g in groups]),
        "max_size": max(map(len, groups)),
        "coverage": len(set(itertools.chain(*groups))) / len(labels),
    }
    known = [[labels[i] for i in g if labels[i] >= 0] for g in groups]
    known = [g for g in known if len(g) > 1]
    out["purity"] = sum(max(map(g.count, g)) for g in known) / sum(map(len, known))
    pairs = [a == b for g in known for a, b in itertools.combinations(g, 2)]
    out["pair_precision"] = np.mean(pairs)
    return out


@pytest.mark.parametrize("unknown", [False, True])
def test_partition(rng, unknown):
    group_id = rng.integers(0, 40, 100).astype(np.int32)
    labels = rng.integers(0, 3, 100).astype(np.int32)
    if unknown:
        labels[rng.permutation(100)[:40]] = -1
    lists = [np.flatnonzero(group_id == g).tolist() for g in np.unique(group_id)]
    found = group_statistics(Groups(group_id, group_id), labels)
    assert found == pytest.approx(naive(lists, labels.tolist()))


def test_member_lists(rng):
    members = np.stack([rng.permutation(30)[:4] for _ in range(30)]).astype(np.int32)
    labels = rng.integers(0, 3, 30).astype(np.int32)
    own = np.arange(30, dtype=np.int32)
    found = group_statistics(Groups(own, own, members), labels)
    assert found == pytest.approx(naive(members.tolist(), labels.tolist()))


def test_size_histogram(rng):
    group_id = np.array([0, 0, 2, 3, 3, 3, 6, 6], np.int32)
    assert size_histogram(Groups(group_id, group_id)) == [[2, 2], [3, 1]]
    members = np.array([[0, 1, -1], [1, 0, 2], [2, -1, -1]], np.int32)
    assert size_histogram(Groups(group_id[:3], group_id[:3], members)) == [[2, 1], [3, 1]]


def test_purity_by_group():
    group = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    label = np.array([4, 4, 7, 1, -1, 0, 0, 5])
    expected = [2 / 3, np.nan, 1, np.nan, np.nan]
    np.testing.assert_array_equal(purity_by_group(group, label, 5), expected)
    assert np.isnan(purity_by_group(group, np.full(8, -1), 5)).all()
    np.testing.assert_array_equal(purity_by_group(group, label * 2**60, 5), expected)
    many = np.arange(60_000, dtype=np.int32)  # whose pairs are more than int32 has numbers
    twice = np.concatenate([many, many])
    assert (purity_by_group(twice, twice, 60_000) == 1).all()


def test_singletons_only():
    labels = np.zeros(5, np.int32)
    assert set(group_statistics(singletons(5), labels).values()) == {0.0}
    assert "purity" not in group_statistics(singletons(5), labels - 1)


def test_neighbor_precision():
    neighbors = np.array([[1, 2], [0, 2], [3, 0], [2, 1]])
    labels = np.array([0, 0, 1, -1], np.int32)
    assert neighbor_precision(neighbors, labels) == {
        "precision_at_1": pytest.approx(2 / 2),  # row 2's nearest is unknown
        "precision_at_2": pytest.approx(2 / 5),
    }
    assert neighbor_precision(neighbors, np.full(4, -1, np.int32)) == {}


def test_graph_statistics():
    modularity = np.array([0.2, 0.4, 0.1])
    levels = Levels(np.array([0.07, 0.5, 1.0]), np.zeros(3, np.float32), modularity)
    found = graph_statistics(Clusters(np.array([0, 0, 1, 1, -1]), 0.8, levels))
    curve = found.pop("graph/modularity")
    assert found == pytest.approx(
        {
            "graph/peak_share": 0.5,
            "graph/peak_modularity": 0.4,
            "graph/separation": 0.8,
            "graph/components": 2,
            "graph/components_coverage": 0.8,
        }
    )
    assert [share for share, _ in curve] == [i / 20 for i in range(1, 21)]
    assert [q for _, q in curve] == [0.0, *[0.2] * 8, *[0.4] * 10, 0.1]


def test_the_mean_similarity_is_that_of_all_pairs(rng):
    rows = rng.standard_normal((30, 4)) + 1
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [a @ b for a, b in itertools.permutations(unit, 2)]
    assert mean_similarity(rows.astype(np.float32)) == pytest.approx(np.mean(pairs), abs=1e-6)
    alike = np.ones((30, 4), np.float32) + rng.normal(0, 1e-3, (30, 4)).astype(np.float32)
    assert mean_similarity(alike) > 0.9999


def test_rows_of_zeros_are_similar_to_all(rng):
    rows = np.zeros((20, 4), np.float32)
    assert mean_similarity(rows[:1]) == 0  # of no pair
    assert mean_similarity(rows) == 1
    rows[:10] = np.eye(4)[0]
    rows[:5] *= -1  # of the pairs of these ten 25 are opposite, 20 equal
    assert mean_similarity(rows) == pytest.approx((20 - 25 + 190 - 45) / 190)


def test_edges_between_copies_are_counted(rng):
    """Of 40 rows eight are the same, and two more are near to each other."""
    rows = rng.standard_normal((40, 16))
    rows[:8] = rows[0]
    rows[9] = rows[8] + 1e-3
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    graph = nearest_neighbors(rows, 5)
    assert copied_edges(rows, graph) == pytest.approx(8 * 5 / (40 * 5))
