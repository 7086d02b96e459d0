"""Kills a training run again and again, at random moments, and looks whether it ends the same.

Starts a short run of the digits, ends it by SIGKILL, SIGTERM or SIGINT after a random time, starts
it again, until it is done; then the next one. Each run has to end as one that was never stopped:
the same parameters, memory and groups to the bit, the same rows of metrics (clocks aside), the same
groups.csv, and nothing else left in its folder. Ends with status 1 at the first difference.

    python -m tests.studies.kills --kills=50
    python -m tests.studies.kills --kills=20 --processes=2
"""

import argparse
import collections
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pad_jax.run import metrics
from tests.support.small_runs import assert_same_state, restored, without_clock

_RUN = (
    *("--config=digits", "--config.num_epochs=3", "--config.dataset.max_images=600"),
    *("--config.dataset.image_size=16", "--config.eval.every_epochs=1"),
    *("--config.eval.kmeans_runs=1", "--config.eval.pixels=False", "--config.eval.probe=()"),
)
# Python that hears SIGINT: a shell in the background has those it starts ignore it.
PYTHON = (
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
)
_PATIENCE = 60.0  # seconds that a signal may take where other work is done as well
_PHASES = (  # by what the log says last
    ("evaluation or report", r"Evaluating"),
    ("after an epoch", r"epoch \d+/\d+ "),
    ("graph, search or steps", r"Going on|Training on"),
)


class Kill(NamedTuple):
    """When a run is ended, and how.

    Attributes:
      signum: by which signal.
      seconds: after the start, or after a line of the log.
      line: what that says; "" for the start.
    """

    signum: int
    seconds: float
    line: str = ""


def start(arguments: Sequence[str], workdir: pathlib.Path, processes: int = 1) -> list:
    """Starts a run in a folder; its processes, which write to log0.txt and so on beside that."""
    command = [*PYTHON, "-m", "pad_jax.main", *arguments, f"--workdir={workdir}"]
    common = os.environ | {"JAX_PLATFORMS": "cpu"}
    if processes > 1:
        command.append("--distributed")
        with socket.create_server(("localhost", 0)) as free:
            common["JAX_COORDINATOR_ADDRESS"] = f"localhost:{free.getsockname()[1]}"
        common["JAX_NUM_PROCESSES"] = str(processes)
    started = []
    for i in range(processes):
        with _log(workdir, i).open("w") as log:
            started.append(
                subprocess.Popen(
                    command,
                    env=common | {"JAX_PROCESS_ID": str(i)},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    return started


def run(arguments: Sequence[str], workdir: pathlib.Path, processes: int = 1) -> float:
    """Trains to the end; the seconds that took."""
    begun = time.monotonic()
    started = start(arguments, workdir, processes)
    status = [process.wait() for process in started]
    assert not any(status), (status, _log(workdir, 0).read_text())
    return time.monotonic() - begun


def kill_until_done(
    arguments: Sequence[str],
    workdir: pathlib.Path,
    kills: Iterable[Kill],
    processes: int = 1,
) -> tuple[list[str], list[str]]:
    """Starts a run, and ends it again and again; at last it may end by itself.

    Args:
      arguments: of the command line.
      workdir: the run's folder, of one that is new.
      kills: one for each start; those that would come after the run's end are left out.
      processes: how many train together.

    Returns:
      For each kill what the run was at, and what it said last.
    """
    at, said = [], []
    for kill in kills:
        started = start(arguments, workdir, processes)
        while kill.line not in _log(workdir, 0).read_text() and started[0].poll() is None:
            time.sleep(0.02)
        deadline = time.monotonic() + kill.seconds
        while time.monotonic() < deadline and any(p.poll() is None for p in started):
            time.sleep(0.02)
        if all(p.poll() == 0 for p in started):
            return at, said
        for process in started:
            process.send_signal(kill.signum)
        status = [process.wait(_PATIENCE) for process in started]
        log = _log(workdir, 0).read_text()
        # Before Python has begun a signal has the system's meaning, and at the end it is late.
        assert set(status) <= {-kill.signum, 128 + kill.signum, 0}, (status, log)
        if set(status) != {-kill.signum}:
            assert "Traceback" not in log, log
        *_, last = ["", *(line for line in log.splitlines() if "pad_jax: " not in line)]
        at.append(next((name for name, line in _PHASES if re.search(line, last)), "start-up"))
        said.append(log.splitlines()[-1] if log.strip() else "")
    run(arguments, workdir, processes)
    return at, said


def compare(workdir: pathlib.Path, reference: pathlib.Path) -> None:
    """Raises AssertionError where a run has not ended as another one did."""
    assert_same_state(restored(workdir), restored(reference))
    rows, expected = metrics.read(workdir), metrics.read(reference)
    assert without_clock(rows) == without_clock(expected)
    groups = (workdir / "groups.csv").read_bytes()
    assert groups == (reference / "groups.csv").read_bytes()
    assert _files(workdir) == _files(reference)


def _files(workdir: pathlib.Path) -> list[str]:
    """What there is besides the events, of which each start writes a file."""
    inside = [*workdir.iterdir(), *(workdir / "checkpoints").iterdir()]
    inside += (workdir / "within_epoch").iterdir()
    return sorted(str(path.relative_to(workdir)) for path in inside)


def _log(workdir: pathlib.Path, i: int) -> pathlib.Path:
    return workdir.with_name(f"{workdir.name}.log{i}.txt")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, at = np.random.default_rng(args.seed), collections.Counter()
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT]
    with tempfile.TemporaryDirectory() as folder:
        reference = pathlib.Path(folder, "whole")
        run(_RUN, reference, args.processes)  # which also compiles
        shutil.rmtree(reference)
        seconds = run(_RUN, reference, args.processes)
        print(f"seed {args.seed}; a run takes {seconds:.0f} s", flush=True)
        runs = 0
        while (done := at.total()) < args.kills:
            workdir = pathlib.Path(folder, str(runs))
            kills = (
                Kill(signals[i % len(signals)], rng.uniform(0, seconds))
                for i in range(done, args.kills)
            )
            killed, _ = kill_until_done(_RUN, workdir, kills, args.processes)
            compare(workdir, reference)
            at.update(killed)
            runs += 1
            print(f"{at.total()} kills, {runs} runs, all the same", flush=True)
    print(", ".join(f"{count} at {name}" for name, count in at.most_common()))


if __name__ == "__main__":
    main()
