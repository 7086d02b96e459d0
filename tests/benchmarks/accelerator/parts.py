"""What is measured, in order: parts, and the rows that they consist of."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.benchmarks.accelerator.sizes import Sizes


class Options(NamedTuple):
    """What the command line says.

    Attributes:
      out: folder of all that is written.
      minutes: that all of it may take.
      parts: names of those wanted, in order.
      data: an archive or a folder of images, split/class/file, or their arrays as the data set npz
        takes them; None where there are none.
      commit: of the code.
      command: as it was given.
      seed: of everything random.
      together: how many rows that are whole runs are measured at once.
      sizes: of the measurements.
    """

    out: pathlib.Path
    minutes: float
    parts: Sequence[str]
    data: pathlib.Path | None
    commit: str
    command: str
    seed: int
    together: int
    sizes: Sizes

    @property
    def work(self) -> pathlib.Path:
        """Folder of what is needed to go on, and too large to bring back."""
        return self.out / "work"

    @property
    def images(self) -> pathlib.Path:
        """The images' arrays, as the data set npz takes them."""
        is_given = self.data is not None and self.data.suffix == ".npz"
        return self.data if is_given else self.work / "images.npz"

    def lanes(self, part: str) -> int:
        """How many processes measure a part's rows."""
        return max(1, min(self.together, PARTS[part].shared_by))


class Figure(NamedTuple):
    """A number that was measured, in a unit ("" for a share), and what the plan said of it."""

    value: float
    unit: str = ""
    predicted: float | None = None


@dataclasses.dataclass(frozen=True)
class Result:
    """What a row measured.

    Attributes:
      figures: by name.
      predicted: what the plan says of figures of other rows, by their name.
      details: whatever else is worth keeping, for JSON.
    """

    figures: dict[str, Figure]
    predicted: dict[str, float] = dataclasses.field(default_factory=dict)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


class Row(NamedTuple):
    """A measurement.

    Attributes:
      name: of it, unique in its part.
      seconds: about how long it takes on an H100.
      measure: does it.
      can_be_cut: whether it goes on where it was stopped, so that it may begin with less time left.
      after: a row that has to be measured first; "" for none.
    """

    name: str
    seconds: float
    measure: Callable[[], Result]
    can_be_cut: bool = False
    after: str = ""

    @property
    def least(self) -> float:
        """Seconds that have to be left for it to begin."""
        return min(self.seconds, _CUT) if self.can_be_cut else self.seconds


class Part(NamedTuple):
    """Rows that share a process.

    Attributes:
      rows: where they are made, ``module:function`` of options and of a file of results.
      least: about how many seconds its start and its shortest row take on an H100.
      framework: whose devices it uses, "jax" or "torch".
      shared_by: how many of its rows may be measured at once, and beside those of other such parts:
        not their times are what counts; 0: it needs the devices for itself.
    """

    rows: str
    least: float
    framework: str = "jax"
    shared_by: int = 0


class Skipped(Exception):
    """Something cannot be measured here; the message says why."""


def steps_row(dtype: str, *, streamed: bool = False) -> str:
    """What the row of a variant of CIFAR-10's step is called."""
    return f"{dtype}, logits {'streamed' if streamed else 'held'}"


_CUT = 60.0  # less is not worth the start of a run
_MANY = 100  # rows: more than anybody measures at once
_HERE = "tests.benchmarks.accelerator"
PARTS = {
    "cifar10": Part(f"{_HERE}.training:cifar10", 90, shared_by=1),
    "compared": Part(f"{_HERE}.training:compared", 90, shared_by=_MANY),
    "schedules": Part(f"{_HERE}.training:schedules", 90, shared_by=_MANY),
    "ablations": Part(f"{_HERE}.training:ablations", 90, shared_by=_MANY),
    "graph": Part(f"{_HERE}.graph:rows", 40),
    "imagenet": Part(f"{_HERE}.imagenet:rows", 60),
    "steps": Part(f"{_HERE}.steps:rows", 45),
    "trace": Part(f"{_HERE}.trace:rows", 45),
    "resnet18": Part(f"{_HERE}.training:resnet18", 90, shared_by=1),
    "pytorch": Part(f"{_HERE}.pytorch:rows", 30, "torch"),
}
