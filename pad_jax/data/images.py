"""Samples of one shape, ready for batches: held as one array, or streamed where they do not fit."""

import concurrent.futures
import itertools
import logging
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from pad_jax import progress
from pad_jax.data import copies, reading
from pad_jax.data.decoding import DEFAULT, Decoding, UnreadableImage
from pad_jax.data.preparation import Pixels, Preparation
from pad_jax.data.selection import Selection
from pad_jax.data.source import Source
from pad_jax.errors import InputError

_log = logging.getLogger(__name__)


class Images(Protocol):
    """Images of one shape, or features of images, with their labels, row by row.

    Attributes:
      preparation: what they went through.
      labels: int64 [N], -1 where the class is not known. For evaluators and diagnostics only.
      names: what a user finds each image by.
      fingerprint: tells these images from others, in hexadecimal; "" where nobody has to.
      class_names: of the labels 0, 1, ...; None where they have none.
      sizes: as ``Selection.sizes``, of images that were decoded from files; else of none.
    """

    preparation: Preparation
    labels: np.ndarray
    names: list[str]
    fingerprint: str
    class_names: tuple[str, ...] | None = None
    sizes: Sequence[int] = ()

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one of them: (H, W, C) for images."""
        return self.preparation.shape

    def batches(self, rows: np.ndarray, places: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """For each line of the row numbers, int [S, B], the samples, [B, *shape].

        Args:
          rows: which.
          places: float [S, B], 0 to 1, where along its longer side a square is cut out of an image
            that is kept in its own proportions; None for the middle. Others are squares already.
        """
        ...

    def picture(self, i: int) -> np.ndarray | None:
        """What row i looks like, uint8 [H, W, 1 or 3]; None where that is not known."""
        ...

    def path(self, i: int) -> pathlib.Path | None:
        """The file of row i, absolute; None where it has none, or nobody knows."""
        ...


class ResidentImages(Images):
    """Samples held as one array, [N, *shape], small enough for each device's memory.

    Args:
      array: the samples.
      labels, names, fingerprint: see ``Images``.
      preparation: what they went through; by default that of images.
      picture: of a row, for features; images are their own.
      path: of a row's file; by default there is none.
      class_names, sizes: see ``Images``.
    """

    def __init__(
        self,
        array: np.ndarray,
        labels: np.ndarray,
        names: list[str],
        fingerprint: str = "",
        preparation: Preparation | None = None,
        picture: Callable[[int], np.ndarray | None] | None = None,
        path: Callable[[int], pathlib.Path | None] = lambda i: None,
        class_names: tuple[str, ...] | None = None,
        sizes: Sequence[int] = (),
    ):
        self.array, self.labels, self.names, self.fingerprint = array, labels, names, fingerprint
        self.preparation = preparation or Pixels(array.shape[1:])
        self._picture, self._path = picture or array.__getitem__, path
        self.class_names, self.sizes = class_names, sizes

    def __len__(self) -> int:
        return len(self.array)

    def batches(self, rows: np.ndarray, places: np.ndarray | None = None) -> Iterator[np.ndarray]:
        return (self.array[line] for line in rows)

    def picture(self, i: int) -> np.ndarray | None:
        return self._picture(i)

    def path(self, i: int) -> pathlib.Path | None:
        return self._path(i)


def held(images: Images, rows: np.ndarray) -> ResidentImages:
    """Some of the images, int [M], as one array."""
    [array] = images.batches(rows[None])
    return ResidentImages(
        array,
        images.labels[rows],
        [images.names[i] for i in rows.tolist()],
        preparation=images.preparation,
        picture=lambda i: images.picture(rows[i]),
        class_names=images.class_names,
    )


def few(images: Images, count: int) -> ResidentImages:
    """Up to so many of the images, held; which ones depends on nothing but their number."""
    return held(images, np.sort(np.random.default_rng(0).permutation(len(images))[:count]))


class StreamedImages(Images):
    """Images decoded when they are needed, by threads that read ahead."""

    def __init__(
        self,
        source: Selection,
        rows: np.ndarray,
        preparation: Pixels,
        labels: np.ndarray,
        names: list[str],
        fingerprint: str,
        sizes: Sequence[int] = (),
    ):
        self._source, self._rows, self.preparation = source, rows, preparation
        self.class_names = source.class_names
        self.labels, self.names, self.fingerprint = labels, names, fingerprint
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, rows: np.ndarray, places: np.ndarray | None = None) -> Iterator[np.ndarray]:
        import grain  # not at the top: resident sets do without

        options = grain.ReadOptions(num_threads=_threads(), prefetch_buffer_size=2 * rows.shape[1])
        wanted = grain.MapDataset.source(_Wanted(self, rows.reshape(-1)))
        return iter(wanted.to_iter_dataset(options).batch(rows.shape[1]))

    def picture(self, i: int) -> np.ndarray:
        """The image of one row, uint8 [H, W, C].

        Raises:
          InputError: where it cannot be read any more.
        """
        row = self._rows[i]
        try:
            image = reading.patiently(
                lambda: self._source[row].image,
                self.names[i],
                again_after=(UnreadableImage, reading.Withheld),
            )
        except UnreadableImage as error:
            raise InputError(
                f"{error}; it could be decoded when the command began. Put it back as it was, and "
                "give the same command again"
            ) from None
        return self.preparation.fit(image)

    def path(self, i: int) -> pathlib.Path | None:
        return self._source.path(int(self._rows[i]))


class _Wanted:
    """The images of a list of rows, as grain reads them."""

    def __init__(self, images: StreamedImages, rows: np.ndarray):
        self._images, self._rows = images, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._images.picture(self._rows[i])


def prepare(
    source: Source | Selection,
    *,
    image_size: int | None,
    channels: int | None,
    strict: bool,
    max_resident_bytes: float,
    resize: str = "crop",
    decoding: Decoding = DEFAULT,
) -> Images:
    """Reads a source: finds what can be decoded, and holds it where it fits.

    Args:
      source: images of any sizes and one or three channels.
      image_size: side of the square images are resized to; None where all have one shape already.
      channels: 1 or 3, to which images are converted; None for the first image's own.
      strict: whether an image that cannot be decoded stops the run; else it is reported and
        left out.
      max_resident_bytes: the largest set that is held as one array.
      resize: how images that are no squares become some, see ``preparation.fit``.
      decoding: how the source decodes its files.

    Raises:
      InputError: for an unreadable image with ``strict``, images of several shapes without
        ``image_size``, a source without a readable image, and a file that the system does not give.
    """
    if not isinstance(source, Selection):
        source = Selection([source])
    with source.counting_withheld():
        return _prepared(source, image_size, channels, strict, max_resident_bytes, resize, decoding)


def _prepared(
    source: Selection,
    image_size: int | None,
    channels: int | None,
    strict: bool,
    max_resident_bytes: float,
    resize: str,
    decoding: Decoding,
) -> Images:
    shape = _common_shape(source, image_size, channels)
    preparation = Pixels(shape, resize, decoding)
    resident = len(source) * np.prod(shape) <= max_resident_bytes
    array = np.empty((len(source) if resident else 0, *shape), np.uint8)
    labels = np.full(len(source), -1, np.int64)
    enlarged = np.zeros(len(source), bool)
    digests = [b""] * len(source)

    def read(i):
        """Reads example i; what is wrong with it, or None."""
        try:
            image, label = source[i]
        except UnreadableImage as error:
            return str(error)
        if image_size is None and image.shape[:2] != shape[:2]:
            raise InputError(
                f"dataset: images are of several sizes ({shape[0]}x{shape[1]}, "
                f"{image.shape[0]}x{image.shape[1]}); set dataset.image_size"
            )
        if resident:
            array[i] = preparation.fit(image)
        enlarged[i] = preparation.enlarges(image)
        if source.decoders:
            digests[i] = copies.digest(image)
        if label is not None:
            labels[i] = label
        return None

    pool = concurrent.futures.ThreadPoolExecutor(_threads())
    try:
        blocks = range(0, len(source), 4096)  # so many tasks wait at a time, not millions
        done = (pool.map(read, range(i, min(i + 4096, len(source)))) for i in blocks)
        done = itertools.chain.from_iterable(done)
        failures = list(progress.bar(done, len(source), "reading images"))
    finally:
        pool.shutdown(cancel_futures=True)  # who stops does not wait for all that is planned
    rows = np.flatnonzero([failure is None for failure in failures])
    unreadable = [failure for failure in failures if failure is not None]
    for failure in unreadable:
        if strict:
            raise UnreadableImage(failure).refused()
        _log.warning("Skipped, cannot be decoded: %s", failure)
    if unreadable:
        _log.warning("Skipped %d of %d images.", len(unreadable), len(source))
    if not len(rows):
        raise InputError("dataset: not one of the images can be decoded; see the warnings above")
    for decoder in source.decoders:
        decoder.tell()
    if enlarged.any() and source.decoders:  # arrays have a size that is known to who gives them
        _log.warning(
            "%d of %d images are smaller than dataset.image_size=%d; they are enlarged to it.",
            *(enlarged.sum(), len(rows), image_size),
        )
    if source.decoders:
        copies.tell([digests[i] for i in rows.tolist()])
    names = [source.name(i) for i in rows.tolist()]
    fingerprint = source.fingerprint(rows.tolist())
    sizes = source.sizes(rows) if source.decoders else ()
    if not resident:
        return StreamedImages(source, rows, preparation, labels[rows], names, fingerprint, sizes)
    if len(rows) < len(source):
        array = array[rows]
    path = source.path
    return ResidentImages(
        array,
        labels[rows],
        names,
        fingerprint,
        preparation,
        path=lambda i: path(int(rows[i])),
        class_names=source.class_names,
        sizes=sizes,
    )


def _common_shape(source, image_size, channels):
    """(H, W, C) of the images once they are read; the first readable one tells what is not set."""
    if image_size is not None and channels is not None:
        return (image_size, image_size, channels)
    for i in range(len(source)):
        try:
            shape = source[i].image.shape
        except UnreadableImage:
            continue
        size = shape[:2] if image_size is None else (image_size, image_size)
        return (*size, channels or shape[2])
    raise InputError("dataset: not one of the images can be decoded")


def _threads() -> int:
    return min(32, (os.cpu_count() or 1) + 4)
