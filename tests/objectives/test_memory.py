"""Memory refreshing (Eq 6) against a float64 oracle."""

import jax
import numpy as np
import pytest

from pad_jax.objectives.memory import random_rows, refresh


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_refresh_equals_the_oracle_and_leaves_other_rows_alone(rng, unit_rows, rate):
    memory, embeddings = unit_rows(50, 8), unit_rows(6, 8)
    index = rng.permutation(50)[:6].astype(np.int32)
    mixed = (1 - rate) * memory[index].astype(np.float64) + rate * embeddings
    new = np.asarray(refresh(memory, index, embeddings, rate))
    np.testing.assert_allclose(
        new[index], mixed / np.linalg.norm(mixed, axis=1, keepdims=True), atol=1e-6
    )
    others = np.setdiff1d(np.arange(50), index)
    np.testing.assert_array_equal(new[others], memory[others])


def test_no_gradient_through_the_memory(unit_rows):
    memory, embeddings = unit_rows(5, 4), unit_rows(1, 4)
    index = np.zeros(1, np.int32)
    gradient = jax.grad(lambda x: refresh(memory, index, x, 0.5).sum())(embeddings)
    assert not np.any(gradient)


def test_opposite_rows_do_not_divide_by_zero(unit_rows):
    memory = unit_rows(3, 4)
    assert np.all(np.isfinite(refresh(memory, np.array([1], np.int32), -memory[1:2], 0.5)))


def test_random_rows():
    rows = random_rows(200, 16, seed=3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    assert np.abs(rows.mean(0)).max() < 0.1
    np.testing.assert_array_equal(rows, random_rows(200, 16, seed=3))
    assert not np.array_equal(rows, random_rows(200, 16, seed=4))
