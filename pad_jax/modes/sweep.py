"""--mode=sweep: trains a table of the paper: every row with every seed, in processes."""

import contextlib
import logging
import os
import pathlib
import queue
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from pad_jax import config as configs
from pad_jax import objectives, outputs, signals, tables
from pad_jax.errors import InputError
from pad_jax.modes.base import Call, Mode, field_flags
from pad_jax.run import folder, metrics
from pad_jax.tables import Row, Table

_log = logging.getLogger(__name__)

_TABLE = flags.DEFINE_string("table", "table3", "Which table of the paper to sweep.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "With how many seeds, 0 and up.", lower_bound=1)
_JOBS = flags.DEFINE_integer(
    "jobs",
    1,
    "How many runs of a sweep train at once, on a share of the CPU's cores each; 1 on a GPU.",
    lower_bound=1,
)


class _Run(NamedTuple):
    row: Row
    seed: int
    workdir: pathlib.Path
    overrides: dict[str, Any]
    config: ConfigDict


def run_table(
    table: Table,
    name: str,
    config: ConfigDict,
    *,
    config_file: str,
    overrides: Mapping[str, Any],
    seeds: Sequence[int],
    workdir: pathlib.Path,
    jobs: int = 1,
) -> str:
    """Trains what is missing of a table and writes ``<name>.md`` and ``<name>.csv``.

    A run's folder is named after what it changes of the config, so tables share their runs. A
    finished run is not repeated, a run that was interrupted goes on, and one that fails is reported
    and passed over. The files are written anew after every run.

    Args:
      table: which runs, and the paper's figures.
      name: of the files.
      config: the config all rows start from.
      config_file: the file it is made from,
      overrides: and what the command line says of its fields, by dotted name.
      seeds: each row is trained with each.
      workdir: folder of the runs and the files.
      jobs: how many runs train at once, each on its own share of the CPU's cores. Small encoders
        train faster so: one run of them cannot keep many cores busy.

    Returns:
      The table in Markdown.

    Raises:
      InputError: where a folder holds a run with another config or, if finished, other results, and
        at the end if runs failed.
    """
    if "seed" in overrides:
        raise InputError("--config.seed has no meaning for --mode=sweep; give --seeds, how many")
    runs = [
        _describe(row, seed, config, overrides, workdir) for seed in seeds for row in table.rows
    ]
    for run in runs:
        objectives.create(configs.read(run.config))
        folder.check_workdir(run.workdir, run.config)
    folder.make_workdir(workdir)
    missing, failed = {}, []  # by folder, for rows with the same config share a run
    for run in runs:
        if not _is_finished(run):
            missing.setdefault(run.workdir, run)
            continue
        last_row = _last_row(run)
        absent = [metric for metric in table.columns.values() if metric not in last_row]
        _log.info("%s: finished%s", _title(run), f", without {' '.join(absent)}" if absent else "")
    text = _write(table, name, config, overrides, runs, workdir)
    with contextlib.closing(_train_all(list(missing.values()), config_file, jobs)) as trained:
        for run, status in trained:
            if status != 0:
                _log.warning("%s: failed, see %s", _title(run), run.workdir / "log.txt")
                failed.append(run)
            text = _write(table, name, config, overrides, runs, workdir)
    if failed:
        raise InputError(
            f"{len(failed)} of {len(missing)} runs failed; the rest are in {workdir / name}.md, "
            f"and {failed[0].workdir / 'log.txt'} says why. The same command tries again"
        )
    return text


def _describe(
    row: Row,
    seed: int,
    config: ConfigDict,
    overrides: Mapping[str, Any],
    workdir: pathlib.Path,
) -> _Run:
    changes = {**row.overrides, "seed": seed}
    own = configs.changed(config, changes)
    own_folder = workdir / row.changes(config) / f"seed={seed}"
    # Each field once: a tuple given twice on a command line would be joined.
    return _Run(row, seed, own_folder, {**overrides, **changes}, own)


def _is_finished(run: _Run) -> bool:
    return folder.is_finished(run.workdir, run.config.num_epochs)


def _last_row(run: _Run) -> metrics.Row:
    return metrics.last_row(run.workdir, run.config.num_epochs)


def _title(run: _Run) -> str:
    return f"{run.row.name}, seed {run.seed}"


def _train_all(runs: Sequence[_Run], config_file: str, jobs: int) -> Iterator[tuple[_Run, int]]:
    """Trains so many at once, and gives each with its exit status, in their order."""
    free, all_cores = queue.SimpleQueue(), _cores()
    running: set[subprocess.Popen] = set()
    for i in range(jobs):
        free.put(all_cores[i % max(len(all_cores), 1) :: jobs])

    def train(run: _Run) -> int:
        cores = free.get()
        _log.info("%s: training, see %s", _title(run), run.workdir / "log.txt")
        try:
            return _train(run, config_file, cores, running)
        finally:
            free.put(cores)

    pool = ThreadPoolExecutor(jobs)
    try:
        yield from zip(runs, pool.map(train, runs), strict=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if signum := signals.asked():  # they save where they are
            for process in tuple(running):
                process.send_signal(signum)
        with signals.patient():
            pool.shutdown()


def _cores() -> Sequence[int]:
    """The cores this process may use; none where a system does not let one choose."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ()


def _train(
    run: _Run, config_file: str, cores: Collection[int], running: set[subprocess.Popen]
) -> int:
    """Trains in a process of its own, which a crash ends alone; its exit status."""
    folder.make_workdir(run.workdir)
    arguments = [
        f"--config={config_file}",
        *field_flags(run.overrides),
        f"--workdir={run.workdir}",
    ]
    with (run.workdir / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pad_jax.main", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's signals come by this process, once
        )
        running.add(process)
        if signum := signals.asked():  # it came while this one began
            process.send_signal(signum)
        if cores:  # before it starts threads of its own, which would keep all of them
            os.sched_setaffinity(process.pid, cores)
        try:
            return process.wait()
        finally:
            running.discard(process)


def _write(
    table: Table,
    name: str,
    config: ConfigDict,
    overrides: Mapping[str, Any],
    runs: list[_Run],
    workdir: pathlib.Path,
) -> str:
    lines = [_line(table, row, [r for r in runs if r.row is row]) for row in table.rows]
    head = (
        f"{table.caption}. {config.model.name}, {config.num_epochs} epochs, batch "
        f"{config.batch_size}; in %, mean and standard deviation over the seeds; "
        "minutes of one run."
    )
    if config.dataset.max_images is not None:
        head += f" Shortened: {config.dataset.max_images:,} of the training images."
    if overrides:
        head += f" With {' '.join(field_flags(overrides))}"
    text = f"{head}\n\n{_markdown(lines)}"
    outputs.write_text(workdir / f"{name}.md", text)
    rows = (list(line.values()) for line in lines)
    outputs.write_table(workdir / f"{name}.csv", list(lines[0]), rows)
    return text


def _line(table: Table, row: Row, runs: list[_Run]) -> dict[str, str]:
    """What the table says of a row, by heading."""
    finished = [run for run in runs if _is_finished(run)]
    last_rows = [_last_row(run) for run in finished]
    line = {"": row.name}
    for heading, metric in table.columns.items():
        figures = [100 * r[metric] for r in last_rows if metric in r]
        paper = row.paper.get(heading)
        line[heading] = _mean_and_spread(figures)
        if all(r.paper.get(heading) is None for r in table.rows):
            continue  # a data set, or a metric, that the paper does not have
        line[f"{heading}, paper"] = "" if paper is None else f"{paper:.1f}"
        both = figures and paper is not None
        line[f"{heading}, difference"] = f"{np.mean(figures) - paper:+.1f}" if both else ""
    descriptions = [folder.read_run(run.workdir) for run in finished]
    minutes = [_seconds(run) / 60 for run in finished]
    return line | {
        "seeds": " ".join(str(run.seed) for run in finished),
        "images": _all_of(f"{d['num_images']:,}" for d in descriptions),
        "epochs": _all_of(str(r["epoch"]) for r in last_rows),
        "device": _all_of(f"{d['device_count']} x {d['device_kind']}" for d in descriptions),
        "minutes": f"{np.mean(minutes):.1f}" if minutes else "",
    }


def _seconds(run: _Run) -> float:
    rows = metrics.read(run.workdir)
    return sum(value for row in rows for name, value in row.items() if name.startswith("time/"))


def _mean_and_spread(figures: list[float]) -> str:
    if not figures:
        return ""
    mean = f"{np.mean(figures):.1f}"
    return mean if len(figures) == 1 else f"{mean} ± {np.std(figures, ddof=1):.1f}"


def _all_of(values) -> str:
    return ", ".join(sorted(set(values)))


def _markdown(lines: list[dict[str, str]]) -> str:
    cells = [list(lines[0]), ["---"] * len(lines[0]), *(list(line.values()) for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _run(call: Call) -> str:
    """In processes of their own, so that no device is used in this one."""
    return run_table(
        tables.get_table(_TABLE.value, call.config, call.config_name),
        _TABLE.value,
        call.config,
        config_file=call.config_file,
        overrides=call.overrides,
        seeds=range(_SEEDS.value),
        workdir=call.workdir or pathlib.Path("runs", f"{call.config_name}_tables"),
        jobs=_JOBS.value,
    )


MODE = Mode(_run, one_process=True)
