"""Groups as ranges of places, similar ones beside each other, sets, and the images in no group."""

import itertools

import numpy as np
import pytest

from pad_jax.browse.catalogue import arrange
from tests.support.piles import pile

_GROUP = [1, 0, -1, 0, 1, 0, 2, 2, -1, 2, 2]
_CLUSTER = [5, 7, 7, 7, 5, 5, -1, -1, 2, -1, 5]


@pytest.fixture
def collection(tmp_path):
    return pile(tmp_path, [f"{i}.png" for i in range(len(_GROUP))], _GROUP, _CLUSTER)


@pytest.fixture
def catalogue(collection):
    return arrange(collection)


def _ranges(catalogue):
    return [catalogue.rows[a:b].tolist() for a, b in itertools.pairwise(catalogue.start)]


def test_a_group_is_a_range_of_places_the_most_typical_first(collection, catalogue):
    ranges = _ranges(catalogue)
    found = sorted(map(sorted, ranges))
    assert found == sorted(np.flatnonzero(np.equal(_GROUP, g)).tolist() for g in range(3))
    for rows in ranges:
        assert (np.diff(collection.groups.similarities_[rows]) <= 0).all()
    assert sorted(catalogue.rows[catalogue.start[-1] :]) == [2, 8]


def test_alike_is_the_mean_similarity_of_two_members(collection, catalogue):
    rows = collection.embeddings.astype(np.float64)
    expected = [
        np.mean([rows[i] @ rows[j] for i, j in itertools.combinations(members, 2)])
        for members in _ranges(catalogue)
    ]
    np.testing.assert_allclose(catalogue.alike, expected, atol=1e-6)


def test_a_set_is_the_cluster_of_most_members_numbered_as_they_come(catalogue):
    majority = {0: 7, 1: 5, 2: -1}  # by group
    clusters = [majority[_GROUP[rows[0]]] for rows in _ranges(catalogue)]
    clusters += [_CLUSTER[row] for row in catalogue.rows[catalogue.start[-1] :]]
    known = list(dict.fromkeys(c for c in clusters if c >= 0))
    expected = [known.index(c) if c >= 0 else -1 for c in clusters]
    assert [*catalogue.sets.of_groups, *catalogue.sets.of_singles] == expected
    assert catalogue.sets.are_clusters


def test_neighbours_are_told_as_places(collection, catalogue):
    k = collection.graph.indices.shape[1]
    assert catalogue.neighbors.indices.shape == (len(_GROUP), k)
    rows = catalogue.rows[catalogue.neighbors.indices]
    np.testing.assert_array_equal(rows, collection.graph.indices[catalogue.rows])


def test_images_in_no_group_have_the_groups_with_the_most_similar_means(collection, catalogue):
    rows = collection.embeddings
    means = np.stack([rows[members].mean(0) for members in _ranges(catalogue)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosine = rows[catalogue.rows[catalogue.start[-1] :]] @ means.T
    np.testing.assert_array_equal(catalogue.nearest.indices, np.argsort(-cosine, axis=1)[:, :3])


@pytest.mark.parametrize(
    ("group", "num_groups"), [([-1] * 4, 0), ([0] * 4, 1), ([0, 0, -1, -1], 1)]
)
def test_few_groups_or_none(tmp_path, group, num_groups):
    catalogue = arrange(pile(tmp_path, list("abcd"), group, [-1] * 4))
    assert len(catalogue.start) == num_groups + 1
    assert len(catalogue.first) == num_groups
    assert (catalogue.sets.of_groups == -1).all()
    assert len(catalogue.sets.of_singles) == group.count(-1)


def test_the_order_begins_with_what_is_sure_and_is_cut_at_a_long_step(tmp_path):
    group = np.repeat(np.arange(60), 2)
    collection = pile(tmp_path, [f"{i}.png" for i in range(120)], group.tolist(), [0] * 120)
    # An arc in which groups 30 to 59 lie apart from the others, and are surer.
    middle = 0.02 * group + 0.5 * (group >= 30)
    width = np.where(group >= 30, 0.001, 0.008) * np.tile([-1, 1], 60)
    angle = (middle + width).astype(np.float32)
    collection.embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    catalogue = arrange(collection)
    order = group[catalogue.rows[catalogue.start[:-1]]].tolist()
    up = [*range(30, 60), *range(30)]
    assert order in (up, [*reversed(range(30, 60)), *reversed(range(30))])
    assert (catalogue.alike[:30] > catalogue.alike[30:].max()).all()
