"""Groups as ranges of places."""

import numpy as np

from pad_jax.graph.rows import divided_by_length


def unit_means(rows: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The mean of each group, of length one.

    Args:
      rows: float32 [N, D], unit rows, by their places.
      start: int [G + 1], group g has the places start[g] .. start[g + 1] - 1, at least one.

    Returns:
      float32 [G, D].
    """
    if len(start) == 1:
        return rows[:0]
    return divided_by_length(np.add.reduceat(rows[: start[-1]], start[:-1], axis=0))
