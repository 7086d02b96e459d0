"""A run's folder: its config and its environment."""

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
        raise InputError(
            f"{workdir} holds no run (no config.json); give a run's folder as --workdir"
        )
    return ConfigDict(json.loads(path.read_text()))


def read_run(workdir: pathlib.Path) -> dict:
    """What run.json says of a run: versions, devices, number and shape of the images."""
    return json.loads((workdir / "run.json").read_text())


def _differences(old: dict, new: dict, prefix: str = ""):
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            yield f"{prefix}{key}", a, b
