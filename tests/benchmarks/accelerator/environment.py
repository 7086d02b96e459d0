"""Where figures come from: device, versions, commit, date."""

import datetime
import importlib.metadata
import pathlib
import platform
import subprocess
from typing import Any

from tests.benchmarks.accelerator.parts import Options

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "numba", "torch")


def describe(options: Options, framework: str) -> dict[str, Any]:
    """What belongs to every figure; asks the framework for its devices."""
    kind, count = _jax_devices() if framework == "jax" else _torch_devices()
    return {
        "device_kind": kind,
        "device_count": count,
        "python": platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
        "commit": options.commit,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seed": options.seed,
        "command": options.command,
    }


def commit() -> str:
    """The code's, "" where it lies in no repository."""
    here = pathlib.Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty"],
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # git is not installed
        return ""
    return said.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _jax_devices() -> tuple[str, int]:
    import jax

    return jax.devices()[0].device_kind, jax.device_count()


def _torch_devices() -> tuple[str, int]:
    import torch

    if not torch.cuda.is_available():
        return "cpu", 1
    return torch.cuda.get_device_name(), torch.cuda.device_count()
