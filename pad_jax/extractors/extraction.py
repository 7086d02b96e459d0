"""From a folder of images to a file of their features."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pad_jax import data, outputs, progress
from pad_jax.data import classes
from pad_jax.data.augmentation import CropSettings
from pad_jax.data.decoding import UnreadableImage
from pad_jax.data.preparation import Pixels
from pad_jax.data.prepared.index import is_prepared
from pad_jax.data.selection import Selection
from pad_jax.data.source import DatasetSettings, Example, called
from pad_jax.errors import InputError
from pad_jax.extractors import ExtractorSpec, create
from pad_jax.extractors.views import Views
from pad_jax.extractors.work_folder import WorkFolder
from pad_jax.paths import expanded, lies_in
from pad_jax.settings import RunSettings, Settings

_log = logging.getLogger(__name__)

BATCH_SIZE = 64  # images at a time
DTYPES = ("float16", "float32")


def extract(
    spec: ExtractorSpec,
    images: str,
    output: str | os.PathLike,
    settings: Settings,
    *,
    views: int = 0,
    dtype: str = "float16",
    batch_size: int = BATCH_SIZE,
) -> tuple[int, int]:
    """Extracts the features of images and writes them to a file.

    The file, not compressed, so that it can be memory-mapped, has the arrays

      features: [N, D], or [1 + views, N, D]: of the image as it is, then of augmented views;
      labels: int64 [N], -1 where the class is not known; absent where none is;
      paths: bytes [N], relative to the folder ``images``, or that of the list; the names of images
        that have no file;
      extractor: JSON text: the spec with the image size that was used, ``views``, ``images``, and
        how these were decoded and resized.

    While it is made there is a folder beside it, ``FILE.npz.partial``. An interrupted call goes on
    from there when it is made again, and ends with the same file.

    Args:
      spec: the extractor.
      images: the folder, a list of images, or what holds them in Parquet.
      output: the file, ``.npz``.
      settings: of ``dataset`` their labels, how they are decoded and resized, and whether one that
        cannot be decoded stops the extraction (``strict``) or is left out; of ``augmentation`` and
        ``seed`` the views.
      views: how many augmented views.
      dtype: of the features, float16 or float32.
      batch_size: images at a time.

    Returns:
      N and D.

    Raises:
      InputError: where images, extractor or output cannot be used, or a half-done extraction was
        begun in another way.
    """
    output, images = _checked(output, images), os.path.abspath(os.path.expanduser(images))
    dataset = dataclasses.replace(
        settings[DatasetSettings],
        name="folder",
        root=images,
        image_size=spec.image_size or 1,  # this and LEAST_SIDE say at which size to decode
        stored_size=0,
    )
    source, decoding = _open(settings.replaced(dataset)), dataset.decoding
    augmented = Views(settings, batch_size) if views else None
    command = {
        "--extractor": spec.name,
        "--weights": spec.weights,
        "--image_size": spec.image_size,
        "--images": images,
        "--views": views,
        "--dtype": dtype,
        "batch_size": batch_size,
        "the number of images": len(source),
    }
    if views:
        command["--config.seed"] = settings[RunSettings].seed
        command["--config.augmentation"] = dataclasses.asdict(settings[CropSettings])
    for field in ("resize", "background"):
        if (value := getattr(dataset, field)) != getattr(DatasetSettings, field):
            command[f"--config.dataset.{field}"] = value
    inputs = _inputs(source, spec.weights)
    if dataset.labels:
        labels = dataset.labels
        if labels not in (classes.FOLDER, classes.NONE):
            labels = os.path.abspath(os.path.expanduser(labels))
            inputs["the file of labels"] = _stat(labels, "st_mtime_ns")
        command["--config.dataset.labels"] = labels
    work = WorkFolder(output, command, inputs, len(source))
    extractor = create(spec)
    strict = dataset.strict
    if strict and work.skipped:  # by an earlier call that was not
        raise UnreadableImage(source.name(work.skipped[0])).refused()
    size = extractor.image_size
    prepared = Pixels((size, size, 3), dataset.resize, decoding)
    decoded = _decoded(source, work.done, batch_size, prepared)
    left = len(source) - work.done
    with work.working(), source.counting_withheld(), contextlib.closing(decoded):
        for batch in progress.bar(decoded, left, "features", each=batch_size):
            readable, skipped = _sorted_out(batch, work.done, strict)
            labels = [-1 if label is None else label for _, label in readable]
            features = None
            if readable:
                pixels = np.stack([image for image, _ in readable])
                rows = np.arange(work.kept, work.kept + len(pixels))
                each = [pixels, *(augmented(pixels, rows, v + 1) for v in range(views))]
                features = _cast(np.stack([extractor(x) for x in each]), dtype, spec, work)
            work.add(features, labels, skipped, work.done + len(batch))
    if work.skipped:
        _log.warning("Skipped %d of %d images.", len(work.skipped), len(source))
    for decoder in source.decoders:
        decoder.tell()
    if not work.kept:
        raise InputError(f"--images={images}: not one image can be decoded; see the warnings above")
    left_out = set(work.skipped)
    paths = [os.fsencode(source.name(i)) for i in range(len(source)) if i not in left_out]
    used = dataclasses.replace(spec, image_size=size).as_dict()
    used |= {"resize": dataset.resize, "decoding": dataclasses.asdict(decoding)}
    base = os.path.dirname(images) if os.path.isfile(images) else images
    used |= {"views": views, "images": base}
    return work.pack(paths, json.dumps(used))


def _checked(output: str | os.PathLike, images: str) -> pathlib.Path:
    """The path of the file, before any work is done for it."""
    path = expanded(output)
    if path.suffix != ".npz":
        raise InputError(f"--output={output} is not the name of a .npz file; give FILE.npz")
    if path.exists():
        raise InputError(f"--output={output} exists; remove it, or choose another")
    if lies_in(path, expanded(images)):
        # Its work folder would be one of the classes.
        raise InputError(f"--output={output} lies inside of --images; choose a place outside of it")
    outputs.check_writable(f"--output={output}", path.absolute().parent, "choose another place")
    return path


def _open(settings: Settings) -> Selection:
    if is_prepared(root := settings[DatasetSettings].root):
        raise InputError(
            f"--images={root} holds prepared images, and an extractor wants them in full size; "
            "give the folder that they were made of"
        )
    with called("--images"):
        return data.training_samples(settings)


def _inputs(source: Selection, weights: str) -> dict[str, Any]:
    """What tells the files that are read from others, by name."""
    digest = hashlib.sha256()
    for i in range(len(source)):
        name, path = source.identity(i), source.path(i)
        size = None if path is None else _stat(path, "st_size")
        digest.update(f"{len(name)} {size} ".encode() + name)
    for file in source.files:
        digest.update(f"{_stat(file, 'st_size')} ".encode())
    return {
        "the names or sizes of the files": digest.hexdigest(),
        "the file of weights": _stat(weights, "st_mtime_ns"),
    }


def _stat(path: str | os.PathLike, field: str) -> int | None:
    """Size or date of a file; None where it cannot be looked at."""
    try:
        return getattr(os.stat(path), field)
    except OSError:
        return None


def _decoded(
    source: Selection, first: int, batch_size: int, prepared: Pixels
) -> Iterator[list[Example | UnreadableImage]]:
    """Batches of images of one size, in their order, by threads that are a batch ahead."""

    def read(i: int) -> Example | UnreadableImage:
        try:
            image, label = source[i]
        except UnreadableImage as error:
            return error
        return Example(prepared.fit(image), label)

    pool, waiting = ThreadPoolExecutor(), collections.deque()
    try:
        for start in range(first, len(source), batch_size):
            waiting.append(pool.map(read, range(start, min(start + batch_size, len(source)))))
            if len(waiting) > 1:
                yield list(waiting.popleft())
        while waiting:
            yield list(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _sorted_out(
    batch: list[Example | UnreadableImage], first: int, strict: bool
) -> tuple[list[Example], list[int]]:
    """Those of a batch that can be read, and the numbers of the others, counted from ``first``."""
    readable, skipped = [], []
    for i, example in enumerate(batch, first):
        if isinstance(example, Example):
            readable.append(example)
            continue
        if strict:
            raise example.refused()
        _log.warning("Skipped, cannot be decoded: %s", example)
        skipped.append(i)
    return readable, skipped


def _cast(features: np.ndarray, dtype: str, spec: ExtractorSpec, work: WorkFolder) -> np.ndarray:
    with np.errstate(over="ignore"):
        stored = features.astype(dtype)
    if not np.isfinite(stored).all():
        remove = f", and remove {work.folder}" if work.kept else ""
        raise InputError(
            f"--dtype={dtype} cannot hold the features of --extractor={spec.name}, which are up to "
            f"{np.abs(features).max():.3g}; give --dtype=float32{remove}"
        )
    return stored
