"""Anybody's features as rows of length one."""

import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax.graph import rows as rows_module
from pad_jax.graph.rows import unit_rows as normalised


def naive(x):
    x = np.asarray(x).astype(np.float64)
    return x / np.sqrt((x**2).sum(1, keepdims=True))


def test_unit_rows_stay_the_array_they_are(unit_rows):
    rows = unit_rows(50, 16)
    assert normalised(rows) is rows
    short = rows * np.float32(1 - 5e-7)
    assert normalised(short) is short


@pytest.mark.parametrize("decimals", [4, 5, "float16"])
def test_rows_rounded_after_they_were_divided_are_divided_again(unit_rows, decimals):
    """As in a file of half precision, or of text."""
    rows = unit_rows(200, 128)
    rounded = rows.astype(np.float16) if decimals == "float16" else rows.round(decimals)
    np.testing.assert_allclose(normalised(rounded), naive(rounded), atol=1e-6)


@pytest.mark.parametrize("at_once", [16, 100, 2**20])
def test_only_other_rows_are_divided(unit_rows, rng, monkeypatch, at_once):
    monkeypatch.setattr(rows_module, "_AT_ONCE", at_once)
    x = unit_rows(50, 16)
    other = rng.random(50) < 0.3
    x[other] *= rng.uniform(1.001, 30, (other.sum(), 1)).astype(np.float32)
    before = x.copy()
    found = normalised(x)
    np.testing.assert_array_equal(found[~other], x[~other])
    np.testing.assert_allclose(found[other], naive(x)[other], atol=1e-7)
    np.testing.assert_array_equal(x, before)  # the caller's array is nobody's else


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "bfloat16", "uint8", "int32", "int64", "bool"]
)
def test_any_numbers(rng, dtype):
    x = rng.integers(0, 2, (20, 5)) if dtype == "bool" else rng.integers(1, 100, (20, 5))
    x[:, 0] = 1
    x = np.asarray(jnp.asarray(x, jnp.bfloat16)) if dtype == "bfloat16" else x.astype(dtype)
    found = normalised(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive(x), atol=1e-7)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_very_large_and_small_numbers(rng, scale):
    x = rng.standard_normal((10, 4))
    np.testing.assert_allclose(normalised(x * scale), naive(x), atol=1e-7)


@pytest.mark.parametrize(("value", "message"), [(0, "all zeros"), (np.nan, "not finite")])
@pytest.mark.parametrize("at_once", [8, 2**20])
def test_rows_without_a_direction_are_named(unit_rows, monkeypatch, value, message, at_once):
    monkeypatch.setattr(rows_module, "_AT_ONCE", at_once)
    x = unit_rows(50, 4)
    x[[33, 40]] = value
    with pytest.raises(ValueError, match=f"row 33 is {message}"):
        normalised(x)
    x[33, 1:], x[33, 0] = 1, np.inf
    with pytest.raises(ValueError, match="row 33 is not finite"):
        normalised(x)


@pytest.mark.parametrize(
    "x",
    [
        *(np.ones(3), np.ones((2, 2, 2)), np.array([["a"]]), np.ones((2, 2)) * 1j),
        *(np.array([["3", "4"]], object), np.array([[1.0, None]], object)),
    ],
)
def test_other_arrays(x):
    with pytest.raises(ValueError, match=r"real numbers \[N, D\]"):
        normalised(x)


def test_a_table_of_columns_of_several_types():
    rows = np.array([[1, 2.0, True], [3, 0.5, False]], object)
    np.testing.assert_array_equal(normalised(rows), normalised(rows.astype(np.float64)))


def test_no_rows():
    assert normalised(np.zeros((0, 4))).shape == (0, 4)
