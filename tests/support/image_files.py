"""Files of images that tests make."""

import pathlib

import numpy as np
from PIL import Image


def save(path: pathlib.Path, array: np.ndarray, **options) -> None:
    """Writes an image, and the folders that it lies in where there are none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
