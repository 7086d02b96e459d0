"""What a terminal shows while something takes its time; nothing anywhere else."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

_Step = TypeVar("_Step")

_DELAY = 0.5  # seconds; what is done by then needs no bar


def bar(
    steps: Iterable[_Step],
    total: int,
    title: str,
    *,
    each: int = 1,
    unit: str = "img",
    done: int = 0,
) -> Iterator[_Step]:
    """Passes steps on, on a terminal with a bar that shows the speed and the time left.

    Args:
      steps: whatever is done one after the other.
      total: of units in all of them.
      title: what is done.
      each: units in a step; the last one may have fewer.
      unit: what is counted.
      done: units that were done before.
    """
    if not _is_terminal():
        yield from steps
        return
    with _shown(total=total, desc=title, unit=unit, unit_scale=True, initial=done) as shown:
        for step in steps:
            yield step
            shown.update(min(each, total - shown.n))


@contextlib.contextmanager
def clock(title: str) -> Iterator[None]:
    """Shows on a terminal for how long the block has been running: where nobody counts steps."""
    if not _is_terminal():
        yield
        return
    done = threading.Event()

    def tick(shown: tqdm) -> None:
        wait = _DELAY
        while not done.wait(wait):
            shown.refresh()
            wait = 0.2

    with _shown(total=None, desc=title, bar_format="{desc}: {elapsed}") as shown:
        ticking = threading.Thread(target=tick, args=(shown,), daemon=True)
        ticking.start()
        try:
            yield
        finally:
            done.set()
            ticking.join()


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _shown(**options: Any) -> tqdm:
    try:
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    # A terminal that does not know its size says 0, and tqdm would draw nothing.
    size = {"ncols": columns or 80, "nrows": lines or 24}
    return tqdm(leave=False, delay=_DELAY, file=sys.stderr, **size, **options)
