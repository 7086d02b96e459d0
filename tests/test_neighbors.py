"""The affinity graph against a float64 oracle."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from pad_jax import neighbors
from pad_jax.neighbors import nearest_neighbors


def naive_neighbors(features, k):
    similarity = features.astype(np.float64) @ features.T.astype(np.float64)
    np.fill_diagonal(similarity, -np.inf)
    indices = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(similarity, indices, axis=1)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (6, 5), (500, 5), (1031, 1), (1031, 20), (70, 69)])
def test_equals_the_oracle(unit_rows, n, k):
    features = unit_rows(n, 16)
    indices, similarities = nearest_neighbors(features, k)
    expected, expected_similarities = naive_neighbors(features, k)
    assert (indices.dtype, similarities.dtype) == (np.int32, np.float32)
    np.testing.assert_allclose(similarities, expected_similarities, atol=1e-6)
    np.testing.assert_array_equal(indices, expected)


def test_several_blocks_and_jax_input(unit_rows, monkeypatch):
    monkeypatch.setattr(neighbors, "_BLOCK", 40 * 777)
    features = unit_rows(777, 8)
    np.testing.assert_array_equal(
        nearest_neighbors(jnp.asarray(features), 7)[0], naive_neighbors(features, 7)[0]
    )


def test_ties_go_to_the_lower_index(rng):
    features = np.eye(8, dtype=np.float32)[rng.integers(0, 8, 600)]  # similarities are 0 and 1
    np.testing.assert_array_equal(
        nearest_neighbors(features, 9)[0], naive_neighbors(features, 9)[0]
    )


def test_two_stage_top_k_equals_lax_top_k_with_many_ties(rng):
    x = rng.integers(1, 5, (50, 700)) * (rng.random((50, 700)) < 0.01)  # mostly 0: runs differ
    x = jnp.asarray(x.astype(np.float32))
    for ours, theirs in zip(neighbors._top_k(x, 6), lax.top_k(x, 6), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("k", [0, 10, 11])
def test_bad_k(unit_rows, k):
    with pytest.raises(ValueError, match=f"k={k}"):
        nearest_neighbors(unit_rows(10, 4), k)
