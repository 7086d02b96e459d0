"""A run's images, or others, with their embeddings by its encoder, which its folder keeps."""

import collections
import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pad_jax import progress
from pad_jax.data.preparation import FEATURES, PIXELS, Preparation
from pad_jax.data.selection import Selection
from pad_jax.data.source import DatasetSettings, UnreadableImage
from pad_jax.errors import InputError
from pad_jax.paths import expanded
from pad_jax.run import cache, checkpoints

if TYPE_CHECKING:
    from pad_jax.model import Model

_log = logging.getLogger(__name__)

OWN, OTHERS = "own", "others"

_READ_BY = ("background", "labels", "max_megapixels")  # besides what the run was trained with
_AHEAD = {PIXELS: 256, FEATURES: 32}  # images decoded before they are embedded; those of features
# are in full size, for their extractor
_BLOCK = 2**22  # numbers of features read at a time


class Embedded(NamedTuple):
    """What an encoder makes of images.

    Attributes:
      embeddings: float32 [M, D], unit rows.
      rows: int64 [M], which of the N images could be decoded, in order.
      labels: int64 [M], -1 where the class is not known.
    """

    embeddings: np.ndarray
    rows: np.ndarray
    labels: np.ndarray


def embedded(
    selection: Selection,
    settings: DatasetSettings,
    workdir: pathlib.Path,
    epoch: int,
    load: Callable[[], "Model"],
    *,
    name: str = OWN,
) -> Embedded:
    """The embeddings of images by a run's encoder: those its folder keeps, or new ones.

    They are kept in ``cache/NAME.npz``, with what they depend on: the checkpoint, the settings, the
    images' names, and sizes and times of all files that images or labels are in, or the features
    and labels themselves. What is kept of others is not used, but replaced.

    Args:
      selection: N images, or features of images.
      settings: of the data set they are of: how they are decoded, and whether one that cannot be is
        an error (``strict``), or said and left out.
      workdir: the run's folder.
      epoch: of its checkpoint.
      load: gives the run's model; not called where the embeddings are there.
      name: of the file: OWN for those of the run's own images, OTHERS.

    Raises:
      InputError: where an image cannot be decoded with ``strict``, or none can, or the system does
        not give a file.
    """
    key = _key(selection, settings, workdir, epoch)
    kept = cache.read(workdir, name, key, Embedded._fields)
    if kept is not None and len({len(np.atleast_1d(array)) for array in kept.values()}) == 1:
        return Embedded(**kept)
    made = embed(selection, load(), strict=settings.strict)
    cache.write(workdir, name, key, made._asdict())
    return made


def embed(selection: Selection, encoder: "Model", *, strict: bool) -> Embedded:
    """Embeds images as they are decoded, so that few are held at a time; see ``embedded``."""
    count = len(selection)
    if selection.kind == FEATURES:
        rows, labels = np.arange(count), np.asarray(selection.labels, np.int64)
        blocks = progress.bar(_features(selection), count, "embedding", each=_block(selection))
        embeddings = [encoder.embed(block) for block in blocks]
        return Embedded(np.concatenate(embeddings), rows, labels)
    reader = _Reader(selection, encoder.preparation, strict)
    with selection.counting_withheld():
        embeddings = encoder.embed(progress.bar(reader, count, "embedding"))
    for decoder in selection.decoders:
        decoder.tell()
    if reader.skipped:
        _log.warning("Skipped %d of %d images.", reader.skipped, count)
    if not len(embeddings):
        raise InputError("dataset: not one of the images can be decoded; see the warnings above")
    return Embedded(embeddings, np.array(reader.rows), np.array(reader.labels, np.int64))


class _Reader:
    """Images decoded by threads, in order; those that cannot be are left out.

    Attributes:
      rows, labels: of those passed on so far.
      skipped: how many were left out.
    """

    def __init__(self, selection: Selection, preparation: Preparation, strict: bool):
        self._selection, self._preparation, self._strict = selection, preparation, strict
        self.rows: list[int] = []
        self.labels: list[int] = []
        self.skipped = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        waiting: collections.deque[tuple[int, Future]] = collections.deque()
        ahead = _AHEAD[self._preparation.kind]
        pool = ThreadPoolExecutor((os.cpu_count() or 1) + 2)
        try:
            for i in range(len(self._selection)):
                waiting.append((i, pool.submit(self._read, i)))
                if len(waiting) >= ahead:
                    yield from self._next(*waiting.popleft())
            while waiting:
                yield from self._next(*waiting.popleft())
        finally:  # who stops does not wait for what is not begun
            pool.shutdown(cancel_futures=True)

    def _read(self, i: int) -> tuple[np.ndarray, int]:
        image, label = self._selection[i]
        if self._preparation.kind == PIXELS:  # small from here on
            (image,) = self._preparation.new([image])
        return image, -1 if label is None else label

    def _next(self, i: int, future: Future) -> Iterable[np.ndarray]:
        try:
            image, label = future.result()
        except UnreadableImage as error:
            if self._strict:
                raise error.refused() from None
            _log.warning("Skipped, cannot be decoded: %s", error)
            self.skipped += 1
            return []
        self.rows.append(i)
        self.labels.append(label)
        return [image]


def _features(selection: Selection) -> Iterator[np.ndarray]:
    """Features block by block, float [B, F]; of views that of the image as it is."""
    size = _block(selection)
    for first in range(0, len(selection), size):
        block = selection.take(np.arange(first, min(first + size, len(selection))))
        yield block if block.ndim == 2 else block[:, 0]


def _block(selection: Selection) -> int:
    return max(1, _BLOCK // selection.take(np.arange(1)).size)


def _key(selection: Selection, settings: DatasetSettings, workdir: pathlib.Path, epoch: int) -> str:
    """Tells these images and labels, embedded by this checkpoint, from all others."""
    saved = checkpoints.saved_at(workdir, epoch)
    read_by = [getattr(settings, field) for field in _READ_BY]
    digest = hashlib.sha256(json.dumps([epoch, saved, read_by]).encode())
    if selection.kind == FEATURES:
        for block in _features(selection):
            digest.update(np.ascontiguousarray(block))
        digest.update(np.asarray(selection.labels, np.int64))
        return digest.hexdigest()
    # Names are those of one data set: another one may have images of the same names.
    root = expanded(settings.root).absolute() if settings.root else ""
    digest.update(json.dumps([settings.name, os.fspath(root)]).encode())
    for file in (root, expanded(settings.labels), *selection.files):
        digest.update(_stamp(file) if os.path.isfile(file) else b"-")
    for i in range(len(selection)):
        identity, path = selection.identity(i), selection.path(i)
        file = b"" if path is None else _stamp(path)
        digest.update(len(identity).to_bytes(8, "big") + identity + file)
    return digest.hexdigest()


def _stamp(path: str | os.PathLike) -> bytes:
    """Changes with the file, which may be gone."""
    try:
        found = os.stat(path)
    except OSError:
        return b"?"
    return f"{found.st_size} {found.st_mtime_ns}".encode()
