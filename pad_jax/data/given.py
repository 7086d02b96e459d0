"""Images as a user gives them: arrays, PIL images, paths, a folder; one after the other.

However many they are, few are held at a time: threads decode a little ahead of who takes them.
"""

import collections
import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pad_jax.data.decoding import UnreadableImage, from_pillow
from pad_jax.data.folder import FolderSource
from pad_jax.data.lists import SUFFIXES
from pad_jax.data.parquet_images import SUFFIX
from pad_jax.data.preparation import Pixels, as_pixels, refuse_one_image
from pad_jax.data.reading import Withheld
from pad_jax.data.source import WHOLE, called
from pad_jax.errors import InputError

_log = logging.getLogger(__name__)

Path = str | os.PathLike
Given = np.ndarray | Path | Iterable[np.ndarray | Image.Image | Path]

# What waits for its turn: so many images, and of those that are no files so many bytes.
_AHEAD = 256
_AHEAD_BYTES = 2**26


class Item(NamedTuple):
    """One image.

    Attributes:
      name: what an error calls it.
      image: an array, a PIL image or a path.
      of_folder: whether a folder was given and this is one of its files.
    """

    name: str
    image: Any
    of_folder: bool = False


def items(images: Given, name: str = "images") -> Iterator[Item]:
    """What is given, one by one; what is one image alone is refused.

    Args:
      images: see ``Model.embed``.
      name: of the argument.

    Raises:
      InputError: for a folder that cannot be used.
      ValueError, TypeError: for what is one image, or nothing of the kind.
    """
    if isinstance(images, str | os.PathLike):
        for path in _files(images, name):
            yield Item(f"{name}: {path}", path, of_folder=True)
        return
    if isinstance(images, Image.Image):
        raise ValueError(f"{name} is one image; give a list, [image]")
    images = _as_array(images)
    refuse_one_image(images, name)
    for i, image in enumerate(_iter(images, name)):
        yield Item(f"{name}[{i}]", image)


def looked_at(images: Any, name: str) -> tuple[bool, Any]:
    """Whether what is given is images, and not features; and the same again, from the first on."""
    if _is_image(images):
        return True, images
    images = _as_array(images)
    if isinstance(images, np.ndarray) and images.dtype != object:
        return False, images
    each = _iter(images, name)
    first = list(itertools.islice(each, 1))
    return any(map(_is_image, first)), itertools.chain(first, each)


def blocks(features: Iterable, size: int) -> Iterator[Any]:
    """Features, so many rows at a time: an array, or any iterable of rows."""
    if isinstance(features, np.ndarray):
        yield from (features[i : i + size] for i in range(0, len(features), size))
        return
    each = iter(features)
    while block := list(itertools.islice(each, size)):
        yield block


def batches(images: Given, pixels: Pixels, size: int, name: str = "images") -> Iterator[np.ndarray]:
    """The images, prepared: uint8 [b, *pixels.shape] each, b = ``size`` but for the last batch.

    Args:
      images: see ``Model.embed``.
      pixels: what they go through.
      size: of a batch.
      name: of the argument.

    Raises:
      InputError: for a file that cannot be decoded, or a folder that cannot be used.
      ValueError, TypeError: for what is no image.
    """
    images = _as_array(images)
    if (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and images.shape[1:] == pixels.shape
    ):  # nothing is left to be done
        yield from (images[i : i + size] for i in range(0, len(images), size))
        return
    ready: list[np.ndarray] = []
    for image in _prepared(items(images, name), pixels):
        ready.append(image)
        if len(ready) == size:
            yield np.stack(ready)
            ready = []
    if ready:
        yield np.stack(ready)


def _prepared(images: Iterator[Item], pixels: Pixels) -> Iterator[np.ndarray]:
    """Each image, uint8 ``pixels.shape``, in order, by threads that are a little ahead."""
    pool = ThreadPoolExecutor()
    waiting: collections.deque[tuple[Future | np.ndarray, int]] = collections.deque()
    held = 0

    def next_one() -> Iterator[np.ndarray]:
        nonlocal held
        image, size = waiting.popleft()
        held -= size
        image = image.result() if isinstance(image, Future) else image
        if image is not None:
            yield image

    try:
        for item in images:
            if isinstance(item.image, str | os.PathLike):
                waiting.append((pool.submit(_read, item, pixels), 0))
            else:
                array = _as_pixels(item, pixels)
                is_done = array.shape == pixels.shape
                waiting.append((array if is_done else pool.submit(pixels.fit, array), array.nbytes))
                held += array.nbytes
            while len(waiting) > _AHEAD or held > _AHEAD_BYTES:
                yield from next_one()
        while waiting:
            yield from next_one()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(item: Item, pixels: Pixels) -> np.ndarray | None:
    """The prepared image of a file; None where a folder's file cannot be decoded."""
    try:
        return pixels.read(item.image)
    except Withheld as error:
        if os.path.isdir(item.image):
            raise InputError(
                f"{item.name} is a folder, {item.image}; give it by itself, not in a list"
            ) from None
        if not os.path.lexists(item.image):
            raise InputError(f"{item.name}: there is no file {item.image}") from None
        raise error
    except UnreadableImage as error:
        if item.of_folder:
            _log.warning("Skipped, cannot be decoded: %s", error)
            return None
        raise InputError(
            f"{item.name} cannot be decoded ({error}); mend it or leave it out"
        ) from None


def _as_pixels(item: Item, pixels: Pixels) -> np.ndarray:
    """An array, or a PIL image, as uint8 [H, W, 1 or 3]."""
    try:
        if isinstance(item.image, Image.Image):
            # Here and not in a thread: one that comes twice would be loaded by two at a time.
            return from_pillow(item.image, pixels.decoding)
        return as_pixels(item.image)
    except UnreadableImage as error:
        raise InputError(
            f"{item.name} cannot be decoded ({error}); mend it or leave it out"
        ) from None
    except ValueError as error:
        raise ValueError(f"{item.name}: {error}") from None


def _files(path: Path, name: str) -> list:
    """The images of a folder, in the order in which a run trains on them."""
    path = os.path.expanduser(path)
    if os.path.isfile(path) and os.path.splitext(path)[1].lower() in (*SUFFIXES, SUFFIX):
        raise ValueError(f"{name}={path!r} holds several images; give a list of their paths")
    if os.path.isfile(path):
        raise ValueError(f"{name}={path!r} is one image; give a list, [{path!r}]")
    with called(name):
        return FolderSource(path, WHOLE).paths


def _is_image(image: Any) -> bool:
    """Whether a thing is an image or several, and not features."""
    if isinstance(image, Image.Image | str | os.PathLike):
        return True
    return getattr(_as_array(image), "dtype", None) == np.uint8


def _as_array(images: Any) -> Any:
    """Arrays of other libraries as NumPy's; all else as it is."""
    return np.asarray(images) if hasattr(images, "__array__") else images


def _iter(images: Any, name: str) -> Iterator:
    try:
        return iter(images)
    except TypeError:
        raise TypeError(
            f"{name} is a {type(images).__name__}; give arrays, PIL images, paths or a folder"
        ) from None
