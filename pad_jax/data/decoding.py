"""One decoder of image files, for every place that reads some."""

import os

import numpy as np
from PIL import Image, ImageOps

from pad_jax.data.source import UnreadableImage


def decode(path: str | os.PathLike) -> np.ndarray:
    """The image of a file, upright: uint8 [H, W, 1] if it is grey, else [H, W, 3].

    Raises:
      UnreadableImage: naming the file, where it cannot be decoded.
    """
    try:
        with Image.open(path) as file:
            return _to_array(ImageOps.exif_transpose(file))
    except Exception as error:  # whatever Pillow's decoders and its reader of EXIF raise
        raise UnreadableImage(f"{path}: {error}") from error


def _to_array(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips
        return (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)[..., None]
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no fixed range; convert it to 8 bits")
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))
