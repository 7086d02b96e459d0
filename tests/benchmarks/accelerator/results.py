"""A part's results in a JSON file, row by row, as they are measured."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from pad_jax import locks, outputs
from pad_jax.errors import InputError
from tests.benchmarks.accelerator.parts import Result, Row

_Content = dict[str, Any]


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """Waits until no other process is in such a block of this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        locks.take(folder, stack)
        yield


class Results:
    """What is measured of a part, and what is known of the rest; several processes add to it.

    Args:
      out: folder of the file.
      part: its name.
    """

    def __init__(self, out: pathlib.Path, part: str):
        self._path, self._part = out / f"{part}.json", part
        self._taken = out / "work" / "taken" / part

    @property
    def content(self) -> _Content:
        """All that is known by now."""
        known = {
            "part": self._part,
            "left": None,  # nobody knows yet
            "rows": {},
            "skipped": {},
            "failed": {},
            "attempts": {},
        }
        if self._path.is_file():
            known |= json.loads(self._path.read_text())
        return known

    @property
    def is_finished(self) -> bool:
        """Whether all of it is measured. What was skipped may be possible the next time."""
        content = self.content
        return content["left"] == [] and not content["skipped"]

    def retry(self) -> None:
        """What hindered rows may be gone."""
        with self._changed() as content:
            content |= {"left": None, "skipped": {}, "failed": {}}

    def begin(self, rows: Sequence[str]) -> None:
        """These are the part's rows."""
        with self._changed() as content:
            done = {*content["rows"], *content["skipped"]}
            content["left"] = [row for row in rows if row not in done]

    def takes(self, row: Row, stack: contextlib.ExitStack) -> bool:
        """Whether this process may measure a row; no other one may, until the stack is closed."""
        folder = self._taken / row.name.replace(os.sep, "_")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            locks.take(folder, stack, busy="another process measures it")
        except InputError:
            return False
        content = self.content
        if row.after and row.after not in content["rows"]:
            return False
        return not any(row.name in content[kind] for kind in ("rows", "skipped", "failed"))

    def add(self, row: str, result: Result, seconds: float, environment: dict[str, Any]) -> None:
        """A row was measured, which took so long."""
        figures = {name: figure._asdict() for name, figure in result.figures.items()}
        with self._changed() as content:
            content["rows"][row] = {
                "figures": figures,
                "predicted": result.predicted,
                "details": result.details,
                "seconds": seconds,
                "environment": environment,
            }
            _no_longer_left(content, row)

    def skip(self, row: str, reason: str) -> None:
        """A row cannot be measured here."""
        with self._changed() as content:
            content["skipped"][row] = reason
            _no_longer_left(content, row)

    def fail(self, row: str, reason: str) -> None:
        """A row ended in an error."""
        with self._changed() as content:
            content["failed"][row] = reason

    def attempt(self, row: str, what: dict[str, Any]) -> None:
        """A part of a row begins, which may go on in another process."""
        with self._changed() as content:
            content["attempts"].setdefault(row, []).append(what)

    def attempted(self, row: str, what: dict[str, Any]) -> None:
        """What else is known of the row's last attempt."""
        with self._changed() as content:
            content["attempts"][row][-1] |= what

    def attempts(self, row: str) -> list[dict[str, Any]]:
        """All of them so far."""
        return self.content["attempts"].get(row, [])

    @contextlib.contextmanager
    def _changed(self) -> Iterator[_Content]:
        """What is known, to be changed in the block; it is written at the end."""
        with alone(self._taken):  # out of the results' way
            content = self.content
            yield content
            with outputs.whole(self._path) as part:
                part.write_text(json.dumps(content, indent=1) + "\n")


def _no_longer_left(content: _Content, row: str) -> None:
    content["left"] = [name for name in content["left"] or () if name != row]
