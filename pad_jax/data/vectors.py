"""Features as a run's samples: looked through once, standardised as they are read."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pad_jax.data.images import Images, ResidentImages
from pad_jax.data.preparation import Standardization
from pad_jax.data.source import Selection
from pad_jax.errors import InputError

_BLOCK = 2**22  # numbers looked at at a time


class Vectors(Images):
    """Features read when they are needed: from memory, or from a file mapped into it."""

    def __init__(
        self,
        selection: Selection,
        labels: np.ndarray,
        names: list[str],
        fingerprint: str,
        preparation: Standardization,
    ):
        self._selection, self.preparation = selection, preparation
        self.labels, self.names, self.fingerprint = labels, names, fingerprint

    def __len__(self) -> int:
        return len(self._selection)

    def batches(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        return (self.preparation(self._selection.take(line)) for line in rows)

    def picture(self, i: int) -> np.ndarray | None:
        return self._selection.picture(i)


def prepare(
    selection: Selection, like: Standardization | None, *, max_resident_bytes: float
) -> Images:
    """Looks through features, and holds them where they fit.

    Args:
      selection: features of one length and number of views.
      like: the standardisation of the training set, for a test set; None to make one.
      max_resident_bytes: the largest set that is held as one array, of float32.

    Raises:
      InputError: for a number that is not finite, a feature that is the same in every row, and
        features of another length than those of ``like``.
    """
    seen = _look_through(selection)
    size = len(seen.mean)
    if like is None:
        constant = np.flatnonzero(seen.deviation == 0)
        if len(constant) and selection.is_whole:
            raise InputError(
                f"dataset: {len(constant)} of {size} features are the same in every row, the first "
                f"in column {constant[0]}; leave them out: features[..., features.std(-2) > 0]"
            )
        deviation = np.where(seen.deviation == 0, 1, seen.deviation)
        mean, deviation = (x.astype(np.float32) for x in (seen.mean, deviation))
        like = Standardization(mean, deviation, seen.num_views, selection.extractor)
    elif size != len(like.mean) or seen.num_views != like.num_views:
        own = Standardization(seen.mean, seen.deviation, seen.num_views)
        raise InputError(f"dataset: a sample is {own}; it has to be {like}, as in training")
    n = len(selection)
    labels = [selection[i].label for i in range(n)]
    vectors = Vectors(
        selection,
        np.array([-1 if label is None else label for label in labels], np.int64),
        [selection.name(i) for i in range(n)],
        seen.fingerprint,
        like,
    )
    if 4 * n * np.prod(like.shape) > max_resident_bytes:
        return vectors
    array = np.empty((n, *like.shape), np.float32)
    for rows in _blocks(n, array[0].size):
        array[rows] = like(selection.take(rows))
    return ResidentImages(
        array, vectors.labels, vectors.names, vectors.fingerprint, like, vectors.picture
    )


class _Seen(NamedTuple):
    """What one pass over features tells; mean and deviation are those of the images as they are."""

    mean: np.ndarray
    deviation: np.ndarray
    num_views: int | None
    fingerprint: str


def _look_through(selection: Selection) -> _Seen:
    digest, count, mean, scatter = hashlib.sha256(), 0, 0.0, 0.0
    first = selection.take(np.arange(1))[0]
    for rows in _blocks(len(selection), first.size):
        block = selection.take(rows)
        digest.update(np.ascontiguousarray(block))
        finite = np.isfinite(block).all(tuple(range(1, block.ndim)))
        if not finite.all():
            name = selection.name(rows[np.argmin(finite)])
            raise InputError(f"dataset: features of {name} are not all finite; leave that row out")
        plain = (block if block.ndim == 2 else block[:, 0]).astype(np.float64)
        # Moments of two sets together (Chan et al. 1983): no sum of squares that cancels.
        own, n = plain.mean(0), len(plain)
        step = own - mean
        scatter += np.square(plain - own).sum(0) + step**2 * (count * n / (count + n))
        count += n
        mean = mean + step * (n / count)
    num_views = None if first.ndim == 1 else len(first)
    return _Seen(mean, np.sqrt(scatter / count), num_views, digest.hexdigest())


def _blocks(n: int, size: int) -> Iterator[np.ndarray]:
    """Row numbers, so many at a time that their samples of this size are a block."""
    each = max(1, _BLOCK // size)
    return (np.arange(i, min(i + each, n)) for i in range(0, n, each))
