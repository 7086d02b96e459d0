"""Arrays that a run's folder keeps, so that the next command need not make them anew."""

import logging
import os
import pathlib
from collections.abc import Collection, Mapping

import numpy as np

from pad_jax import outputs
from pad_jax.data import reading
from pad_jax.errors import InputError

_log = logging.getLogger(__name__)

_FOLDER, _KEY = "cache", "key"


def read(
    workdir: pathlib.Path, name: str, key: str, fields: Collection[str]
) -> dict[str, np.ndarray] | None:
    """What is kept under a name, if it was made of what the key tells; else None.

    A damaged file is as good as none, and so is one that holds other fields, or that was put there
    by somebody who is neither this user nor the owner of the run's folder.
    """
    try:
        if not _is_trusted(_path(workdir, name), workdir):
            return None
        with _path(workdir, name).open("rb") as file, np.load(file) as arrays:
            if str(arrays[_KEY]) != key:
                return None
            kept = {name: arrays[name] for name in arrays if name != _KEY}
    except reading.NO_ARRAYS:
        return None
    return kept if kept.keys() == set(fields) else None


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


def _is_trusted(path: pathlib.Path, workdir: pathlib.Path) -> bool:
    own = os.getuid() if hasattr(os, "getuid") else 0
    return path.lstat().st_uid in (own, workdir.stat().st_uid)


def _path(workdir: pathlib.Path, name: str) -> pathlib.Path:
    return workdir / _FOLDER / f"{name}.npz"
