"""Features as a run's samples: looked through once, standardised as they are read."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from pad_jax.data.images import Images, ResidentImages
from pad_jax.data.preparation import Standardization
from pad_jax.data.selection import Selection
from pad_jax.errors import InputError

_log = logging.getLogger(__name__)
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
        self.picture, self.path = selection.picture, selection.path
        self.class_names = selection.class_names

    def __len__(self) -> int:
        return len(self._selection)

    def batches(self, rows: np.ndarray, places: np.ndarray | None = None) -> Iterator[np.ndarray]:
        return (self.preparation(self._selection.take(line)) for line in rows)


def prepare(
    selection: Selection, like: Standardization | None, *, max_resident_bytes: float
) -> Images:
    """Looks through features, and holds them where they fit.

    Args:
      selection: features.
      like: the standardisation of the training set, for a test set; None to make one.
      max_resident_bytes: the largest set that is held as one array, of float32.

    Raises:
      InputError: for features of several lengths, or of another one than those of ``like``; for a
        number that is not finite; and for a feature that is the same in every row.
    """
    extractor = _one_extractor(selection, like)
    _check_shapes(selection)
    seen = _look_through(selection)
    if like is None:
        mean, deviation = seen.mean, _usable(seen.deviation, selection, extractor)
        mean, deviation = (x.astype(np.float32) for x in (mean, deviation))
    elif len(seen.mean) == len(like.mean):
        mean, deviation = like.mean, like.deviation
    else:
        raise InputError(
            f"dataset: a sample has {len(seen.mean)} features; it has to have {len(like.mean)}, as "
            "in training"
        )
    preparation = Standardization(mean, deviation, seen.num_views, extractor)
    n = len(selection)
    vectors = Vectors(
        selection,
        selection.labels,
        [selection.name(i) for i in range(n)],
        seen.fingerprint,
        preparation,
    )
    if 4 * n * np.prod(preparation.shape) > max_resident_bytes:
        return vectors
    array = np.empty((n, *preparation.shape), np.float32)
    for rows in _blocks(n, array[0].size):
        array[rows] = preparation(selection.take(rows))
    return ResidentImages(
        array,
        vectors.labels,
        vectors.names,
        vectors.fingerprint,
        preparation,
        vectors.picture,
        vectors.path,
        vectors.class_names,
    )


def _one_extractor(selection: Selection, like: Standardization | None) -> Mapping | None:
    """What made the features, where that is known; features of several things are refused."""
    known = [getattr(source, "extractor", None) for source in selection.sources]
    known = [made_by for made_by in [like and like.extractor, *known] if made_by is not None]
    for made_by in known[1:]:
        for key in ("name", "weights", "image_size"):
            if made_by.get(key) != known[0].get(key):
                raise InputError(
                    f"dataset: features are of several extractors ({key} is {known[0].get(key)!r} "
                    f"and {made_by.get(key)!r}); extract all of them in one way"
                )
    return known[0] if known else None


def _check_shapes(selection: Selection) -> None:
    """Raises InputError for sources whose samples differ in shape."""
    shapes = {np.shape(source[0].image) for source in selection.sources}
    if len(shapes) > 1:
        raise InputError(
            f"dataset: splits have samples of several shapes ({shapes}); make them one"
        )


def _usable(deviation: np.ndarray, selection: Selection, extractor: Mapping | None) -> np.ndarray:
    """Deviations to divide by: 1 for a feature that is the same in every row.

    That is likely of a part of a set, and of a network's units, not of numbers of the user's own.
    """
    constant = np.flatnonzero(deviation == 0)
    if len(constant) and selection.is_whole and extractor is None:
        raise InputError(
            f"dataset: {len(constant)} of {len(deviation)} features are the same in every row, the "
            f"first in column {constant[0]}; leave these columns out, in the files of all splits"
        )
    if len(constant):
        _log.info("Ignored: %d of %d features, the same everywhere.", len(constant), len(deviation))
    return np.where(deviation == 0, 1, deviation)


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
