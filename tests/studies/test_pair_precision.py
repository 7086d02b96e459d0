"""The groups that the study makes, found as a run finds them."""

import numpy as np
import pytest

from pad_jax import config as configs
from pad_jax import data, groupings
from pad_jax.errors import InputError
from pad_jax.graph.diagnostics import group_statistics
from pad_jax.graph.search import search
from tests.studies import pair_precision
from tests.support.small_runs import small_config


def found(name, rng, epoch=0):
    """Statistics of the groups of a run in random features that know the class a little."""
    settings = configs.read(pair_precision.config_of(small_config(), name))
    labels = data.load(settings).train.labels
    features = rng.standard_normal((len(labels), 10)) + 2 * np.eye(10)[labels]
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    grouping = groupings.create(settings)
    graph = search(features, features, 5, leave_one_out=True)
    groups = groupings.discover(grouping, groupings.evidence(graph, features, epoch)).groups
    np.testing.assert_array_equal(groups.group_id[groups.hard_positive], groups.group_id)
    return group_statistics(groups, labels)


def test_purified_groups_lose_their_wrong_members(rng):
    plain, half, whole = (
        found(name, np.random.default_rng(1)) for name in ("PAD", "purified 0.5", "purified 1")
    )
    assert plain["pair_precision"] < half["pair_precision"] < whole["pair_precision"] == 1.0
    assert plain["coverage"] > half["coverage"] > whole["coverage"] > 0.3


@pytest.mark.parametrize("precision", [0.5, 0.9])
def test_drawn_groups_are_as_pure_as_they_are_meant_to_be(rng, precision):
    drawn = [found(f"drawn {precision}", rng, epoch) for epoch in range(3)]
    assert {groups["max_size"] for groups in drawn} == {5}
    # A pair is of one class where both are of their group's, or by chance.
    expected = precision**2 + (1 - precision**2) / 10
    assert np.mean([x["pair_precision"] for x in drawn]) == pytest.approx(expected, abs=0.05)


def test_their_settings_are_checked():
    config = pair_precision.config_of(small_config(), "drawn 0.9")
    config.study.precision = 1.5
    with pytest.raises(InputError, match="study.precision=1.5"):
        configs.read(config)
