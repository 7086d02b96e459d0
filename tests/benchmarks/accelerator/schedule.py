"""Which parts are begun, and when they have to end."""

import collections
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pad_jax import signals
from tests.benchmarks.accelerator import worker
from tests.benchmarks.accelerator.parts import PARTS, Options
from tests.benchmarks.accelerator.results import Results

_LOOK = 0.1  # seconds between two looks at what runs
_TAKES_ALL = "XLA_PYTHON_CLIENT_PREALLOCATE"  # whether JAX takes most of a GPU's memory at once


class _Running(NamedTuple):
    """A process that measures a part, or a share of its rows."""

    part: str
    begun: float
    process: subprocess.Popen


def run(options: Options, start: float, say: Callable[[str], None] = print) -> None:
    """Measures in order what is left and fits, each part in processes of its own.

    Args:
      options: of the command.
      start: when its minutes began, by ``time.time()``.
      say: told what is done.
    """
    # What is under way has the margin to save where it is.
    until = start + 60 * options.minutes - options.sizes.margin
    (options.out / "logs").mkdir(parents=True, exist_ok=True)
    options.work.mkdir(exist_ok=True)
    waiting = collections.deque(
        (part, lane) for part in options.parts for lane in range(options.lanes(part))
    )
    running: list[_Running] = []
    try:
        while waiting or running:
            if running and time.time() >= until:
                with signals.held():  # a second one would keep them from saving
                    _stop([each.process for each in running], options.sizes.margin)
            for each in [each for each in running if each.process.poll() is not None]:
                running.remove(each)
                parts = [part for part, _ in waiting] + [other.part for other in running]
                notes = "" if each.part in parts else _notes(options, each.part)
                say(f"{each.part}: {time.time() - each.begun:.0f} s{_status(options, each)}{notes}")
            if not waiting or not _has_place(options, waiting[0][0], running):
                time.sleep(_LOOK)
                continue
            part, lane = waiting.popleft()
            left = until - time.time()
            if Results(options.out, part).is_finished:
                why = "done before"
            elif left < PARTS[part].least * options.sizes.pace:
                why = f"not begun, {max(left, 0):.0f} s are left"
            else:
                if lane == 0:
                    Results(options.out, part).retry()
                with signals.held():
                    running.append(_Running(part, time.time(), _begin(options, part, until)))
                continue
            if lane == 0:
                say(f"{part}: {why}")
    finally:
        with signals.patient():
            _stop([each.process for each in running], options.sizes.margin)


def _has_place(options: Options, part: str, running: Sequence[_Running]) -> bool:
    """Whether a process of a part may begin beside what runs."""
    parts = [part, *(each.part for each in running)]
    are_alone = any(PARTS[name].shared_by == 0 for name in parts)
    return len(running) < (1 if are_alone else options.together)


def _begin(options: Options, part: str, until: float) -> subprocess.Popen:
    is_shared = options.together > 1 and PARTS[part].shared_by
    environment = {_TAKES_ALL: "false"} if is_shared else {}
    told = worker.task(options, part, until)
    with (options.out / "logs" / f"{part}.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.accelerator.worker", told],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environment, **os.environ},
            start_new_session=True,  # a terminal's signals come by this process, once
        )


def _stop(processes: Sequence[subprocess.Popen], margin: float) -> None:
    """Ends processes by the signal after which a run saves itself; late ones for good."""
    for process in processes:
        process.terminate()  # nothing, where it has ended
    until = time.time() + 0.8 * margin
    for process in processes:
        try:
            process.wait(max(until - time.time(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _notes(options: Options, part: str) -> str:
    content = Results(options.out, part).content
    notes = [f"skipped {row}: {why}" for row, why in content["skipped"].items()]
    notes += [f"failed {row}: {why}" for row, why in content["failed"].items()]
    if content["left"]:
        notes.append(f"left: {', '.join(content['left'])}")
    return "".join(f"; {note}" for note in notes)


def _status(options: Options, ended: _Running) -> str:
    log = options.out / "logs" / f"{ended.part}.txt"
    status = ended.process.returncode
    return f"; exit status {status}, see {log}" if status else ""
