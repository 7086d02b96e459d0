"""Stored images, ready for batches: held as one array, or read as they are needed."""

import collections
import os
import pathlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from pad_jax import progress
from pad_jax.data.images import Images, ResidentImages
from pad_jax.data.preparation import Pixels
from pad_jax.data.prepared.fitting import preparation
from pad_jax.data.selection import Selection
from pad_jax.data.source import DatasetSettings

_PIECE = 64  # images that a thread reads at a time
_HELD = 1024  # and where all are read
_AHEAD = 2  # batches that are read before they are asked for


class PreparedImages(Images):
    """Stored images, read by threads a little ahead of who takes them.

    Args:
      source: of them.
      prepared: what they go through.
      fingerprint: see ``Images``.
    """

    def __init__(self, source: Selection, prepared: Pixels, fingerprint: str):
        self._source, self.preparation, self.fingerprint = source, prepared, fingerprint
        self.labels, self.class_names = source.labels, source.class_names
        self.names = [source.name(i) for i in range(len(source))]
        self.path: Callable[[int], pathlib.Path | None] = source.path

    def __len__(self) -> int:
        return len(self.names)

    def batches(self, rows: np.ndarray, places: np.ndarray | None = None) -> Iterator[np.ndarray]:
        return self._read(rows, places, _PIECE)

    def picture(self, i: int) -> np.ndarray:
        return next(self._read(np.array([[i]]), None, 1))[0]

    def held(self) -> ResidentImages:
        """All of them, as one array."""
        array = np.empty((len(self), *self.shape), np.uint8)
        with ThreadPoolExecutor(_threads()) as pool:
            firsts = range(0, len(self), _HELD)
            parts = (np.arange(i, min(i + _HELD, len(self))) for i in firsts)
            done = pool.map(lambda part: self._fill(array[part[0] : part[-1] + 1], part), parts)
            for _ in progress.bar(done, len(self), "reading images", each=_HELD):
                pass
        return ResidentImages(
            array,
            self.labels,
            self.names,
            self.fingerprint,
            self.preparation,
            path=self.path,
            class_names=self.class_names,
        )

    def _read(
        self, rows: np.ndarray, places: np.ndarray | None, piece: int
    ) -> Iterator[np.ndarray]:
        """Batches in order; pieces of them are read by several threads."""
        pool = ThreadPoolExecutor(_threads())
        waiting: collections.deque[tuple[np.ndarray, list[Future]]] = collections.deque()

        def take() -> np.ndarray:
            batch, parts = waiting.popleft()
            for part in parts:
                part.result()
            return batch

        try:
            for i, line in enumerate(rows):
                batch = np.empty((len(line), *self.shape), np.uint8)
                own = None if places is None else places[i]
                parts = []
                for first in range(0, len(line), piece):
                    part = slice(first, first + piece)
                    of_part = None if own is None else own[part]
                    parts.append(pool.submit(self._fill, batch[part], line[part], of_part))
                waiting.append((batch, parts))
                if len(waiting) > _AHEAD:
                    yield take()
            while waiting:
                yield take()
        finally:
            pool.shutdown(cancel_futures=True)

    def _fill(self, out: np.ndarray, rows: np.ndarray, places: np.ndarray | None = None) -> None:
        """Reads some rows into an array, [B, *shape]."""
        for i, image in enumerate(self._source.read(rows)):
            out[i] = self._fitted(image, None if places is None else float(places[i]))

    def _fitted(self, image: np.ndarray, place: float | None) -> np.ndarray:
        """A stored image in the shape of all: of an oblong one the square at a place, 0 to 1.

        None stands for the middle, which is cut as ``Pixels.fit`` cuts it.
        """
        if image.shape == self.shape:
            return image
        side = min(image.shape[:2])
        is_ready = (side, side, image.shape[2]) == self.shape
        if self.preparation.resize == "crop" and (is_ready or place is not None):
            place = 0.5 if place is None else place
            top, left = (round(place * (length - side)) for length in image.shape[:2])
            image = image[top : top + side, left : left + side]
        return self.preparation.fit(image)


def prepare(source: Selection, settings: DatasetSettings) -> Images:
    """Stored images as a run takes them: in one array where they fit, else read as needed.

    Images of which squares are cut at random places are always read as needed.

    Nothing is decoded, and of images that are not held none is read but the first.

    Args:
      source: of one prepared folder.
      settings: of the run.

    Raises:
      InputError: where they cannot be taken so, or a file is damaged.
    """
    index = source.sources[0].index  # type: ignore[attr-defined]
    [first] = source.read(np.zeros(1, np.int64))
    prepared = preparation(settings, index, first.shape[2])
    images = PreparedImages(source, prepared, source.fingerprint(range(len(source))))
    is_small = len(images) * np.prod(images.shape) <= settings.max_resident_gib * 2**30
    # Of oblong images another square is cut each time: whether they fit must not change the run.
    is_random = prepared.view_size is not None and prepared.resize == "crop"
    is_cut = is_random and index.size != prepared.shape[:2]
    return images.held() if is_small and not is_cut else images


def _threads() -> int:
    return min(16, os.cpu_count() or 1)
