"""One part in a process of its own: its rows in order, as far as the time goes.

``python -m tests.benchmarks.accelerator.worker TASK``, which the schedule starts.
"""

from pad_jax import signals

if __name__ == "__main__":  # before what takes its time to load
    signals.install()

import contextlib
import importlib
import json
import logging
import pathlib
import sys
import time
from typing import Any

from pad_jax import parallel, runtime
from pad_jax.errors import first_line
from tests.benchmarks.accelerator import environment
from tests.benchmarks.accelerator.parts import PARTS, Options, Row, Skipped
from tests.benchmarks.accelerator.results import Results
from tests.benchmarks.accelerator.sizes import Sizes

_log = logging.getLogger(__name__)


def task(options: Options, part: str, until: float) -> str:
    """What the process is told.

    Args:
      options: of the command.
      part: to be measured.
      until: the clock's time, in seconds, at which it has to end.
    """
    content = options._asdict() | {"sizes": options.sizes._asdict()}
    return json.dumps({"part": part, "until": until, "options": content}, default=str)


def measure(options: Options, part: str, until: float) -> None:
    """Measures what is left of a part and no other process has; what does not work is noted."""
    results = Results(options.out, part)
    is_for_jax = PARTS[part].framework == "jax" and options.sizes.on_accelerator
    if is_for_jax and parallel.platform() == "cpu":  # hours, for figures of no use
        results.skip("all", "JAX sees no accelerator; --tiny rehearses on a CPU")
        return
    module, _, name = PARTS[part].rows.partition(":")
    try:
        rows: list[Row] = getattr(importlib.import_module(module), name)(options, results)
    except Skipped as skipped:
        results.skip("all", str(skipped))
        return
    results.begin([row.name for row in rows])
    for row in rows:
        with contextlib.ExitStack() as stack:
            if results.takes(row, stack):
                _measure(options, part, results, row, until)


def _measure(options: Options, part: str, results: Results, row: Row, until: float) -> None:
    """Measures a row, where the time suffices."""
    left = until - time.time()
    if left < row.least * options.sizes.pace:
        return
    _log.info("%s: %s, with %.0f s left", part, row.name, left)
    start = time.perf_counter()
    try:
        with signals.unwrapped():
            result = row.measure()
    except Skipped as skipped:
        results.skip(row.name, str(skipped))
    except Exception as error:  # the other rows are worth their time all the same
        _log.exception("%s: %s", part, row.name)
        results.fail(row.name, f"{type(error).__name__}: {first_line(error)}")
    else:
        described = environment.describe(options, PARTS[part].framework)
        results.add(row.name, result, time.perf_counter() - start, described)


def _options(content: dict[str, Any]) -> Options:
    data = content["data"]
    return Options(**content)._replace(
        out=pathlib.Path(content["out"]),
        data=None if data is None else pathlib.Path(data),
        sizes=Sizes(**content["sizes"]),
    )


def _main() -> None:
    told = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    for name in ("pad_jax", "tests"):
        logging.getLogger(name).setLevel(logging.INFO)
    _log.setLevel(logging.INFO)
    options = _options(told["options"])
    if PARTS[told["part"]].framework == "jax":
        runtime.configure()
    signals.ready()
    try:
        measure(options, told["part"], told["until"])
    except signals.Stopped as stopped:
        sys.stderr.flush()
        signals.leave(stopped.signum, stopped.said)


if __name__ == "__main__":
    _main()
