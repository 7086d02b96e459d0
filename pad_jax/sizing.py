"""What a config leaves to choose, chosen from the images and the devices: a run that sizes itself.

``num_epochs``, ``batch_size``, ``model.name`` and ``model.dtype`` may be None in a config, and so
may ``dataset.image_size`` where ``dataset.max_image_size`` is set. A run replaces them by values
before anything else reads them, and records these in its ``config.json``: what goes on with it, or
works on it, finds them there, and nothing is chosen twice.
"""

import contextlib
import logging
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
from ml_collections import ConfigDict

from pad_jax import config as configs
from pad_jax import data, parallel
from pad_jax.data.preparation import PIXELS
from pad_jax.data.selection import Selection, evenly
from pad_jax.data.source import DatasetSettings, UnreadableImage
from pad_jax.run import folder
from pad_jax.settings import flatten

_log = logging.getLogger(__name__)

_FIELDS = ("model.name", "model.dtype", "dataset.image_size", "batch_size", "num_epochs")
_BATCH, _LEAST_BATCH, _LEAST_STEPS = 128, 8, 10  # the paper's batch; steps of an epoch
_LEAST_SIZE = 28  # px, what encoders are made for
_LOOKED_AT = 32  # images, whose sizes stand for all
# Images/s at 32 px on two cores (docs/performance.md); with larger ones they fall with the area.
_SPEED, _OTHER_SPEED = {"tiny": 600}, 50
_SECONDS = 3600  # that a run on two cores is to take
_EPOCHS, _FEWEST_EPOCHS = 200, 10  # the paper's; fewer find hardly a group
_FEATURE_EPOCHS = 20  # see configs/features.py


def resolved(config: ConfigDict, workdir: pathlib.Path) -> ConfigDict:
    """A config in which nothing is left to choose; what is chosen is said in a line of the log.

    Args:
      config: of the run.
      workdir: its folder; where it has begun its own choices hold.

    Raises:
      InputError: where the data set cannot be opened as described.
    """
    config = as_recorded(config, workdir)
    left = left_to_choose(config)
    if not left:
        return config
    chosen = config.copy_and_resolve_references()
    probe = config.copy_and_resolve_references()
    defaults = dict(flatten(configs.default()))
    probe.update_from_flattened_dict({name: defaults[name] for name in left})
    if "dataset.image_size" in left:  # so that large images are decoded as small as may be
        probe.dataset.image_size = config.dataset.max_image_size
    settings = configs.read(probe)
    with _unsaid():  # it is said when the images are read
        images = data.training_samples(settings)
        is_pixels = images.kind == PIXELS
        side = _side(images) if is_pixels and len(images) else None
    on_cpu = parallel.platform() == "cpu"
    if "model.name" in left:
        chosen.model.name = ("tiny" if on_cpu else "alexnet") if is_pixels else "linear"
    if "model.dtype" in left:
        chosen.model.dtype = dtype(parallel.platform())
    if "dataset.image_size" in left and is_pixels:
        most = settings[DatasetSettings].max_image_size
        chosen.dataset.image_size = min(most, max(side or most, _LEAST_SIZE))
    if "batch_size" in left:
        chosen.batch_size = batch_size(len(images), jax.device_count())
    if "num_epochs" in left:
        side = chosen.dataset.image_size or side or _LEAST_SIZE
        chosen.num_epochs = _num_epochs(len(images), chosen.model.name, side, is_pixels, on_cpu)
    values = [f"{k}={v}" for k, v in flatten(chosen) if k in left and v is not None]
    if values:  # features have no size, which may be all that was left
        _log.info(
            "Chosen for %s %s on a %s: %s; --config.FIELD=VALUE sets another.",
            *(f"{len(images):,}", "images" if is_pixels else "features"),
            *(parallel.platform().upper(), ", ".join(values)),
        )
    return chosen


def as_recorded(config: ConfigDict, workdir: pathlib.Path) -> ConfigDict:
    """A config in which what is left to choose is as the run in a folder has it, if there is one.

    Args:
      config: of the run.
      workdir: its folder.
    """
    left = left_to_choose(config)
    if not left or not folder.has_begun(workdir):
        return config
    run = dict(flatten(configs.filled(folder.read_config(workdir))))
    filled = config.copy_and_resolve_references()
    filled.update_from_flattened_dict({name: run[name] for name in left})
    return filled


def dtype(platform: str) -> str:
    """``model.dtype`` for a platform: a CPU is never given bfloat16 unasked."""
    return "float32" if platform == "cpu" else "bfloat16"


def batch_size(num_images: int, num_devices: int) -> int:
    """The batch that so many images allow: 128, or the power of two that leaves an epoch ten steps.

    Fewer than 8 are taken only where there are not as many images: batch norm needs some. Every
    device has as many, so that the batch may be a little smaller, or one a device.
    """
    size = _BATCH
    while size > _LEAST_BATCH and num_images // size < _LEAST_STEPS:
        size //= 2
    while size > max(num_images, 1):
        size //= 2
    return max(size // num_devices, 1) * num_devices


def _num_epochs(num_images: int, model: str, side: int, is_pixels: bool, on_cpu: bool) -> int:
    """As many as take about an hour on two cores; on an accelerator the paper's."""
    if not is_pixels:
        return _FEATURE_EPOCHS
    if not on_cpu:
        return _EPOCHS
    speed = _SPEED.get(model, _OTHER_SPEED) * (32 / side) ** 2
    epochs = _SECONDS * speed / max(num_images, 1)
    return int(np.clip(epochs // 10 * 10, _FEWEST_EPOCHS, _EPOCHS))


def _side(images: Selection) -> int | None:
    """The shorter side of the images, px, the median of some; None where none can be decoded."""
    sides = []
    for i in evenly(len(images), _LOOKED_AT).tolist():
        with contextlib.suppress(UnreadableImage), images.counting_withheld():
            sides.append(min(images[i].image.shape[:2]))
    return int(np.median(sides)) if sides else None


def left_to_choose(config: ConfigDict) -> list[str]:
    """The fields that are left to choose."""
    values = dict(flatten(config))
    left = [name for name in _FIELDS if values.get(name, "") is None]
    if values.get("dataset.max_image_size") is None and "dataset.image_size" in left:
        left.remove("dataset.image_size")  # None says that images stay as they are
    return left


@contextlib.contextmanager
def _unsaid() -> Iterator[None]:
    """Keeps what opens a data set from speaking: it is opened a second time."""
    logger = logging.getLogger(data.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
