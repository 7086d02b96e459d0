"""Arrays that a run's folder keeps, so that the next command need not make them anew."""

import logging
import pathlib
from collections.abc import Mapping

import numpy as np

from pad_jax import outputs
from pad_jax.data import reading
from pad_jax.errors import InputError

_log = logging.getLogger(__name__)

_FOLDER, _KEY = "cache", "key"


def read(workdir: pathlib.Path, name: str, key: str) -> dict[str, np.ndarray] | None:
    """What is kept under a name, if it was made of what the key tells; else None.

    A damaged file is as good as none.
    """
    try:
        with _path(workdir, name).open("rb") as file, np.load(file) as arrays:
            if str(arrays[_KEY]) != key:
                return None
            return {name: arrays[name] for name in arrays if name != _KEY}
    except reading.NO_ARRAYS:
        return None


def write(
    workdir: pathlib.Path, name: str, key: str, arrays: Mapping[str, np.ndarray | None]
) -> None:
    """Keeps arrays, in place of older ones; where that cannot be it is said, and no more."""
    path = _path(workdir, name)
    try:
        with outputs.whole(path) as part, part.open("wb") as file:
            np.savez(file, **{_KEY: np.array(key)}, **arrays)
    except InputError as error:
        _log.warning("Not kept for the next command: %s", error)


def _path(workdir: pathlib.Path, name: str) -> pathlib.Path:
    return workdir / _FOLDER / f"{name}.npz"
