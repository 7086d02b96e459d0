"""Which parts are begun, and when they have to end."""

import subprocess
import sys
import time
from collections.abc import Callable

from pad_jax import signals
from tests.benchmarks.accelerator import worker
from tests.benchmarks.accelerator.parts import PARTS, Options
from tests.benchmarks.accelerator.results import Results


def run(options: Options, start: float, say: Callable[[str], None] = print) -> None:
    """Measures in order what is left and fits, each part in a process of its own.

    Args:
      options: of the command.
      start: when its minutes began, by ``time.time()``.
      say: told what is done.
    """
    # What is under way has the margin to save where it is.
    until = start + 60 * options.minutes - options.sizes.margin
    (options.out / "logs").mkdir(parents=True, exist_ok=True)
    options.work.mkdir(exist_ok=True)
    for part in options.parts:
        left = until - time.time()
        if Results(options.out, part).is_finished:
            say(f"{part}: done before")
        elif left < PARTS[part].least * options.sizes.pace:
            say(f"{part}: not begun, {max(left, 0):.0f} s are left")
        else:
            status = _process(options, part, until)
            say(f"{part}: {time.time() - until + left:.0f} s{_said(options, part, status)}")


def _process(options: Options, part: str, until: float) -> int:
    """Runs a part, and stops it at the time: by the signal after which a run saves itself."""
    arguments = ["-m", "tests.benchmarks.accelerator.worker", worker.task(options, part, until)]
    with (options.out / "logs" / f"{part}.txt").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's signals come by this process, once
        )
        try:
            process.wait(max(until - time.time(), 0))
        except subprocess.TimeoutExpired:
            pass
        finally:
            with signals.patient():
                _stop(process, options.sizes.margin)
    return process.returncode


def _stop(process: subprocess.Popen, margin: float) -> None:
    """Ends a process, if need be for good when most of the margin is over."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(0.8 * margin)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _said(options: Options, part: str, status: int) -> str:
    content = Results(options.out, part).content
    notes = [f"skipped {row}: {why}" for row, why in content["skipped"].items()]
    notes += [f"failed {row}: {why}" for row, why in content["failed"].items()]
    if content["left"]:
        notes.append(f"left: {', '.join(content['left'])}")
    if status:
        notes.append(f"exit status {status}, see {options.out / 'logs' / part}.txt")
    return "".join(f"; {note}" for note in notes)
