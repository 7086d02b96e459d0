"""What commands write: whole or not at all, and over nothing of the user's."""

import contextlib
import csv
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax

from pad_jax import storage
from pad_jax.errors import InputError


def check_new(path: pathlib.Path, flag: str = "--output", *, folder: bool = False) -> None:
    """Raises InputError where a file or a folder stands at the path that a flag names.

    Where a ``folder`` is to be made, an empty one is as good as none.
    """
    is_free = folder and path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    if os.path.lexists(path) and not is_free:
        raise InputError(f"{flag}={path} exists; give another name, or move it away")


def check_writable(flag: str, folder: pathlib.Path, hint: str) -> None:
    """Raises InputError, naming the flag, where a folder cannot be written to, or made."""
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise InputError(
            f"{flag} cannot be used ({there} is no folder, or one that cannot be written to); "
            f"{hint}"
        )


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A path to write a file, or make a folder, at: it is moved to ``path`` where the block ends.

    Where the block fails, what a file was begun there is removed; of folders the caller makes sure.

    Raises:
      InputError: where nothing can be written there.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if part.is_file():
            to_disk(part)
        os.replace(part, path)
    except OSError as error:
        raise InputError(storage.unwritten(path, error)) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def to_disk(file: pathlib.Path) -> None:
    """Waits until the disk has a file's content: else, after a power cut, it may be empty."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file as a whole or not at all; of several processes the first one does.

    Raises:
      InputError: where it cannot be written.
    """
    if jax.process_index() == 0:
        with whole(path) as part:
            part.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: pathlib.Path, value: dict) -> None:
    """Writes a JSON file, as ``write_text`` does."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_table(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a CSV file as a whole or not at all.

    Names of files that are no UTF-8 are written as the bytes they are.

    Raises:
      InputError: where it cannot be written.
    """
    with (
        whole(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_csv(path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table, as ``write_table`` does, in place of an older one of the same columns.

    Raises:
      InputError: where the file there is another, or cannot be written.
    """
    if os.path.lexists(path) and _first_line(path) != list(header):
        raise InputError(
            f"{path} exists and is not as this command writes it; move it away, or give another "
            "--output"
        )
    write_table(path, header, rows)


def _first_line(path: pathlib.Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return next(csv.reader(file), [])
    except (OSError, csv.Error):
        return []
