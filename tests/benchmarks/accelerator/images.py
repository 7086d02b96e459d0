"""The images of an archive or of a folder, decoded once: a run then begins at once."""

import pathlib
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sklearn.datasets import load_digits

from pad_jax import outputs
from pad_jax.data import image_kinds
from pad_jax.data.classes import numbered
from pad_jax.data.decoding import Decoder
from tests.benchmarks.accelerator.parts import Options, Skipped
from tests.benchmarks.accelerator.results import alone

_SPLITS = ("train", "test")


def decoded(options: Options) -> pathlib.Path:
    """The images as the data set ``npz`` takes them; made from ``options.data`` unless it is that.

    Raises:
      Skipped: where there are no images.
    """
    with alone(options.work):
        if not options.images.is_file():
            arrays = _arrays(options)
            with outputs.whole(options.images) as part, part.open("wb") as file:
                np.savez(file, **arrays)
    return options.images


def _arrays(options: Options) -> dict[str, np.ndarray]:
    if options.data is not None:
        return arrays_of(options.data)
    if options.sizes.on_accelerator:
        raise Skipped("it needs images: give --data")
    return _digits(options.sizes.pixels)


def arrays_of(data: pathlib.Path) -> dict[str, np.ndarray]:
    """Images and classes of ``[any/]split/class/file``, in the order of their names.

    Returns:
      x_train, x_test: uint8 [N, H, W, C]; y_train, y_test: int64 [N], numbers of classes by name.

    Raises:
      Skipped: where there are none of a split, or of several sizes.
    """
    kinds = image_kinds.readable()
    files = sorted(
        (path.parts[-3:], content)
        for path, content in _files(data)
        if path.suffix.lower() in kinds and len(path.parts) >= 3 and path.parts[-3] in _SPLITS
    )
    numbers = numbered({names[1] for names, _ in files})
    decode = Decoder()
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda file: decode(file[1], "/".join(file[0])), files))
    arrays = {}
    for split in _SPLITS:
        rows = [i for i, (names, _) in enumerate(files) if names[0] == split]
        if len({images[i].shape for i in rows}) != 1:
            raise Skipped(f"{data} has no images of one size in {split}/class/")
        arrays[f"x_{split}"] = np.stack([images[i] for i in rows])
        arrays[f"y_{split}"] = np.array([numbers[files[i][0][1]] for i in rows], np.int64)
    return arrays


def _digits(pixels: int) -> dict[str, np.ndarray]:
    """A few of scikit-learn's digits, of 8 px, in colour, for a rehearsal."""
    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.uint8)
    images = images.repeat(pixels // 8, 1).repeat(pixels // 8, 2)[..., None].repeat(3, 3)
    train, test = slice(0, 256), slice(256, 320)
    return {
        "x_train": images[train],
        "y_train": data.target[train],
        "x_test": images[test],
        "y_test": data.target[test],
    }


def _files(data: pathlib.Path) -> Iterator[tuple[pathlib.PurePath, bytes]]:
    """Names and bytes of all files; of an archive without writing any of them."""
    if data.is_dir():
        for path in data.rglob("*"):
            if path.is_file():
                yield path.relative_to(data), path.read_bytes()
        return
    with tarfile.open(data) as archive:
        for member in archive:
            if file := archive.extractfile(member):
                yield pathlib.PurePosixPath(member.name), file.read()
