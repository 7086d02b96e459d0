"""Data: sources of images or of their features, preparation, batches and augmentation."""

import importlib.util
import itertools
import logging
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from pad_jax import registry
from pad_jax.data import classes, images, reading, vectors
from pad_jax.data.images import Images
from pad_jax.data.preparation import FEATURES, PIXELS, Preparation, Standardization
from pad_jax.data.prepared import index, streaming
from pad_jax.data.prepared.source import PreparedSource
from pad_jax.data.selection import Selection
from pad_jax.data.source import WHOLE, DatasetSettings, Source, refuse_overlap
from pad_jax.paths import expanded
from pad_jax.settings import Settings, refuse

_log = logging.getLogger(__name__)

# What opens a data set, by dataset.name: f(settings, split) -> Source.
SOURCES = {
    "digits": "pad_jax.data.arrays:digits",
    "npz": "pad_jax.data.arrays:npz",
    "folder": "pad_jax.data.folder:folder",
    "list": "pad_jax.data.lists:ListSource",
    "parquet": "pad_jax.data.parquet_images:ParquetSource",
    "prepared": "pad_jax.data.prepared.source:PreparedSource",
    "features": "pad_jax.data.features:FeatureSource",
}
_OTHERS = "pad_jax.data.tfds:tfds"  # opens every other name


class Dataset(NamedTuple):
    """The training images and, where ``dataset.test_split`` names some, the test images."""

    train: Images
    test: Images | None


def load(settings: Settings, like: Preparation | None = None) -> Dataset:
    """Opens the data set that ``dataset`` of a run's settings describes.

    Args:
      settings: of a run.
      like: what the samples of a trained run went through; its statistics of features are these
        samples' as well.

    Raises:
      InputError: where it cannot be opened as described.
    """
    dataset_settings = settings[DatasetSettings]
    train_sources, test_sources = _opened_apart(settings)
    labelling = classes.chosen(dataset_settings.labels, [*train_sources, *test_sources])
    chosen = Selection(train_sources, dataset_settings.max_images, labelling)
    train = _prepare(dataset_settings, chosen, like)
    test = None
    if test_sources:
        held_out = Selection(test_sources, classes=labelling)
        test = _prepare(dataset_settings, held_out, train.preparation)
    is_pixels = train.preparation.kind == PIXELS  # features may have views in training alone
    if is_pixels and test is not None and test.shape != train.shape:
        refuse(
            "dataset.image_size",
            dataset_settings.image_size,
            f"training images are of shape {train.shape}, test images of {test.shape}; "
            "set dataset.image_size and dataset.channels",
        )
    if len(set(train.labels.tolist()) - {-1}) == 1:
        # A pile in a sub-folder: every figure would be perfect.
        deeper = "; if classes lie deeper, give dataset.root a folder further down"
        are_folders = classes.are_folders(dataset_settings.labels, train_sources)
        _log.info("All labels are of one class and not used%s.", deeper if are_folders else "")
        train.labels = np.full_like(train.labels, -1)
    classes.warn_of_many(train.labels, train.class_names)
    return Dataset(train, test)


def sources(settings: Settings) -> dict[str, Source]:
    """The sources of all splits that ``dataset`` of a run's settings names, by these names.

    Raises:
      InputError: where one cannot be opened as described, or two have images in common.
    """
    dataset = settings[DatasetSettings]
    train_sources, test_sources = _opened_apart(settings)
    names = [*dataset.train_splits, *dataset.test_splits]
    return dict(zip(names, [*train_sources, *test_sources], strict=True))


def training_samples(settings: Settings) -> Selection:
    """The training samples that ``dataset`` of a run's settings describes; none is read yet.

    Raises:
      InputError: where they cannot be opened as described.
    """
    dataset_settings = settings[DatasetSettings]
    sources = [opened(settings, split) for split in dataset_settings.train_splits]
    labelling = classes.chosen(dataset_settings.labels, sources)
    return Selection(sources, dataset_settings.max_images, labelling)


def find(table: Mapping[str, str], name: str, field: str) -> Callable[[Settings, str], Source]:
    """What opens the data set of that name; names of no table are TensorFlow Datasets'.

    Its community names look like locations of code, ``huggingface:mnist``.
    """
    package = name.partition(":")[0].partition(".")[0]
    is_code = registry.is_location(name) and importlib.util.find_spec(package) is not None
    return registry.find(table, name if name in table or is_code else _OTHERS, field)


def opened(settings: Settings, split: str) -> Source:
    """The source of one split; of images that are prepared, whatever ``dataset.name`` says.

    Raises:
      InputError: where it cannot be opened as described.
    """
    dataset = settings[DatasetSettings]
    with reading.in_one_line(dataset.root or dataset.name):
        name = "prepared" if index.is_prepared(dataset.root) else dataset.name
        return find(SOURCES, name, "dataset.name")(settings, split)


def whole(root: str | os.PathLike) -> str:
    """``dataset.train_split`` for all images of a folder, a list, or a folder of prepared images.

    Raises:
      InputError: where what was prepared is damaged.
    """
    folder = expanded(root)
    return "+".join(index.read(folder).splits) if (folder / index.FILE).is_file() else WHOLE


def _opened_apart(settings: Settings) -> tuple[list[Source], list[Source]]:
    """The sources of the training splits and of the test splits; no image is in two."""
    dataset = settings[DatasetSettings]
    train_sources, test_sources = (
        [opened(settings, split) for split in splits]
        for splits in (dataset.train_splits, dataset.test_splits)
    )
    _check_apart(dataset, train_sources, test_sources)
    return train_sources, test_sources


def _check_apart(
    settings: DatasetSettings, train_sources: list[Source], test_sources: list[Source]
) -> None:
    """Sees to it, before any image is decoded, that no image is in two splits."""
    if any(a.shares_images_with(b) for a, b in itertools.product(train_sources, test_sources)):
        refuse_overlap(settings)
    if any(a.shares_images_with(b) for a, b in itertools.combinations(train_sources, 2)):
        refuse("dataset.train_split", settings.train_split, "an image is in two of its splits")


def _prepare(settings: DatasetSettings, selection: Selection, like: Preparation | None) -> Images:
    most = settings.max_resident_gib * 2**30
    if selection.kind == FEATURES:
        trained_on = like if isinstance(like, Standardization) else None
        return vectors.prepare(selection, trained_on, max_resident_bytes=most)
    if isinstance(selection.sources[0], PreparedSource):
        return streaming.prepare(selection, settings)
    if settings.stored_size:
        hint = "these images are not prepared; make them ready by --mode=prepare, or give 0"
        refuse("dataset.stored_size", settings.stored_size, hint)
    return images.prepare(
        selection,
        image_size=settings.image_size,
        channels=settings.channels,
        strict=settings.strict,
        max_resident_bytes=most,
        resize=settings.resize,
        decoding=settings.decoding,
    )
