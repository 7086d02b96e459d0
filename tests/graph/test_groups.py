"""Hard positives against a naive loop; the numbers of groups."""

import numpy as np
import pytest

from pad_jax.graph.groups import (
    Groups,
    TemperedGroups,
    by_falling_size,
    clusters_of_groups,
    from_labels,
    hard_positives,
    smallest_index,
)


def test_the_cluster_that_most_members_of_a_group_are_in(rng):
    cluster, group = rng.integers(-1, 4, 400), rng.permutation(np.arange(400) % 130)
    found = clusters_of_groups(cluster, group)
    for g in range(130):
        own = cluster[group == g].tolist()
        # Of equally many a cluster before none, and the larger one, which has the lower number.
        assert found[g] == max(set(own), key=lambda c: (own.count(c), c >= 0, -c))
    assert clusters_of_groups(np.full(3, -1), np.array([0, 0, 1])).tolist() == [-1, -1]
    many = np.arange(60_000, dtype=np.int32)  # whose pairs are more than int32 has numbers
    np.testing.assert_array_equal(clusters_of_groups(many, many), many)


def test_hard_positives_equal_a_naive_loop(rng, unit_rows):
    features = unit_rows(300, 8)
    features[7] = features[3]  # a tie
    group_id = np.sort(rng.integers(0, 80, 300)).astype(np.int32)
    group_id[:100] = group_id[0]  # a large group
    group_id = smallest_index(group_id)
    expected = []
    for i in range(300):
        others = [j for j in range(300) if group_id[j] == group_id[i] and j != i]
        similarity = [float(features[i].astype(np.float64) @ features[j]) for j in others]
        expected.append(others[int(np.argmin(similarity))] if others else i)
    np.testing.assert_array_equal(hard_positives(group_id, features), expected)


def test_hard_positive_of_identical_members_is_another_one():
    features = np.ones((3, 1), np.float32)
    hard = hard_positives(np.zeros(3, np.int32), features)
    assert hard.tolist() == [1, 0, 0]


def test_labels_and_group_ids_say_the_same():
    labels = np.array([-1, 1, 0, 0, 1, -1, 0])
    group_id = from_labels(labels)
    assert group_id.tolist() == [0, 1, 2, 2, 1, 5, 2]
    assert by_falling_size(group_id).tolist() == labels.tolist()
    assert from_labels(np.array([], int)).tolist() == []


def test_the_fields_of_groups_are_those_that_checkpoints_hold():
    assert Groups._fields == ("group_id", "hard_positive", "members")
    assert TemperedGroups._fields == (*Groups._fields, "temperature")


def test_samples_in_no_group_are_their_own_hard_positives(unit_rows):
    features = unit_rows(6, 4)
    group_id = np.array([0, -1, 0, -1, -1, 0])
    alone = np.array([0, 1, 0, 3, 4, 0])
    found = hard_positives(group_id, features)
    np.testing.assert_array_equal(found, hard_positives(alone, features))
    assert found[[1, 3, 4]].tolist() == [1, 3, 4]


def test_hard_positives_of_integers_and_of_other_samples():
    features = np.eye(3, dtype=np.int64)[[0, 0, 1]]
    assert hard_positives(np.zeros(3, int), features).tolist() == [2, 2, 0]
    with pytest.raises(ValueError, match="3 rows of features for 2 samples"):
        hard_positives(np.zeros(2, int), features)
