"""A run's folder: its config, its environment, and the checks that come before the first step."""

import importlib.metadata
import json
import pathlib
import platform

import jax
from ml_collections import ConfigDict

from pad_jax import metrics
from pad_jax.data import Dataset
from pad_jax.errors import InputError

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "numba", "scikit-learn")
# Fields that may change between two starts of a run: they do not reach the trained parameters.
_MAY_CHANGE = ("eval", "checkpoint")


def check_config(config: ConfigDict, num_images: int, num_devices: int) -> None:
    """Finds values that cannot work before anything is computed.

    Raises:
      InputError: naming the field and what to change.
    """

    def require(condition, field, hint):
        if not condition:
            value = config
            for part in field.split("."):
                value = value[part]
            raise InputError(f"{field}={value!r} cannot be used; {hint}")

    require(config.num_epochs >= 1, "num_epochs", "use 1 or more")
    require(config.batch_size >= 1, "batch_size", "use 1 or more")
    require(
        config.batch_size <= num_images,
        "batch_size",
        f"the data set has only {num_images} images; use at most as many",
    )
    require(
        config.batch_size % num_devices == 0,
        "batch_size",
        f"there are {num_devices} devices; use a multiple",
    )
    require(
        1 <= config.grouping.num_neighbors < num_images,
        "grouping.num_neighbors",
        f"the data set has {num_images} images; use 1 to {num_images - 1}",
    )
    one_of = {
        "grouping.kind": ("scs", "neighbors", "singleton"),
        "grouping.features": ("memory", "embed"),
        "loss.hpe": ("kl", "cosine", "none"),
        "memory.init": ("embed", "random"),
    }
    for field, values in one_of.items():
        section, name = field.split(".")
        require(config[section][name] in values, field, f"use one of: {', '.join(values)}")
    size = config.grouping.max_size
    require(size is None or size >= 2, "grouping.max_size", "use 2 or more, or None for no limit")
    require(config.loss.temperature > 0, "loss.temperature", "use more than 0, such as 0.1")
    require(0 <= config.memory.rate <= 1, "memory.rate", "use 0 to 1")
    require(config.checkpoint.every_epochs >= 1, "checkpoint.every_epochs", "use 1 or more")
    require(config.checkpoint.keep >= 1, "checkpoint.keep", "use 1 or more")
    require(config.eval.every_epochs >= 0, "eval.every_epochs", "use 0 (only at the end) or more")


def claim_workdir(workdir: pathlib.Path, config: ConfigDict, dataset: Dataset) -> None:
    """Writes config.json and run.json, or sees to it that this is the run they were written by.

    Raises:
      InputError: if the folder belongs to a run with another config or data set.
    """
    effective = json.loads(config.to_json_best_effort())
    run = {
        "num_images": len(dataset.train),
        "image_shape": list(dataset.train.shape),
        "python": platform.python_version(),
        "platform": jax.default_backend(),
        "device_kind": jax.devices()[0].device_kind,
        "device_count": jax.device_count(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    if (workdir / "config.json").exists():
        earlier = read_config(workdir).to_dict()
        changed = [
            f"{name} was {old!r} and is now {new!r}"
            for name, old, new in _differences(earlier, effective)
            if name.split(".")[0] not in _MAY_CHANGE
        ]
        num_images = read_run(workdir)["num_images"]
        if num_images != run["num_images"]:
            changed.append(f"the data set had {num_images} images and has now {run['num_images']}")
        if changed:
            raise InputError(
                f"{workdir} holds a run with another config ({'; '.join(changed)}); "
                "choose another --workdir, or undo the change"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    metrics.write_json(workdir / "run.json", run)
    metrics.write_json(workdir / "config.json", effective)


def read_config(workdir: pathlib.Path) -> ConfigDict:
    """The config of the run in a folder.

    Raises:
      InputError: if there is none.
    """
    path = workdir / "config.json"
    if not path.exists():
        raise InputError(f"{workdir} holds no run (no config.json); give a run's folder as --workdir")
    return ConfigDict(json.loads(path.read_text()))


def read_run(workdir: pathlib.Path) -> dict:
    """What run.json says of the run in a folder: versions, devices, number and shape of the images."""
    return json.loads((workdir / "run.json").read_text())


def _differences(old: dict, new: dict, prefix: str = ""):
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", a, b
