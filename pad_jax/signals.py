"""What SIGINT and SIGTERM do to the command line: stop it at once, or after a step of training.

Light to load, so that it can be installed before anything that takes its time is.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # the last where there are terminals
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_TOGETHER = 1.0  # seconds in which signals are one: some send it to a process and to its group
_SAID = "stopped; a run goes on from what was saved when its command is given again"
_GRACE = 10.0  # seconds that what is under way has to clean up, or to be heard of at all


class Stopped(KeyboardInterrupt):
    """A signal ends the program.

    Args:
      signum: which.
      said: where that is, and what follows.
    """

    def __init__(self, signum: int, said: str = ""):
        super().__init__(signum, said)
        self.signum, self.said = signum, said or _SAID


class _Program:
    """What is known of the process's signals; there is one."""

    installed = False
    ready = False  # what takes its time is loaded, so that a signal may be raised
    held = 0  # blocks that hold signals back
    worth_it = 0  # blocks at whose end, and there alone, something is saved
    asked: int | None = None  # the first signal that came
    since = 0.0  # and when


def install() -> None:
    """From here on a signal ends the process with one line and status 128 + its number.

    The first one is raised as ``Stopped`` once ``ready`` has been called, unless a block holds it
    back. A second one ends the process where it is; so does the first, ten seconds later, where
    nothing came of it: code in C may be long, or swallow what is raised. A signal that the process
    was told to ignore, as by nohup, stays ignored. To be called in the main thread.
    """
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _handle)
    if _Program.installed or not heard:
        return
    _Program.installed = True
    show = sys.unraisablehook
    sys.unraisablehook = lambda found: _leave_where_swallowed(found, show)
    if os.name != "posix":  # there signals only come where Python runs
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    # Written to by the C library's handler, also while the main thread is busy in C.
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), name="signals", daemon=True).start()
    if hasattr(os, "register_at_fork"):  # a child's signals are its own
        os.register_at_fork(after_in_child=_forget)


def ready() -> None:
    """All is loaded: from here on a signal is raised in the main thread."""
    _Program.ready = True


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Lets the block end, after a signal as well: something is being saved."""
    _Program.held += 1
    try:
        yield
    finally:
        _Program.held -= 1


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Holds the first signal back while the block runs, which looks at ``asked`` now and then.

    Where the block has not raised ``Stopped`` itself, that is done at its end.
    """
    with patient():
        yield
    if _Program.asked and not _Program.held:
        raise Stopped(_Program.asked)


@contextlib.contextmanager
def worth_waiting_for() -> Iterator[None]:
    """Lets the block hear of a signal as late as it may: code in C can be long, as a large graph's.

    A second signal still ends the process where it is.
    """
    _Program.worth_it += 1
    try:
        yield
    finally:
        _Program.worth_it -= 1


@contextlib.contextmanager
def unwrapped() -> Iterator[None]:
    """Raises ``Stopped`` itself where compiled code has made another error of it, as Numba does.

    An error of what a signal is followed by, such as saving, stays what it is.
    """
    try:
        yield
    except Exception as error:
        found: BaseException | None = error
        while found is not None and not isinstance(found, Stopped):
            found = found.__cause__
        if found is None:
            raise
        raise found from None


def asked() -> int:
    """The signal that asks the program to stop; 0 for none."""
    return _Program.asked or 0


def leave(signum: int, said: str = _SAID) -> None:
    """Ends the process with a line on standard error; nothing is waited for."""
    with contextlib.suppress(OSError):
        os.write(2, f"pad_jax: {said}\n".encode())
    os._exit(128 + signum)


def _handle(signum: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _Program.asked is None:
        _Program.asked, _Program.since = signum, now
    elif now < _Program.since + _TOGETHER:
        return
    else:
        leave(signum)
    if not _Program.ready:
        leave(signum)
    if not _Program.held:
        raise Stopped(signum)


def _leave_where_swallowed(found: Any, show: Callable[[Any], Any]) -> None:
    """Ends the process where ``Stopped`` met a callback, out of which nothing can be raised."""
    if isinstance(found.exc_value, Stopped):
        leave(found.exc_value.signum)
    show(found)


def _watch(read: int) -> None:
    """Ends the process where the main thread does not come to do so."""
    since = None
    while True:
        for signum in os.read(read, 64):
            if signum not in SIGNALS:
                continue
            if since is not None and time.monotonic() < since + _TOGETHER:
                continue
            if since is not None:
                leave(signum)
            since = time.monotonic()
            threading.Thread(target=_insist, args=(signum,), daemon=True).start()


def _insist(signum: int) -> None:
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if _Program.held or _Program.worth_it:  # it will stop by itself, and save first
            deadline = time.monotonic() + _GRACE
    leave(signum)


def _forget() -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)
