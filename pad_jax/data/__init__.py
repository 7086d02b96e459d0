"""Data: sources of images, their preparation, batches and augmentation."""

import logging
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from pad_jax.data.folder import FolderSource, check_distinct
from pad_jax.data.images import Images, prepare
from pad_jax.data.sources import Selection, Source, digits, npz
from pad_jax.data.tfds import TfdsSource
from pad_jax.errors import InputError

_log = logging.getLogger(__name__)


class Dataset(NamedTuple):
    """The training images and, where ``dataset.test_split`` names some, the test images."""

    train: Images
    test: Images | None


def load(config: ConfigDict) -> Dataset:
    """Opens the data set that ``config``, the field ``dataset`` of a run's config, describes.

    Raises:
      InputError: where it cannot be opened as described.
    """
    train_sources = _open_splits(config, config.train_split)
    test_sources = _open_splits(config, config.test_split) if config.test_split else []
    if config.name == "folder":
        check_distinct([*train_sources, *test_sources], config.root)
    train = _prepare(config, train_sources, config.max_images)
    test = _prepare(config, test_sources) if test_sources else None
    if test is not None and test.shape != train.shape:
        raise InputError(
            f"dataset: training images are of shape {train.shape}, test images of {test.shape}; "
            "set dataset.image_size and dataset.channels"
        )
    if len(set(train.labels.tolist()) - {-1}) == 1:
        # A pile in a sub-folder: every figure would be perfect.
        _log.info("All labels are of one class and not used.")
        train.labels = np.full_like(train.labels, -1)
    return Dataset(train, test)


def _open_splits(config: ConfigDict, splits: str) -> list[Source]:
    return [_open(config.name, config.root, split) for split in splits.split("+")]


def _prepare(config: ConfigDict, sources: list[Source], max_images: int | None = None) -> Images:
    return prepare(
        Selection(sources, max_images),
        image_size=config.image_size,
        channels=config.channels,
        strict=config.strict,
        max_resident_bytes=config.max_resident_gib * 2**30,
    )


def _open(name: str, root: str, split: str) -> Source:
    if name == "digits":
        return digits(split)
    if name == "npz":
        return npz(root, split)
    if name == "folder":
        return FolderSource(root, split)
    return TfdsSource(name, split, root)
