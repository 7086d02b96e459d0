"""What a run writes of each epoch: a row of metrics.jsonl, TensorBoard events, a line of log."""

import fnmatch
import json
import logging
import os
import pathlib
import re
from typing import Any

import jax
import numpy as np

from pad_jax import outputs
from pad_jax.errors import InputError
from pad_jax.graph.clusters import APART
from pad_jax.run import events, files

_log = logging.getLogger(__name__)

# Which of the metrics tell most, in this order.
_LOGGED = (
    "train/loss",
    "train/*_accuracy",
    "train/images_per_second",
    "*/count",
    "*/mean_size",
    "*/coverage",
    "*/purity",
    "graph/support",
    "graph/components",
    "eval/knn_accuracy",
    "eval/kmeans_acc",
)

# What needs another word where the rest of its name is gone.
_LOGGED_AS = {"count": "groups", "components": "kinds"}
_AT = re.compile(r"(?P<head>.*)_at_(?P<k>\d+)(?P<tail>.*)")
_COUNTS = ("/count", "/max_size", "/components", "/clusters")  # metrics that are whole numbers
_HISTOGRAM = "_histogram"  # at the end of the name of one
_CURVE = "graph/modularity"
_FILE = "metrics.jsonl"
_KINDS = {False: "number", True: "list of pairs"}

# Numbers by name; a list holds a histogram as pairs of [value, count], or a curve as pairs [x, y].
Row = dict[str, float | list]


class MetricWriter:
    """Writes a row of metrics an epoch to ``metrics.jsonl`` and as TensorBoard events.

    TensorBoard shows histograms, but no curves: lists of another name are not sent there.

    Of several processes only the first writes, here and below.

    Args:
      workdir: the run's folder.
      epoch: how many epochs are done; rows of later ones, left by a run that was cut off before
        its checkpoint, are removed.
      step: how many steps are done.

    Raises:
      InputError: where the file is damaged, or rows of the epochs done are gone.
    """

    def __init__(self, workdir: pathlib.Path, epoch: int, step: int):
        self._path, self._events = workdir / _FILE, None
        rows = of_epochs(workdir, epoch)
        if jax.process_index() != 0:
            return
        outputs.write_text(self._path, "".join(json.dumps(row) + "\n" for row in rows))
        self._events = events.Writer(workdir / "tensorboard", step)

    def write(self, step: int, epoch: int, values: Row) -> None:
        """Writes one row: the values after ``epoch`` epochs and ``step`` steps."""
        if self._events is None:
            return
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, "epoch": epoch} | values) + "\n")
        outputs.to_disk(self._path)  # a checkpoint without its row is not resumed from
        histograms = {k: v for k, v in values.items() if isinstance(v, list) and v}
        self._events.write(
            step,
            {k: v for k, v in values.items() if not isinstance(v, list)},
            {
                name: np.repeat(*np.transpose(pairs))
                for name, pairs in histograms.items()
                if name.endswith(_HISTOGRAM)
            },
        )

    def close(self) -> None:
        """Ends the events' file."""
        if self._events is not None:
            self._events.close()


def read(workdir: pathlib.Path) -> list[Row]:
    """The rows written so far, in order; a last line that was cut off is left out.

    Raises:
      InputError: where the file is damaged: another line is no row, or epochs do not rise.
    """
    path = workdir / _FILE
    try:
        *lines, _ = files.read_text(path).split("\n")
    except FileNotFoundError:
        return []
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        row = files.parse(line)
        if not isinstance(row, dict):
            raise files.damaged(path, f"line {number} is no JSON object")
        _check_row(path, number, row)
        if rows and row["epoch"] <= rows[-1]["epoch"]:
            raise files.damaged(path, f"line {number} has epoch {row['epoch']} again")
        rows.append(row)
    return rows


