"""The paths that a run has recorded: where they lead, from wherever a command is given."""

import os
from typing import Any

from pad_jax.data.classes import FOLDER, NONE

_OF_DATASET = ("root", "labels", "paths")
FIELDS = (*(f"dataset.{name}" for name in _OF_DATASET), "init_from")


def found(dataset: dict[str, Any], begun: str) -> dict[str, Any]:
    """The data set of a config, its paths from the folder that the run was begun in.

    Where one leads nowhere from there, as on another machine, it stays as it was written.
    """
    places = {
        name: _place(dataset[name], begun) for name in _OF_DATASET if _is_path(dataset.get(name))
    }
    return dataset | {name: place for name, place in places.items() if os.path.exists(place)}


def are_one(old: str, new: str, begun: str) -> bool:
    """Whether a recorded path and one given here are the same, however they are written."""
    if not (_is_path(old) and _is_path(new)):
        return old == new
    return os.path.realpath(_place(old, begun)) == os.path.realpath(os.path.expanduser(new))


def kept(before: dict[str, Any], now: dict[str, Any], begun: str) -> dict[str, Any] | None:
    """The data set of a config as it was written before; None where a path leads elsewhere now.

    A relative path is right on another machine, too.
    """
    written = {name: before.get(name, "") for name in _OF_DATASET if name in now}
    if all(are_one(old, now[name], begun) for name, old in written.items()):
        return now | written
    return None


def _is_path(value: str | None) -> bool:
    """Whether a field has one: dataset.labels may have a word in its place."""
    return bool(value) and value not in (FOLDER, NONE)


def _place(path: str, begun: str) -> str:
    return os.path.join(begun, os.path.expanduser(path))
