"""New rows among known ones, against float64 oracles."""

import numpy as np
import pytest

import pad_jax
from pad_jax.graph.queries import assign


def naive_search(queries, features, k):
    queries, features = (
        x / np.linalg.norm(x, axis=1, keepdims=True)
        for x in (queries.astype(np.float64), features.astype(np.float64))
    )
    similarities = queries @ features.T
    indices = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(similarities, indices, axis=1)


def naive_assign(features, labels, queries):
    grouped = [i for i in range(len(labels)) if labels[i] >= 0]
    nearest, similarities = naive_search(queries, features[grouped], 1)
    return [labels[grouped[i]] for i in nearest[:, 0]], similarities[:, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_search_equals_the_oracle_for_rows_of_any_length(rng, dtype):
    features = (rng.standard_normal((80, 6)) * 30).astype(dtype)
    queries = (rng.standard_normal((30, 6)) * 30).astype(dtype)
    found = pad_jax.search(queries, features)
    indices, similarities = naive_search(queries, features, 10)
    assert (found.indices.dtype, found.similarities.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.similarities, similarities, atol=1e-6)


def test_neighbors_of_rows_of_any_length_are_those_of_unit_rows(unit_rows, rng):
    rows = unit_rows(200, 8)
    graph = pad_jax.nearest_neighbors(rows, 6)
    longer = pad_jax.nearest_neighbors(rows * rng.uniform(0.1, 9, (200, 1)), 6)
    np.testing.assert_array_equal(longer.indices, graph.indices)
    np.testing.assert_allclose(longer.similarities, graph.similarities, atol=1e-6)


def test_no_queries(unit_rows):
    found = pad_jax.search(np.zeros((0, 8)), unit_rows(20, 8), 3)
    assert found.indices.shape == found.similarities.shape == (0, 3)
    labels, similarities = assign(unit_rows(20, 8), np.zeros(20, int), np.zeros((0, 8)))
    assert labels.shape == similarities.shape == (0,)


@pytest.mark.parametrize("k", [0, 21])
@pytest.mark.parametrize("num_queries", [0, 5])
def test_bad_k(unit_rows, k, num_queries):
    with pytest.raises(ValueError, match=f"k={k} "):
        pad_jax.search(unit_rows(5, 8)[:num_queries], unit_rows(20, 8), k)


def test_errors_name_the_argument(unit_rows):
    rows = unit_rows(20, 8)
    with pytest.raises(ValueError, match="queries: row 0 is all zeros"):
        pad_jax.search(rows * 0, rows, 3)
    with pytest.raises(ValueError, match="features: row 0 is all zeros"):
        pad_jax.search(rows, rows * 0, 3)
    with pytest.raises(ValueError, match="queries have 7 numbers a row, features 8"):
        pad_jax.search(unit_rows(5, 7), rows, 3)
    with pytest.raises(ValueError, match="queries: .* not float32 .8."):
        pad_jax.search(rows[0], rows, 3)


def test_assign_equals_the_oracle(rng):
    features, queries = rng.standard_normal((60, 4)) * 7, rng.standard_normal((90, 4))
    labels = rng.integers(-1, 4, 60)
    labels[:5] = -1
    found, similarities = assign(features, labels, queries)
    expected, expected_similarities = naive_assign(features, labels, queries)
    assert (found.dtype, similarities.dtype) == (labels.dtype, np.float32)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(similarities, expected_similarities, atol=1e-6)


def test_assign_names_rows_as_they_are_given(unit_rows):
    rows, labels = unit_rows(50, 8), np.where(np.arange(50) < 30, -1, 0)
    rows[40] = 0
    with pytest.raises(ValueError, match="features: row 40 is all zeros"):
        assign(rows, labels, rows[:1])
    for wrong in (labels[:10], np.tile(labels, 2)):
        with pytest.raises(ValueError, match=rf"labels are \[{len(wrong)}\], for 20 rows"):
            assign(rows[:20], wrong, rows[:1])


def test_nothing_to_assign_to(unit_rows):
    with pytest.raises(ValueError, match="no row is in a group"):
        assign(unit_rows(5, 4), np.full(5, -1), unit_rows(2, 4))
