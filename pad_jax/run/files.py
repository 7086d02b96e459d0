"""A run's files, read with care: what is not as a run writes it ends in one line that says so."""

import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pad_jax import storage
from pad_jax.errors import InputError

# What a run writes into its folder, and what kind of thing each is.
OF_TRAINING = (
    "config.json",
    "run.json",
    "statistics.json",
    "metrics.jsonl",
    "groups.csv",
    "report.html",
)
FILES = (*OF_TRAINING, "evaluation.json")
FOLDERS = ("checkpoints", "within_epoch", "tensorboard", "cache")


class Kind(NamedTuple):
    """What a field of a file holds.

    Attributes:
      allows: whether a value, as JSON gives it, is of this kind.
      name: what it is called in a message.
      needed: whether every such file has the field.
    """

    allows: Callable[[Any], bool]
    name: str
    needed: bool = False


def is_number(value: Any) -> bool:
    """An int or a float; nan and infinity count, booleans do not."""
    return type(value) in (int, float)


def is_whole(value: Any, least: int = 0) -> bool:
    return type(value) is int and value >= least


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def are_numbers(value: Any) -> bool:
    """A list of finite numbers, one at least."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(is_number(v) and math.isfinite(v) for v in value)
    )


def check_kinds(workdir: pathlib.Path) -> None:
    """Sees to it that nothing else stands where a run has its files and folders.

    Raises:
      InputError: for a folder in place of a file, a file in place of a folder, or a link to
        nothing.
    """
    for name in FILES:
        _check_file(workdir / name)
    for name in FOLDERS:
        path = workdir / name
        if os.path.lexists(path) and not path.is_dir():
            raise InputError(f"{path} is no folder; move it away, or give another folder")


def read_text(path: pathlib.Path, errors: str = "strict") -> str:
    """The text of a file that a run has written.

    Args:
      path: of the file.
      errors: what becomes of bytes that are no UTF-8, as ``bytes.decode`` has it.

    Raises:
      FileNotFoundError, NotADirectoryError: where there is none.
      InputError: where it is none, cannot be read, or is no UTF-8.
    """
    _check_file(path)
    try:
        return path.read_bytes().decode("utf-8", errors)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except UnicodeDecodeError:
        raise damaged(path, "no text") from None
    except OSError as error:
        raise InputError(storage.unread(path, error)) from None


def read_object(path: pathlib.Path, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The JSON object that a file holds.

    Args:
      path: of the file.
      kinds: of its fields; what else it has is passed over.

    Raises:
      FileNotFoundError, NotADirectoryError: where there is none.
      InputError: where it holds anything else.
    """
    text = read_text(path)
    if not text.strip():
        raise damaged(path, "it is empty")
    found = parse(text)
    if not isinstance(found, dict):
        raise damaged(path, "no JSON" if found is None else "no JSON object")
    check(path, found, kinds)
    return found


def parse(text: str) -> Any:
    """What a text is in JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def check(path: pathlib.Path, found: Mapping[str, Any], kinds: Mapping[str, Kind]) -> None:
    """Raises InputError for a field that is missing or of another kind, naming it."""
    for name, kind in kinds.items():
        if name not in found:
            if kind.needed:
                raise damaged(path, f"it has no {name}")
        elif not kind.allows(found[name]):
            raise damaged(path, f"{name} is {_short(found[name])}, not {kind.name}")


def damaged(path: pathlib.Path, what: str) -> InputError:
    """The error for a file that is not as a run writes it, and what to do."""
    return InputError(
        f"{path} is damaged ({what}); mend it or put a copy of it back, or give another folder"
    )


def _check_file(path: pathlib.Path) -> None:
    # Of a pipe nobody would ever read the end.
    if os.path.lexists(path) and not path.is_file():
        what = "a link to nothing" if not path.exists() else "no file"
        raise InputError(f"{path} is {what}; move it away, or give another folder")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
