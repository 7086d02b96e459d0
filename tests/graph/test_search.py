"""The blocked search against a float64 oracle."""

import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax.graph import search as searches
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import Graph, over_similarities, search

ROWS = 150


def naive_similarities(queries, rows, leave_one_out):
    similarities = queries.astype(np.float64) @ rows.T.astype(np.float64)
    if leave_one_out:
        np.fill_diagonal(similarities, -np.inf)
    return similarities


def naive_search(queries, rows, k, leave_one_out=False):
    similarities = naive_similarities(queries, rows, leave_one_out)
    indices = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(similarities, indices, axis=1)


@pytest.fixture(params=[1, 7, 64, 10**6], ids="{} queries at a time".format)
def block(request, monkeypatch):
    """How many queries are compared at a time; of the sizes here the last block is ragged."""
    monkeypatch.setattr(searches, "_BLOCK", request.param * ROWS)
    return request.param


def assert_found(found, queries, rows, k, leave_one_out=False):
    indices, similarities = naive_search(queries, rows, k, leave_one_out)
    assert (found.indices.dtype, found.similarities.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.similarities, similarities, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, ROWS])
def test_equals_the_oracle(unit_rows, block, k):
    rows = unit_rows(ROWS, 12)
    queries = unit_rows(ROWS + 45, 12)[ROWS:]
    found = search(queries, rows, k)
    assert isinstance(found, Graph)
    assert isinstance(found.indices, np.ndarray)
    assert_found(found, queries, rows, k)


@pytest.mark.parametrize("k", [1, 5, ROWS - 1])
def test_leave_one_out(unit_rows, block, k):
    rows = unit_rows(ROWS, 12)
    found = search(rows, rows, k, leave_one_out=True)
    assert not (found.indices == np.arange(ROWS)[:, None]).any()
    assert_found(found, rows, rows, k, leave_one_out=True)
    np.testing.assert_array_equal(search(rows, rows, 1).indices[:, 0], np.arange(ROWS))


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_ties_go_to_the_lower_index(unit_rows, rng, block, leave_one_out):
    rows = unit_rows(20, 8)[rng.integers(0, 20, ROWS)]
    found = search(rows, rows, 9, leave_one_out=leave_one_out)
    np.testing.assert_array_equal(found.indices, naive_search(rows, rows, 9, leave_one_out)[0])


def test_nearest_neighbors_are_the_search_of_all_rows_in_themselves(unit_rows):
    rows = unit_rows(ROWS, 16)
    graph, found = nearest_neighbors(rows, 6), search(rows, rows, 6, leave_one_out=True)
    assert type(graph) is type(found) is Graph
    np.testing.assert_array_equal(graph.indices, found.indices)
    np.testing.assert_allclose(graph.similarities, found.similarities, atol=1e-6)


def _sums(similarities, weights, power, names):
    """Of each query the weighted sum of its finite similarities to a power, under some names."""
    finite = jnp.where(jnp.isfinite(similarities), similarities, 0)
    return {name: (finite**power) @ weights for name in names}


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_over_similarities_gives_a_function_of_whole_rows(unit_rows, rng, block, leave_one_out):
    rows, weights = unit_rows(ROWS, 12), rng.random(ROWS).astype(np.float32)
    for power in (2.0, 3.0):
        found = over_similarities(
            _sums, rows, rows, weights, power, static=(("a", "b"),), leave_one_out=leave_one_out
        )
        similarities = naive_similarities(rows, rows, leave_one_out)
        expected = np.where(np.isfinite(similarities), similarities, 0) ** power @ weights
        assert found.keys() == {"a", "b"}
        for values in found.values():
            assert values.shape == (ROWS,)
            np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("k", "leave_one_out"), [(11, False), (10, True), (0, False)])
def test_bad_k(unit_rows, k, leave_one_out):
    rows = unit_rows(10, 4)
    with pytest.raises(ValueError, match=f"k={k} .* among {10 - leave_one_out} rows"):
        search(rows, rows, k, leave_one_out=leave_one_out)
