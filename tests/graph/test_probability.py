"""Entropies of Eq 2 against a naive loop in float64."""

import numpy as np
import pytest

from pad_jax.graph import search
from pad_jax.graph.probability import entropies


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
