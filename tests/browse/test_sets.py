"""Sets of groups where the pile falls into no clusters: parts of it."""

import numpy as np
import pytest

from pad_jax.browse.sets import find_sets


@pytest.mark.parametrize("cluster", [-1, 0])
def test_a_pile_without_clusters_is_divided_into_parts(rng, cluster):
    # 20 groups of three around four corners, and five images in no group.
    corner = np.concatenate([np.repeat(rng.integers(0, 4, 20), 3), [0, 1, 2, 3, 0]])
    rows = np.eye(4, 6, dtype=np.float32)[corner]
    rows += 0.05 * rng.standard_normal(rows.shape).astype(np.float32)
    start = np.arange(0, 61, 3)
    sets = find_sets(np.full(65, cluster), rows, start)
    assert sets.are_clusters is False
    found = np.concatenate([sets.of_groups, sets.of_singles])
    _, first = np.unique(found, return_index=True)
    assert found[np.sort(first)].tolist() == [0, 1, 2, 3]  # as they come
    pairs = set(zip(found.tolist(), np.concatenate([corner[:60:3], corner[60:]]), strict=True))
    assert len(pairs) == 4  # one part, one corner


def test_a_few_groups_stay_one_set(unit_rows):
    sets = find_sets(np.zeros(12, int), unit_rows(12, 4), np.arange(0, 13, 3))
    assert sets.of_groups.tolist() == [0, 0, 0, 0]
    assert sets.are_clusters is True
