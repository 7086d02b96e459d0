"""The source of a prepared folder's images."""

import logging
import os
import pathlib

import numpy as np

from pad_jax.data import classes
from pad_jax.data.prepared import index as indices
from pad_jax.data.prepared.records import Shards
from pad_jax.data.source import DatasetSettings, Example
from pad_jax.errors import InputError
from pad_jax.paths import expanded
from pad_jax.settings import Settings

_log = logging.getLogger(__name__)


class PreparedSource:
    """The images of a split, as they are stored.

    They have the names, the labels and the order that they had in their source. ``path`` is the
    original's, as long as that is there.

    Args:
      settings: of a run; ``dataset.root`` is the folder.
      split: one of those that were prepared.

    Attributes:
      index: what the folder holds.

    Raises:
      InputError: where the folder or one of its files is not as it was written, or has no such
        split.
    """

    def __init__(self, settings: Settings, split: str):
        root = settings[DatasetSettings].root
        folder = expanded(root)
        if not (folder / indices.FILE).exists():
            raise InputError(f"dataset.root={root!r} {_what_else(folder)}")
        self.index = indices.read(folder)
        if split not in self.index.splits:
            there = ", ".join(self.index.splits)
            raise InputError(f"{root} was prepared without split {split!r}; it has: {there}")
        self._split = split
        own = self._own = self.index.splits[split]
        self._shards = Shards(folder, own.shards, self.index.fingerprint)
        if not len(self._shards) == len(own.names) == len(own.labels):
            raise InputError(f"{folder / indices.FILE} is damaged: it has other images than shards")
        self.files = [folder / indices.FILE]
        self.labels = np.array(own.labels, np.int64)
        self.class_names, self.has_folders = own.class_names, own.has_folders
        left_out = len(own.unreadable)
        said = f"; {left_out} more could not be decoded ({indices.FILE})" if left_out else ""
        known = [None if label < 0 else label for label in own.labels]
        _log.info("%s, %s, prepared: %s%s", folder, split, classes.counted(known), said)

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, i: int) -> Example:
        label = int(self.labels[i])
        return Example(self._shards.read(np.array([i]))[0], None if label < 0 else label)

    def read(self, rows: np.ndarray) -> list[np.ndarray]:
        """The images of some rows, int [B], of any shapes."""
        return self._shards.read(rows)

    def name(self, i: int) -> str:
        return self._own.names[i]

    def path(self, i: int) -> pathlib.Path | None:
        """The original of image i; None where it had no file, or that is gone."""
        place = self.place(i)
        return place if place is not None and place.is_file() else None

    def place(self, i: int) -> pathlib.Path | None:
        """Where the original of image i was; None where it had no file."""
        if self._own.base is None:
            return None
        return pathlib.Path(self._own.base, os.path.expanduser(self._own.names[i]))

    def identity(self, i: int) -> bytes:
        """Its name, with what tells the folder's images from others of their names."""
        return f"{self.index.fingerprint} ".encode() + os.fsencode(self.name(i))

    def shares_images_with(self, other: "PreparedSource") -> bool:
        return self._split == other._split  # others were looked at before they were prepared


def _what_else(folder: pathlib.Path) -> str:
    """Why a folder is none of prepared images, and what to do."""
    if (folder / indices.BEGUN).exists():
        return "is not prepared to its end; give the command of --mode=prepare again"
    return f"is no folder of prepared images (no {indices.FILE}); make one by --mode=prepare"
