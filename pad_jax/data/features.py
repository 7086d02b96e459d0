"""A file of features of images, in place of the images themselves."""

import dataclasses
import hashlib
import logging
import pathlib
from typing import ClassVar

import numpy as np

from pad_jax.data import feature_files
from pad_jax.data.decoding import decode
from pad_jax.data.preparation import FEATURES
from pad_jax.data.source import DatasetSettings, Example, UnreadableImage
from pad_jax.errors import InputError
from pad_jax.settings import RESULTS, Settings, any_text, setting

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FeatureSettings:
    """What stands beside a file of features."""

    SECTION: ClassVar[str] = "dataset"

    labels: str = setting(
        "",
        "features: a file of their classes, .npy or a class a line; '' for the file's own",
        any_text(),
        affects=RESULTS,
    )
    paths: str = setting(
        "",
        "features: a text file of the images' paths, one a line; '' for the file's own",
        any_text(),
        affects=RESULTS,
    )


class FeatureSource:
    """Rows of a file of features.

    ``dataset.root`` is the file, whose one split is "train", or a folder of files with the names of
    splits: train.npz, test.npz.
    """

    SETTINGS = (FeatureSettings,)
    kind = FEATURES

    def __init__(self, settings: Settings, split: str):
        root, feature_settings = settings[DatasetSettings].root, settings[FeatureSettings]
        path = _file_of(root, split)
        found = feature_files.read(path)
        if feature_settings.labels:
            found = found._replace(labels=feature_files.read_labels(_path(feature_settings.labels)))
            feature_files.check_labels(f"dataset.labels={feature_settings.labels}", found)
        if feature_settings.paths:
            found = found._replace(paths=feature_files.read_paths(_path(feature_settings.paths)))
            feature_files.check_paths(f"dataset.paths={feature_settings.paths}", found)
        self._split, self._labels, self._paths = split, found.labels, found.paths
        self._features, self.extractor = found.features, found.extractor
        self._is_double = found.features.dtype.itemsize > 4
        if self._is_double:
            _log.info("%s: %s is read as float32.", path, found.features.dtype)
        # Where paths that are not absolute begin.
        beside = [path, _path(feature_settings.paths)] if feature_settings.paths else [path]
        self._bases = [pathlib.Path(), *(p.parent for p in beside)]
        if found.extractor and "images" in found.extractor:
            self._bases.insert(0, pathlib.Path(found.extractor["images"]))

    def __len__(self) -> int:
        return self._features.shape[-2]

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Features of some rows, float16 or float32: int [B] -> [B, D] or, of views, [B, V, D]."""
        if self._features.ndim == 2:
            taken = np.asarray(self._features[rows])
        else:
            taken = np.asarray(self._features[:, rows]).swapaxes(0, 1)
        return taken.astype(np.float32) if self._is_double else taken

    def __getitem__(self, i: int) -> Example:
        label = None if self._labels is None or self._labels[i] < 0 else int(self._labels[i])
        return Example(self.take(np.array([i]))[0], label)

    def name(self, i: int) -> str:
        return f"{self._split}/{i}" if self._paths is None else self._paths[i]

    def identity(self, i: int) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(self[i].image)).digest()

    def picture(self, i: int) -> np.ndarray | None:
        """The image of row i, uint8 [H, W, 1 or 3]; None where it is not found or readable."""
        if self._paths is None:
            return None
        for base in self._bases:
            try:
                return decode(base / self._paths[i])
            except UnreadableImage:
                continue
        return None

    def shares_images_with(self, other: "FeatureSource") -> bool:
        return False  # splits of two names are two files


def _path(name: str) -> pathlib.Path:
    return pathlib.Path(name).expanduser()


def _file_of(root: str, split: str) -> pathlib.Path:
    if not root:
        raise InputError("dataset.root is not set; give the file with your features")
    path = _path(root)
    if path.is_dir():
        files = [path / f"{split}{suffix}" for suffix in feature_files.SUFFIXES]
        found = next((file for file in files if file.is_file()), None)
        if found is None:
            names = " or ".join(file.name for file in files)
            raise InputError(f"dataset.root={root} has no features of split {split!r}; add {names}")
        return found
    if split != "train":
        raise InputError(
            f"dataset.root={root} is one split, train; for {split!r} give a folder with a file of "
            "features for each"
        )
    return path
