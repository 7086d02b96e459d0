"""Entropies of Eq 2 against a naive loop in float64."""

import numpy as np
import pytest

from pad_jax.graph import search
from pad_jax.graph.groups import Groups
from pad_jax.graph.probability import entropies, entropy_temperature


@pytest.mark.parametrize("block", [1, 7, 10**9])
def test_equals_a_naive_loop(unit_rows, monkeypatch, block):
    features = unit_rows(50, 6)
    monkeypatch.setattr(search, "_BLOCK", block * 50)
    expected = []
    for x in features.astype(np.float64):
        p = np.exp(features.astype(np.float64) @ x / 0.2)
        p /= p.sum()
        expected.append(-np.sum(p * np.log(p)))
    np.testing.assert_allclose(entropies(features, 0.2), expected, rtol=1e-5)


def test_between_certainty_and_none():
    assert entropies(np.ones((8, 1), np.float32)) == pytest.approx(np.full(8, np.log(8)))
    assert entropies(np.eye(8, dtype=np.float32), 0.03) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("group_id", "entropy"),
    [
        (np.arange(1000), np.log(1000)),
        (np.arange(1000) % 10, np.log(10)),
        (np.arange(1000) % 10 - 1, np.log(9)),  # a tenth is no class
        (np.maximum(np.arange(8) - 4, 0), 5 / 8 * np.log(8 / 5) + 3 / 8 * np.log(8)),
        (np.zeros(9, int), 1.0),  # at most a temperature of 1
        (np.full(9, -1), 1.0),
    ],
)
def test_temperature_is_the_inverse_entropy_of_the_groups(group_id, entropy):
    groups = Groups(group_id, np.arange(len(group_id)))
    assert entropy_temperature(groups) == pytest.approx(1 / entropy)


def test_groups_that_overlap_have_a_temperature_by_their_own_sizes():
    own = np.arange(1000)
    members = np.full((1000, 11), -1)
    members[:, 0] = own
    members[::2] = 0  # every second group has eleven
    entropy = (np.log(1000) + np.log(1000 / 11)) / 2
    assert entropy_temperature(Groups(own, own, members)) == pytest.approx(1 / entropy)


@pytest.mark.parametrize("size", [1, 20, 500])
def test_a_perfect_group_has_half_of_the_probability(size):
    num_samples = 100_000
    own = np.arange(num_samples)
    tau = entropy_temperature(Groups(own // size, own))
    similarity = np.where(np.arange(num_samples) < size, 1.0, 0.0)
    p = np.exp(similarity / tau)
    assert p[:size].sum() / p.sum() == pytest.approx(0.5, abs=0.01)
