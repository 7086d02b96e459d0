"""A folder of images: ``split/class/file`` as in torchvision's ImageFolder, or a part of that."""

import os
import pathlib

import numpy as np
from PIL import Image, ImageOps

from pad_jax.data.sources import Example, UnreadableImage
from pad_jax.errors import InputError

_SUFFIXES = {
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip


class FolderSource:
    """The images below a folder, in the order of their paths.

    Images inside a sub-folder have its name for a class, those directly in the folder none.

    Args:
      root: a folder.
      split: a folder in it. "train" stands for ``root`` itself where there is no such folder.
    """

    def __init__(self, root: str, split: str):
        if not root:
            raise InputError("dataset.root is not set; give the folder with your images")
        folder = pathlib.Path(root).expanduser()
        if not folder.is_dir():
            raise InputError(
                f"dataset.root={root!r} is not a folder; give the one with your images"
            )
        if (folder / split).is_dir():
            folder /= split
        elif split != "train":
            found = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir())) or "none"
            raise InputError(f"{root} has no folder {split!r} for that split; it has: {found}")
        self._paths = sorted(_image_paths(folder))
        if not self._paths:
            raise InputError(
                f"{folder} has no images; dataset.root must hold files of the kinds "
                + " ".join(sorted(_SUFFIXES))
            )
        classes = [
            parts[0] if len(parts := path.relative_to(folder).parts) > 1 else None
            for path in self._paths
        ]
        numbers = {name: i for i, name in enumerate(sorted({c for c in classes if c is not None}))}
        self._labels = [numbers.get(name) for name in classes]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, i: int) -> Example:
        """Example i, its image uint8 [H, W, 1] if it is grey, else [H, W, 3]."""
        path = self._paths[i]
        try:
            with Image.open(path) as file:
                return Example(_to_array(ImageOps.exif_transpose(file)), self._labels[i])
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UnreadableImage(f"{path}: {error}") from error


def _image_paths(folder: pathlib.Path):
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = pathlib.Path(parent, name)
            if path.suffix.lower() in _SUFFIXES and not name.startswith("."):
                yield path


def _to_array(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion clips
        wide = np.asarray(image).astype(np.int64)
        return (wide >> 8 if wide.max() > 255 else wide).astype(np.uint8)[..., None]
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[..., None]
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))
