"""TensorFlow Datasets by random access, without TensorFlow: ``tfds.data_source``."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pad_jax.data import reading
from pad_jax.data.decoding import UnreadableImage
from pad_jax.data.source import DatasetSettings, Example
from pad_jax.errors import InputError, first_line
from pad_jax.settings import Settings


def tfds(settings: Settings, split: str) -> "TfdsSource":
    """A split of the data set that ``dataset.name`` names."""
    return TfdsSource(settings[DatasetSettings].name, split, settings[DatasetSettings].root)


class TfdsSource:
    """One split of a data set of images.

    The files must be in the array_record format; ``tfds build --file_format=array_record`` makes
    them (some data sets need TensorFlow for that).

    Args:
      name: such as "cifar10" or "imagenet2012:5.1.0".
      split: such as "train" or "train[:10%]".
      root: TFDS's data_dir; None or "" for its default.
    """

    def __init__(self, name: str, split: str, root: str | None):
        if "." in name.partition(":")[0].partition("/")[0]:  # which no name of a data set has
            module, _, attribute = name.rpartition(".")
            raise InputError(
                f"dataset.name={name!r} is unknown; a source of yours is package.module:Name, such "
                f"as {module}:{attribute}"
            )
        self._name, self._split = f"{name}, {split}", split
        # Not at the top: most runs do without, and the import takes seconds.
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder(
                name,
                data_dir=os.path.expanduser(root) if root else None,
                file_format="array_record",
            )
            features = builder.info.features
            if "image" not in features or features["image"].np_dtype != np.uint8:
                raise InputError(f"dataset.name={name!r} has no uint8 images; use a set that does")
            if not root and not builder.data_path.exists():
                builder.download_and_prepare(file_format="array_record")
            self._examples = builder.as_data_source(split)
            self._files = builder.info.splits[split].file_instructions
        except InputError:
            raise
        except tfds.core.DatasetNotFoundError:
            raise InputError(
                f"dataset.name={name!r} is unknown; use digits, npz, folder or a name that "
                "TensorFlow Datasets lists"
            ) from None
        except Exception as error:  # TFDS raises all kinds, some of many lines
            reason = first_line(error) or repr(error)
            raise InputError(
                f"dataset.name={name!r}, split {split!r}: TensorFlow Datasets cannot open it "
                f"({reason}); prepare it as array_record and set dataset.root to its data_dir"
            ) from error

    def __len__(self) -> int:
        return len(self._examples)

    def name(self, i: int) -> str:
        return f"{self._split}/{i}"

    def identity(self, i: int) -> bytes:
        return self.name(i).encode()

    def shares_images_with(self, other: "TfdsSource") -> bool:
        return any(
            a.filename == b.filename and a.skip < b.skip + b.take and b.skip < a.skip + a.take
            for a in self._files
            for b in other._files
        )

    def _example(self, i: int) -> Mapping[str, Any]:
        try:
            return self._examples[i]
        except Exception as error:  # whatever the decoder raises
            if reading.is_the_systems(error):
                raise
            raise UnreadableImage(f"example {i} of {self._name}: {error!r}") from error

    def __getitem__(self, i: int) -> Example:
        example = reading.patiently(lambda: self._example(i), f"example {i} of {self._name}")
        label = np.asarray(example.get("label", -1))
        is_class = label.ndim == 0 and np.issubdtype(label.dtype, np.integer) and label >= 0
        return Example(example["image"], int(label) if is_class else None)
