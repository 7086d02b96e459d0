"""Rows of features on the host: of length one, and in blocks of one shape."""

import numbers
from collections.abc import Iterator

import numpy as np
from jax import dtypes

_REAL = (np.floating, np.integer, np.bool_)  # bfloat16 is floating for JAX alone
_TOLERANCE = 1e-6  # of the length of a row that counts as one already: what float32 leaves
_AT_ONCE = 2**20  # numbers looked at in float64 at a time


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Anybody's features as rows of length one, so that dot products are cosines.

    Args:
      x: numbers of any real dtype [N, D], rows of any length but zero.

    Returns:
      float32 [N, D]. Rows whose length is within 1e-6 of one are as they were, bit for bit, so that
      embeddings stay what they are; others are divided by their length. Where all are so, and x is
      a float32 array, it is x itself.

    Raises:
      ValueError: if x is no array of rows; for a row that is all zeros, which has no direction, or
        not finite, named by its number.
    """
    x = np.asarray(x)
    if x.dtype == object and all(isinstance(cell, (numbers.Real, np.bool_)) for cell in x.flat):
        x = x.astype(np.float64)  # as of a table whose columns are of several types
    if x.ndim != 2 or not any(dtypes.issubdtype(x.dtype, kind) for kind in _REAL):
        raise ValueError(f"rows must be real numbers [N, D], not {x.dtype} {list(x.shape)}")
    with np.errstate(over="ignore"):  # of numbers beyond float32, in rows that are divided below
        result = x.astype(np.float32, copy=False)
    block = max(1, _AT_ONCE // max(x.shape[1], 1))
    for first in range(0, len(x), block):
        # Scaled by the largest number first: nothing overflows, and the sum of squares is exact
        # enough to tell rows of length one.
        rows = x[first : first + block].astype(np.float64)
        largest = np.abs(rows).max(1, initial=0.0)
        _refuse(~np.isfinite(largest), first, "is not finite; leave it out")
        _refuse(largest == 0, first, "is all zeros, and similar to nothing; leave it out")
        rows /= largest[:, None]
        length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        other = np.abs(length * largest - 1) > _TOLERANCE
        if other.any():
            if result is x:
                result = x.copy()
            result[first : first + block][other] = rows[other] / length[other, None]
    return result


def _refuse(bad: np.ndarray, first: int, what: str) -> None:
    if bad.any():
        raise ValueError(f"row {first + int(np.argmax(bad))} {what}")


def divided_by_length(rows: np.ndarray) -> np.ndarray:
    """Every row divided by its length, [N, D] -> [N, D]; a row of zeros stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def sampled(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows, [N, D], or so many of them at random where there are more."""
    return rows if len(rows) <= count else rows[rng.choice(len(rows), count, replace=False)]


def padded_blocks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Rows, [N, D], as blocks of float32 [size, D]: one shape, so that JAX compiles once.

    The last one is filled up with zeros.
    """
    for first in range(0, len(rows), size):
        block = np.zeros((size, rows.shape[1]), np.float32)
        block[: len(rows) - first] = rows[first : first + size]
        yield block
