"""What a run writes: metrics.jsonl, TensorBoard events, a progress bar."""

import fnmatch
import json
import logging
import pathlib
import re

import jax
import numpy as np

from pad_jax.errors import InputError
from pad_jax.graph.clusters import APART

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
    """

    def __init__(self, workdir: pathlib.Path, epoch: int, step: int):
        self._path, self._events = workdir / "metrics.jsonl", None
        if jax.process_index() != 0:
            return
        rows = [row for row in read(workdir) if row["epoch"] <= epoch]
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in rows))
        import tensorboardX  # not at the top: it loads PyTorch where there is one

        self._events = tensorboardX.SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, epoch: int, values: Row) -> None:
        """Writes one row: the values after ``epoch`` epochs and ``step`` steps."""
        if self._events is None:
            return
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, "epoch": epoch} | values) + "\n")
        for name, value in values.items():
            if isinstance(value, list):
                if value and name.endswith(_HISTOGRAM):
                    self._events.add_histogram(name, np.repeat(*np.transpose(value)), step)
            else:
                self._events.add_scalar(name, value, step)
        self._events.flush()

    def close(self) -> None:
        """Ends the events' file."""
        if self._events is not None:
            self._events.close()


def read(workdir: pathlib.Path) -> list[Row]:
    """The rows written so far; a last line that was cut off is left out."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    try:
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except ValueError:
        raise InputError(f"{path} is damaged; mend it, or choose another --workdir") from None


def last_row(workdir: pathlib.Path) -> Row:
    """The newest row; raises InputError where there is none."""
    rows = read(workdir)
    if not rows:
        raise InputError(f"{workdir} has no metrics.jsonl any more; choose another --workdir")
    return rows[-1]


def write_json(path: pathlib.Path, value: dict) -> None:
    """Writes a JSON file as a whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file as a whole or not at all."""
    if jax.process_index() == 0:
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)


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
