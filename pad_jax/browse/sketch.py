"""Groups and images in a few bytes each, by which the page itself tells what is near a name."""

from typing import NamedTuple

import numpy as np

from pad_jax.browse.ranges import unit_means
from pad_jax.data.selection import evenly
from pad_jax.graph.rows import divided_by_length

_WIDTH = 64  # numbers of a row
_IMAGES = 2000  # that stand for the pile
_LARGEST = 2**15 - 1


class Sketch(NamedTuple):
    """Rows whose cosines are, nearly, those of a space.

    Attributes:
      means: int16 [G, P], P at most 64: of the groups' means.
      places: int64 [M], images spread evenly over the pile.
      images: int16 [M, P], of these.
      reach: the cosine from which on an image counts as near a group.
    """

    means: np.ndarray
    places: np.ndarray
    images: np.ndarray
    reach: float


def sketch(rows: np.ndarray, start: np.ndarray, reach: float) -> Sketch:
    """Projects rows to the principal directions of the groups' means, and rounds.

    Args:
      rows: float32 [N, D], unit rows: the images by their places.
      start: int64 [G + 1], group g has the places start[g] .. start[g + 1] - 1.
      reach: the cosine from which on two are near each other.
    """
    places = evenly(len(rows), _IMAGES)
    if len(start) == 1:
        return Sketch(np.zeros((0, 1), np.int16), places, np.zeros((len(places), 1), np.int16), 1.0)
    means = unit_means(rows, start)
    basis = np.eye(rows.shape[1], dtype=np.float32)
    if len(basis) > _WIDTH:
        _, vectors = np.linalg.eigh((means.T @ means).astype(np.float64))
        basis = vectors[:, -_WIDTH:].astype(np.float32)
    return Sketch(_rounded(means @ basis), places, _rounded(rows[places] @ basis), float(reach))


def _rounded(rows: np.ndarray) -> np.ndarray:
    return np.rint(_LARGEST * divided_by_length(rows)).astype(np.int16)
