"""How many samples a run has and of what shape, without opening its data set."""

import pathlib
from typing import NamedTuple

from pad_jax.data.preparation import Pixels, Preparation
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.run import folder
from pad_jax.settings import Settings


class _Known(NamedTuple):
    """A data set that everybody has.

    Attributes:
      splits: images of each.
      size: their side, px; None where they differ.
      channels: 1 or 3.
    """

    splits: dict[str, int]
    size: int | None
    channels: int


_MNIST = _Known({"train": 60_000, "test": 10_000}, 28, 1)
_CIFAR = _Known({"train": 50_000, "test": 10_000}, 32, 3)
_KNOWN = {
    "digits": _Known({"train": 1_437, "test": 360}, 8, 1),
    "mnist": _MNIST,
    "fashion_mnist": _MNIST,
    "kmnist": _MNIST,
    "cifar10": _CIFAR,
    "cifar100": _CIFAR,
    "svhn_cropped": _Known({"train": 73_257, "test": 26_032, "extra": 531_131}, 32, 3),
    "stl10": _Known({"train": 5_000, "test": 8_000, "unlabelled": 100_000}, 96, 3),
    "imagenet2012": _Known({"train": 1_281_167, "validation": 50_000}, None, 3),
}


def of_run(
    settings: Settings, workdir: pathlib.Path | None, num_images: int | None
) -> tuple[int, Preparation]:
    """The number of a run's training samples, and what they go through.

    Args:
      settings: of the run.
      workdir: its folder, whose ``run.json`` says it best; None or an empty one where there is
        none.
      num_images: in place of what is known.

    Raises:
      InputError: where nothing says so.
    """
    if workdir is not None and (workdir / "run.json").is_file():
        run = folder.read_run(workdir)
        return num_images or run["num_images"], folder.read_preparation(workdir)
    dataset = settings[DatasetSettings]
    known = _KNOWN.get(dataset.name)
    side = dataset.image_size or (known.size if known else None)
    if dataset.name == "features":
        raise InputError("how many numbers features have is not known; give --workdir of a run")
    if side is None:
        raise InputError(
            f"the shape of the samples of dataset.name={dataset.name} is not known; give "
            "--config.dataset.image_size, or --workdir of a run that has begun"
        )
    channels = dataset.channels or (known.channels if known else 3)
    if num_images is None and known and set(dataset.train_splits) <= set(known.splits):
        num_images = sum(known.splits[split] for split in dataset.train_splits)
    if num_images is None:
        raise InputError(
            f"how many images dataset.name={dataset.name} has in dataset.train_split="
            f"{dataset.train_split} is not known; give --num_images"
        )
    num_images = min(num_images, dataset.max_images or num_images)
    held = max(side, dataset.stored_size)
    view = side if held > side else None
    return num_images, Pixels((held, held, channels), dataset.resize, view_size=view)
