"""A part's results in a JSON file, row by row, as they are measured."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from pad_jax import outputs
from tests.benchmarks.accelerator.parts import Result


class Results:
    """What is measured of a part, and what is known of the rest.

    Args:
      out: folder of the file.
      part: its name.
    """

    def __init__(self, out: pathlib.Path, part: str):
        self._path = out / f"{part}.json"
        self.content: dict[str, Any] = {
            "part": part,
            "left": None,  # nobody knows yet
            "rows": {},
            "skipped": {},
            "failed": {},
            "attempts": {},
        }
        if self._path.is_file():
            self.content |= json.loads(self._path.read_text())

    @property
    def is_finished(self) -> bool:
        """Whether all of it is measured. What was skipped may be possible the next time."""
        return self.content["left"] == [] and not self.content["skipped"]

    def has(self, row: str) -> bool:
        """Whether a row is measured."""
        return row in self.content["rows"]

    def begin(self, rows: Sequence[str]) -> None:
        """These are the part's rows; what hindered them before may be gone."""
        left = [row for row in rows if not self.has(row)]
        self.content |= {"left": left, "skipped": {}, "failed": {}}
        self.write()

    def add(self, row: str, result: Result, seconds: float, environment: dict[str, Any]) -> None:
        """A row was measured, which took so long."""
        figures = {name: figure._asdict() for name, figure in result.figures.items()}
        self.content["rows"][row] = {
            "figures": figures,
            "predicted": result.predicted,
            "details": result.details,
            "seconds": seconds,
            "environment": environment,
        }
        self._no_longer_left(row)
        self.write()

    def skip(self, row: str, reason: str) -> None:
        """A row cannot be measured here."""
        self.content["skipped"][row] = reason
        self._no_longer_left(row)
        self.write()

    def fail(self, row: str, reason: str) -> None:
        """A row ended in an error."""
        self.content["failed"][row] = reason
        self.write()

    def attempt(self, row: str, what: dict[str, Any]) -> None:
        """A part of a row, which goes on in another process; the caller may add to it."""
        self.content["attempts"].setdefault(row, []).append(what)
        self.write()

    def attempts(self, row: str) -> list[dict[str, Any]]:
        """All of them so far."""
        return self.content["attempts"].get(row, [])

    def _no_longer_left(self, row: str) -> None:
        self.content["left"] = [name for name in self.content["left"] or () if name != row]

    def write(self) -> None:
        """Writes all that is known."""
        with outputs.whole(self._path) as part:
            part.write_text(json.dumps(self.content, indent=1) + "\n")
