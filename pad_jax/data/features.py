"""A file of features of images, in place of the images themselves."""

import dataclasses
import hashlib
import logging
import os
import pathlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pad_jax.data import csv_files, feature_files
from pad_jax.data.classes import FOLDER, NONE
from pad_jax.data.decoding import Decoding, decode_if_possible
from pad_jax.data.preparation import FEATURES
from pad_jax.data.source import DatasetSettings, Example
from pad_jax.errors import InputError
from pad_jax.paths import expanded
from pad_jax.settings import RESULTS, Settings, any_text, refuse, setting

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FeatureSettings:
    """What stands beside a file of features."""

    SECTION: ClassVar[str] = "dataset"

    paths: str = setting(
        "",
        "features: a text file of the images' paths, one a line, or a CSV file with a column "
        "image; '' for the file's own",
        any_text(),
        affects=RESULTS,
    )


class Files:
    """The files of the images that features are of, by row; it does not hold the features.

    Args:
      paths: of each row; "" or None where it is not known.
      bases: folders that a path may begin in.
    """

    def __init__(self, paths: Sequence[str] | None, bases: Sequence[pathlib.Path]):
        self._paths, self._bases = paths, bases

    def __call__(self, i: int) -> pathlib.Path | None:
        """The file of row i, absolute; None where it is not found."""
        if self._paths is None or not self._paths[i]:
            return None
        candidates = (base / expanded(self._paths[i]) for base in self._bases)
        return next((path.absolute() for path in candidates if os.path.isfile(path)), None)

    def place(self, i: int) -> pathlib.Path | None:
        """Where the file of row i is, or was; None where nobody knows."""
        if (found := self(i)) is not None or self._paths is None or not self._paths[i]:
            return found
        return self._bases[0] / expanded(self._paths[i])


class Pictures:
    """The images that features are of, by row: uint8 [H, W, 1 or 3], None where not at hand."""

    def __init__(self, files: Files, decoding: Decoding):
        self._files, self._decoding = files, decoding

    def __call__(self, i: int) -> np.ndarray | None:
        path = self._files(i)
        return None if path is None else decode_if_possible(path, self._decoding)


class FeatureSource:
    """Rows of a file of features.

    ``dataset.root`` is the file, whose one split is "train", or a folder of files with the names of
    splits: train.npz, test.npz.
    """

    SETTINGS = (FeatureSettings,)
    kind = FEATURES

    def __init__(self, settings: Settings, split: str):
        root, labels = settings[DatasetSettings].root, settings[DatasetSettings].labels
        if labels in (FOLDER, NONE) or csv_files.has_names(expanded(labels)):
            labels = ""  # they are found by the images' names
        paths = settings[FeatureSettings].paths
        path = _file_of(root, split)
        for field, value in (("labels", labels), ("paths", paths)):
            if value and expanded(root).is_dir():
                refuse(f"dataset.{field}", value, "dataset.root is a folder; put it in its files")
        found = feature_files.read(path)
        if labels:
            found = found._replace(labels=feature_files.read_labels(expanded(labels)))
            feature_files.check_labels(f"dataset.labels={labels}", found)
        if paths:
            found = found._replace(paths=feature_files.read_paths(expanded(paths)))
            feature_files.check_paths(f"dataset.paths={paths}", found)
        self._split, self._paths = split, found.paths
        self._features, self.extractor = found.features, found.extractor
        unknown = np.full(len(self), -1)
        self.labels = unknown if found.labels is None else found.labels
        if found.features.dtype.itemsize > 4:
            _log.info("%s: %s is read as float32.", path, found.features.dtype)
        # Where paths that are not absolute may begin.
        made_of = (found.extractor or {}).get("images")
        bases = [pathlib.Path(made_of)] if made_of else []
        bases += [pathlib.Path(), *([expanded(paths).parent] if paths else []), path.parent]
        self.path = Files(found.paths, bases)
        self.place = self.path.place
        self.picture = Pictures(self.path, settings[DatasetSettings].decoding)

    def __len__(self) -> int:
        return self._features.shape[-2]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Features of some rows, float16 or float32: int [B] -> [B, D] or, of views, [B, V, D]."""
        if self._features.ndim == 2:
            taken = np.asarray(self._features[rows])
        else:
            taken = np.asarray(self._features[:, rows]).swapaxes(0, 1)
        if taken.dtype.itemsize <= 4:
            return taken
        with np.errstate(over="ignore"):  # infinity is looked for later
            return taken.astype(np.float32)

    def __getitem__(self, i: int) -> Example:
        label = int(self.labels[i])
        return Example(self.take(np.array([i]))[0], None if label < 0 else label)

    def name(self, i: int) -> str:
        return f"{self._split}/{i}" if self._paths is None else self._paths[i]

    def identity(self, i: int) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(self[i].image)).digest()

    def shares_images_with(self, other: "FeatureSource") -> bool:
        return False  # splits of two names are two files


def _file_of(root: str, split: str) -> pathlib.Path:
    if not root:
        raise InputError("dataset.root is not set; give the file with your features")
    path = expanded(root)
    if path.is_dir():
        files = [path / f"{split}{suffix}" for suffix in feature_files.SUFFIXES]
        found = [file for file in files if file.is_file()]
        if len(found) != 1:
            names = " or ".join(file.name for file in found or files)
            what = "more than one file" if found else "no file"
            hint = "" if found else "; --mode=features makes one of a folder of images"
            raise InputError(
                f"dataset.root={root} has {what} of split {split!r}; give it {names}{hint}"
            )
        return found[0]
    if split != "train":
        raise InputError(
            f"dataset.root={root} is one split, train; for {split!r} give a folder with a file of "
            "features for each"
        )
    return path
