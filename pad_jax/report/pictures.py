"""Images as a page shows them: small, inline, with their names."""

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image

from pad_jax.data.images import Images

_SIDE = 64  # pixels of the page that the longer side takes, at most
_PNG_SIDE = 32  # up to here PNG is small enough, and exact
_UNKNOWN = np.full((1, 1, 1), 160, np.uint8)  # in place of an image that is not at hand


class Picture(NamedTuple):
    """One image of a page.

    Attributes:
      uri: the image itself, as a data URI.
      width, height: in pixels of the page.
      name: its name, and its class where that is known.
      wrong: whether it is of another class than it should be.
      note: what is written below it.
    """

    uri: str
    width: int
    height: int
    name: str
    wrong: bool = False
    note: str = ""


def pictures(
    images: Images,
    rows: np.ndarray,
    expected: int = -1,
    notes: Sequence[str] | None = None,
) -> list[Picture]:
    """Some images, in the order of their row numbers.

    Args:
      images: a set of images.
      rows: int [B], which of them.
      expected: the class they should have; those known to be of another one are marked wrong. -1
        where there is no such class.
      notes: what is written below each.
    """
    if not len(rows):
        return []
    labels = images.labels[rows].tolist()
    notes = notes or [""] * len(rows)
    with ThreadPoolExecutor() as pool:
        looks = list(pool.map(images.picture, rows.tolist()))
    return [
        Picture(
            *_inline(_UNKNOWN if pixels is None else pixels),
            name=images.names[row] + (f" ({class_name(images, label)})" if label >= 0 else ""),
            wrong=expected >= 0 and label >= 0 and label != expected,
            note=note,
        )
        for row, pixels, label, note in zip(rows.tolist(), looks, labels, notes, strict=True)
    ]


def class_name(images: Images, label: int) -> str:
    """What a class is called: by its name, where it has one."""
    return f"class {label}" if images.class_names is None else f"class {images.class_names[label]}"


def _inline(pixels: np.ndarray) -> tuple[str, int, int]:
    """uint8 [H, W, 1 or 3] -> (data URI, width, height): enlarged whole times by the page."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_SIDE, _SIDE))
    longer = max(image.size)
    buffer = io.BytesIO()
    kind = "png" if longer <= _PNG_SIDE else "jpeg"
    image.save(buffer, kind, **({} if kind == "png" else {"quality": 80}))
    times = max(1, _SIDE // longer)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind};base64,{data}", times * image.width, times * image.height
