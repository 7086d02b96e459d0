"""The affinity graph against a float64 oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax import parallel
from pad_jax.graph import neighbors
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import search
from pad_jax.groupings import GroupingSettings, build_graph
from tests.support.neighbors_oracle import naive_neighbors
from tests.support.programs import equations


@pytest.mark.parametrize(("n", "k"), [(2, 1), (6, 5), (500, 5), (1031, 1), (1031, 20), (70, 69)])
def test_equals_the_oracle(unit_rows, n, k):
    features = unit_rows(n, 16)
    indices, similarities = nearest_neighbors(features, k)
    expected, expected_similarities = naive_neighbors(features, k)
    assert (indices.dtype, similarities.dtype) == (np.int32, np.float32)
    np.testing.assert_allclose(similarities, expected_similarities, atol=1e-6)
    np.testing.assert_array_equal(indices, expected)


@pytest.fixture(
    params=[
        {"rows": 32, "columns": 32},
        {"rows": 128, "columns": 32},
        {"rows": 192, "columns": 64},
        {"rows": 32, "columns": 32, "merged": 4, "in_passes": True},
        {"rows": 128, "columns": 64, "merged": 3, "in_passes": True},
        {"rows": 64, "columns": 64, "merged": 2, "in_passes": False},
    ],
    ids=str,
)
def small_tiles(request, monkeypatch):
    """Tiles so small that a few hundred rows take several blocks of several strips."""
    for name in ("_CPU", "_ACCELERATOR"):
        monkeypatch.setattr(neighbors, name, neighbors.Tiles(**request.param, gathered=2**12))


@pytest.mark.parametrize("n", [192, 193, 777])
def test_several_blocks_and_jax_input(small_tiles, unit_rows, n):
    features = unit_rows(n, 8)
    indices, similarities = nearest_neighbors(jnp.asarray(features), 7)
    expected, expected_similarities = naive_neighbors(features, 7)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(similarities, expected_similarities, atol=1e-6)


def test_padding_is_no_neighbor_where_all_others_are_dissimilar(small_tiles, rng):
    # Every similarity is negative; that to a row of zeros would not be.
    n = 197
    features = np.eye(n) - (1 + 0.5 * rng.random((n, n))) / n
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    expected, similarities = naive_neighbors(features, 3)
    assert similarities.max() < 0
    np.testing.assert_array_equal(nearest_neighbors(features, 3)[0], expected)


def test_all_others_are_neighbors_once(small_tiles, unit_rows):
    nearest = nearest_neighbors(unit_rows(197, 4), 196)[0]
    expected = np.broadcast_to(np.arange(197), (197, 197))[~np.eye(197, dtype=bool)]
    np.testing.assert_array_equal(np.sort(nearest, axis=1), expected.reshape(197, 196))


@pytest.mark.parametrize("different", [8, 150])
def test_ties_go_to_the_lower_index_across_blocks(small_tiles, unit_rows, rng, different):
    features = unit_rows(different, 8)[rng.integers(0, different, 600)]
    np.testing.assert_array_equal(
        nearest_neighbors(features, 9)[0], naive_neighbors(features, 9)[0]
    )


def test_longer_runs_where_rows_are_many(small_tiles, unit_rows, monkeypatch):
    used, search = [], neighbors._pmap_search
    monkeypatch.setattr(neighbors, "_ROWS_PER_NEIGHBOR", 0)  # 333 are many then
    monkeypatch.setattr(
        neighbors, "_pmap_search", lambda k, tiles, d: used.append(tiles.run) or search(k, tiles, d)
    )
    features = unit_rows(333, 8)
    found = nearest_neighbors(features, 7, platform="cpu")
    np.testing.assert_array_equal(found[0], naive_neighbors(features, 7)[0])
    assert used == [32]


@pytest.mark.parametrize(("platform", "n"), [("gpu", 5000), ("tpu", 500)])
def test_accelerators_find_the_same(unit_rows, rng, platform, n):
    features = unit_rows(200, 8)[rng.integers(0, 200, n)]
    found = nearest_neighbors(features, 6, platform=platform)
    np.testing.assert_array_equal(found.indices, naive_neighbors(features, 6)[0])


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_accelerators_sort_nothing_but_the_runs_looked_through(platform):
    # There XLA makes a top_k a sort of all that it is given; of the maxima there are N / 32 a row.
    n, k = 100_000, 5
    program = jax.make_jaxpr(neighbors.pmap_search(n, k, platform, tuple(jax.devices()[:1])))(
        jax.ShapeDtypeStruct((1,), np.int32), jax.ShapeDtypeStruct((n, 8), np.float32)
    )
    widths = [
        equation.invars[0].aval.shape[-1]
        for equation in equations(program)
        if equation.primitive.name in ("sort", "top_k")
    ]
    assert sorted(widths) == [k, k, 32 * k]


@pytest.mark.parametrize("k", [0, 10, 11])
def test_bad_k(unit_rows, k):
    with pytest.raises(ValueError, match=f"k={k}"):
        nearest_neighbors(unit_rows(10, 4), k)


def test_rows_of_zeros_are_an_error_for_users_and_none_in_training(unit_rows):
    rows = unit_rows(40, 4)
    graph = build_graph(rows, GroupingSettings(), None)
    np.testing.assert_array_equal(graph.indices, nearest_neighbors(rows, 5).indices)
    rows[7] = 0  # what an encoder of random weights makes of a black image
    graph = build_graph(rows, GroupingSettings(), None)
    assert (graph.similarities[7] == 0).all()
    np.testing.assert_array_equal(graph.indices, naive_neighbors(rows, 5)[0])
    with pytest.raises(ValueError, match="row 7 is all zeros"):
        nearest_neighbors(rows, 5)


def test_rows_that_all_devices_hold_are_not_copied(unit_rows, monkeypatch):
    rows = unit_rows(301, 8)
    expected = neighbors.exact_graph(rows, 5)
    held = parallel.rows_everywhere(parallel.shard_rows(rows), 301)

    def copied(*_):
        raise AssertionError("the rows were copied")

    for name in ("replicate", "fetch"):
        monkeypatch.setattr(parallel, name, copied)
    with pytest.raises(AssertionError, match="were copied"):
        neighbors.exact_graph(rows, 5)
    found = neighbors.exact_graph(held, 5)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.similarities, expected.similarities)


@pytest.mark.parametrize("k", [99, 1000])
def test_no_more_runs_are_looked_through_than_there_are(k):
    n, dim = 4000, 512
    program = jax.make_jaxpr(neighbors.pmap_search(n, k, "cpu", tuple(jax.devices()[:1])))(
        jax.ShapeDtypeStruct((1,), np.int32), jax.ShapeDtypeStruct((n, dim), np.float32)
    )
    gathered = [
        equation.outvars[0].aval.size
        for equation in equations(program)
        if equation.primitive.name == "gather" and equation.outvars[0].aval.shape[-1] == dim
    ]
    assert max(gathered) < n * (dim + 64)  # as it promises


def test_64_bits_change_nothing(unit_rows):
    rows = unit_rows(301, 8)
    expected = nearest_neighbors(rows, 5)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        for kind in (np.float32, np.float64):
            found = nearest_neighbors(rows.astype(kind), 5)
            assert [x.dtype for x in found] == [np.int32, np.float32]
            np.testing.assert_array_equal(found.indices, expected.indices)
        nearest = search(rows[:3], rows, 2)
    assert [x.dtype for x in nearest] == [np.int32, np.float32]
    assert nearest.indices[:, 0].tolist() == [0, 1, 2]


def test_what_is_no_number_of_neighbours(unit_rows):
    rows = unit_rows(7, 3)
    with pytest.raises(ValueError, match="there are 1 rows; give two or more"):
        nearest_neighbors(rows[:1], 1)
    for find in (lambda k: nearest_neighbors(rows, k), lambda k: search(rows, rows, k)):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            find(2.5)
        assert find(np.int64(2)).indices.shape == (7, 2)
