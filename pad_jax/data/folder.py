"""A folder of images: ``split/class/file`` as in torchvision's ImageFolder, or a part of that."""

import collections
import logging
import os
import pathlib

from pad_jax.data.decoding import decode
from pad_jax.data.source import DatasetSettings, Example
from pad_jax.errors import InputError
from pad_jax.settings import Settings

_log = logging.getLogger(__name__)

_SUFFIXES = {
    ".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif",
    ".tiff", ".webp",
}  # fmt: skip


def folder(settings: Settings, split: str) -> "FolderSource":
    """A split of the folder that ``dataset.root`` names."""
    return FolderSource(settings[DatasetSettings].root, split)


class FolderSource:
    """The images below a folder, in the order of their paths.

    Images inside a sub-folder have its name for a class, those directly in the folder none. Classes
    are numbered by their names over all splits, so that a number means the same in each.

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
        self._root, class_parents, beside = folder, [folder], []
        if (folder / split).is_dir():
            folder /= split
            visible = [p for p in folder.parent.iterdir() if p.name[0] != "."]
            class_parents = [p for p in visible if p.is_dir() and os.access(p, os.R_OK | os.X_OK)]
            beside = sorted({p.name for p in visible} - {folder.name})
        elif split != "train":
            found = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir())) or "none"
            raise InputError(f"{root} has no folder {split!r} for that split; it has: {found}")
        files = sorted(_files(folder))
        self.paths = [path for path in files if path.suffix.lower() in _SUFFIXES]
        if not self.paths:
            raise InputError(
                f"{folder} has no images; dataset.root must hold files of the kinds "
                + " ".join(sorted(_SUFFIXES))
            )
        names = sorted({p.name for parent in class_parents for p in parent.iterdir() if p.is_dir()})
        numbers = {name: i for i, name in enumerate(names)}
        # The first part of an image's path is its class, or the file itself.
        parts = (path.relative_to(folder).parts for path in self.paths)
        self._labels = [numbers[p[0]] if len(p) > 1 else None for p in parts]
        _log.info("%s: %s", folder, self._summary(files, beside))

    def _summary(self, files: list[pathlib.Path], beside: list[str]) -> str:
        """What was found, and what of the user's files is not among it."""
        classes, without = len(set(self._labels) - {None}), self._labels.count(None)
        text = f"{len(self.paths)} images, {classes or 'no'} class{'es' * (classes != 1)}"
        if classes and without:
            text += f" ({without} in none)"
        kinds = collections.Counter(path.suffix.lower() or "without ending" for path in files)
        others = [f"{n} {kind}" for kind, n in kinds.most_common() if kind not in _SUFFIXES]
        if others:
            text += f"; left out, of other kinds: {_some(others)}"
        if beside:
            text += f"; not in this split: {_some(beside)}"
        return text

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, i: int) -> str:
        return str(self.paths[i].relative_to(self._root))

    def path(self, i: int) -> pathlib.Path:
        return self.paths[i].absolute()

    def identity(self, i: int) -> bytes:
        return os.fsencode(self.name(i))

    def shares_images_with(self, other: "FolderSource") -> bool:
        """Raises InputError where ``root`` itself stands for one of the two."""
        if set(self.paths).isdisjoint(other.paths):
            return False
        raise InputError(
            f"{self._root} has no folder 'train', so all its images are training images, those of "
            "the other splits too; move the training images into a folder of that name"
        )

    def __getitem__(self, i: int) -> Example:
        """Example i, its image uint8 [H, W, 1] if it is grey, else [H, W, 3]."""
        return Example(decode(self.paths[i]), self._labels[i])


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def _files(folder: pathlib.Path):
    """All files below a folder but hidden ones."""
    seen = set()  # links may lead in circles
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if (real := os.path.realpath(parent)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (pathlib.Path(parent, name) for name in names if not name.startswith("."))