def last_row(workdir: pathlib.Path, epoch: int | None = None) -> Row:
    """The newest row.

    Args:
      workdir: the run's folder.
      epoch: that it has to be of, as of a finished run; any without it.

    Raises:
      InputError: where there is none, or it is of another epoch.
    """
    rows = read(workdir)
    if not rows or epoch not in (None, rows[-1]["epoch"]):
        what = f"row of epoch {epoch}" if rows else _FILE
        raise InputError(
            f"{workdir} has no {what} any more; put the whole {_FILE} back, or choose "
            "another --workdir"
        )
    return rows[-1]


def of_epochs(workdir: pathlib.Path, epoch: int) -> list[Row]:
    """The rows of the first ``epoch`` epochs, one of each.

    Raises:
      InputError: where one is missing, or the file is damaged.
    """
    rows = [row for row in read(workdir) if row["epoch"] <= epoch]
    if len(rows) == epoch:
        return rows
    there = {row["epoch"] for row in rows}
    first = next(number for number in range(1, epoch + 1) if number not in there)
    what = "is gone" if not os.path.lexists(workdir / _FILE) else f"has no row of epoch {first}"
    raise InputError(
        f"{workdir / _FILE} {what}, and the run has done {epoch}; put the whole file back, or "
        f"begin in another --workdir (with --config.init_from={workdir} from this encoder)"
    )


def _check_row(path: pathlib.Path, number: int, row: dict[str, Any]) -> None:
    """Raises InputError for a row that has no epoch, or a value of another kind."""
    if not files.is_whole(row.get("epoch"), least=1):
        raise files.damaged(path, f"line {number} has no epoch")
    for name, value in row.items():
        is_list = name.endswith(_HISTOGRAM) or name == _CURVE
        # Parts of a user's own may give other lists, which nobody here reads.
        is_whole = _are_pairs(value) if is_list else files.is_number(value) or _is_a_users(value)
        if not is_whole:
            raise files.damaged(path, f"{name} in line {number} is no {_KINDS[is_list]}")


def _is_a_users(value: Any) -> bool:
    return isinstance(value, (bool, list))


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and files.are_numbers(pair) for pair in value
    )


def log(title: str, row: Row) -> None:
    """One plain line of the metrics that tell most; metrics.jsonl has them all."""
    apart = row.get("graph/separation", 0.0) >= APART
    names = [
        name
        for pattern in _LOGGED
        for name in fnmatch.filter(row, pattern)
        if name != "graph/components" or apart  # else their number means nothing
    ]
    words = (_LOGGED_AS.get(name.split("/")[1], name.split("/")[1]) for name in names)
    figures = [f"{word} {row[name]:.4g}" for word, name in zip(words, names, strict=True)]
    _log.info("%s  %s", title, "  ".join(figures))


def results_table(row: Row) -> str:
    """The figures of a run as a short table, in which strongly connected subgraphs are groups.

    Figures "at" other numbers of neighbours stand in the line of the one they belong to.
    """
    figures = {
        _plain(name): value
        for name, value in row.items()
        if "/" in name and not isinstance(value, list)
        if name.startswith("train/loss") or not name.startswith(("train/", "time/"))
    }
    beside: dict[str, list[str]] = {}
    for name in list(figures):
        at = _AT.fullmatch(name)
        if at and (main := at["head"] + at["tail"]) in figures:
            beside.setdefault(main, []).append(f"k = {at['k']}: {figures.pop(name):.4f}")
    width = max(map(len, figures), default=0)
    lines = []
    for name, value in figures.items():
        own = f"  {name:<{width}}  {value:{',.0f' if name.endswith(_COUNTS) else '.4f'}}"
        lines.append(own + (f"  ({', '.join(beside[name])})" if name in beside else ""))
    return "\n".join([f"Results after epoch {row['epoch']}:", *lines])


def _plain(name: str) -> str:
    """The name of a metric where a group is called one, whatever its kind."""
    return {"train/loss_scs": "train/loss_groups"}.get(name, name.replace("scs/", "groups/", 1))
