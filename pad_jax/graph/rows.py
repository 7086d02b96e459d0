"""Rows of features on the host: of length one, and in blocks of one shape."""

from collections.abc import Iterator

import numpy as np


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their length, [N, D] -> [N, D]; a row of zeros stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def padded_blocks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Rows, [N, D], as blocks of float32 [size, D]: one shape, so that JAX compiles once.

    The last one is filled up with zeros.
    """
    for first in range(0, len(rows), size):
        block = np.zeros((size, rows.shape[1]), np.float32)
        block[: len(rows) - first] = rows[first : first + size]
        yield block
