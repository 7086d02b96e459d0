"""Data: sources of images, their preparation, batches and augmentation."""

import logging
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from pad_jax.data.folder import FolderSource
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
    train = _load_split(config, config.train_split, config.max_images)
    test = _load_split(config, config.test_split) if config.test_split else None
    if test is not None and test.shape != train.shape:
        raise InputError(
            f"dataset: training images are of shape {train.shape}, test images of {test.shape}; "
            "set dataset.image_size and dataset.channels"
        )
    names = [*train.names, *(test.names if test is not None else ())]
    if config.name == "folder" and len(set(names)) < len(names):
        raise InputError(
            f"{config.root} has no folder 'train', so all its images are training images, those of "
            "the other splits too; move the training images into a folder of that name"
        )
    if len(set(train.labels.tolist()) - {-1}) == 1:
        # A pile in a sub-folder: every figure would be perfect.
        _log.info("All labels are of one class and not used.")
        train.labels = np.full_like(train.labels, -1)
    return Dataset(train, test)


def _load_split(config: ConfigDict, split: str, max_images: int | None = None) -> Images:
    return prepare(
        Selection([_open(config.name, config.root, part) for part in split.split("+")], max_images),
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
