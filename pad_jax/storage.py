"""What the system says of disks and files, in one line: a full disk, a folder that is gone."""

import contextlib
import errno
import logging
import os
import pathlib
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from pad_jax.errors import InputError

_log = logging.getLogger(__name__)

_AGAIN = "then give the same command again"
_ROOM = f"make room, or lower checkpoint.keep, {_AGAIN}"
_PERMISSION = f"make it writable, or choose another --workdir, {_AGAIN}"
_HANDLES = f"raise the limit, as by ulimit -n 4096, {_AGAIN}"
# What is to be done, by the number of the system's error. These happen to whoever writes.
_WRITING = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: f"raise the limit of a file's size (ulimit -f), {_AGAIN}",
    errno.EROFS: _PERMISSION,
}
_ANYWHERE = _WRITING | {errno.EMFILE: _HANDLES, errno.ENFILE: _HANDLES}
# These are told of the run's folder alone: elsewhere they are of the user's images, or a defect.
_GONE = f"see that the folder is there, {_AGAIN}"
_IN_FOLDER = {
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EIO: f"see to the disk, {_AGAIN}",
    errno.ESTALE: _GONE,
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.EISDIR: f"move that away, {_AGAIN}",
    errno.EEXIST: f"move that away, {_AGAIN}",
}
# How libraries write an error of the system into their text: TensorStore, and Python itself.
_NUMBER = re.compile(r"os_error_code='(\d+)'|\[Errno (\d+)\]")
_QUIET = ("absl", "asyncio")  # loggers: Orbax tells of a failed save by the first
_CLOSED = "Event loop is closed"
_PATIENCE = 2.0  # s, for threads that may still end by themselves
_REST = 2**24  # bytes: report, metrics, events and groups of a run of usual size
_GIB = 2**30


class Fault(NamedTuple):
    """An error of the system.

    Attributes:
      number: its errno.
      path: of the file it is of, "" where that is not known.
    """

    number: int
    path: str

    def sentence(self, folder: pathlib.Path) -> str:
        """What happened to what is kept in a folder, and what to do, in one line."""
        hint = _hint(self, folder) or "see that it can be written to"
        there = self.path or f"--workdir={folder}"
        return f"cannot write to {there} ({os.strerror(self.number)}); {hint}"


def fault(error: BaseException) -> Fault | None:
    """The error of the system that an exception is, comes from, or tells of in its text.

    Libraries that write in threads of their own raise all kinds: the whole chain is looked at.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.errno is not None:
            return Fault(one.errno, _text(one.filename))
        if not isinstance(one, InputError) and (match := _NUMBER.search(str(one))):
            return Fault(int(match[1] or match[2]), _last_path(str(one)[: match.start()]))
        context = None if one.__suppress_context__ else one.__context__
        waiting += [one.__cause__, context, *getattr(one, "exceptions", ())]
    return None


@contextlib.contextmanager
def errors(folder: str | os.PathLike) -> Iterator[None]:
    """Around what writes into a run's folder: what the system refuses ends in one line.

    A full disk, too many open files, a folder that is gone or cannot be written to: whoever raises
    it, and in whatever form. All other errors pass as they are. Meanwhile nothing that runs beside
    prints a traceback of such an error; it is raised where the one who writes is waited for.

    Args:
      folder: the run's; it need not be there yet.

    Raises:
      InputError: for an error of the system that is not of the user's images.
    """
    folder = pathlib.Path(folder)
    there = folder.is_dir()
    with _quiet(folder, there):
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            if there and not folder.is_dir():
                raise InputError(_is_gone(folder)) from error
            found = fault(error)
            if found is None or _hint(found, folder) is None:
                raise
            raise InputError(found.sentence(folder)) from error


def check_there(folder: pathlib.Path) -> None:
    """Sees to it that a run's folder was not removed, or exchanged, while it trains there.

    Orbax would make it anew, with a checkpoint and nothing else in it.

    Raises:
      InputError: where its config is gone.
    """
    if jax.process_index() == 0 and not (folder / "config.json").exists():
        raise InputError(_is_gone(folder))


def check_space(folder: pathlib.Path, state_bytes: int, keep: int) -> None:
    """Sees to it that what a run keeps finds room on its disk.

    That is two checkpoints more than it keeps: one within an epoch, and one since the oldest goes
    after the newest has come; and what else it writes. Those that are there already have theirs.

    Args:
      folder: the run's, which is there.
      state_bytes: what a checkpoint takes (``size``).
      keep: how many are kept.

    Raises:
      InputError: where there is less room, naming the fields.
    """
    saved = (p for name in ("checkpoints", "within_epoch") for p in (folder / name).glob("*"))
    files = (p for path in saved if path.name.isdecimal() for p in path.rglob("*") if p.is_file())
    held = sum(file.stat().st_size for file in files)
    needed = max(state_bytes, (keep + 2) * state_bytes - held) + _REST
    free = shutil.disk_usage(folder).free
    if free < needed:
        fewer = f"set checkpoint.keep below {keep}, " if keep > 1 else ""
        raise InputError(
            f"the disk of --workdir={folder} has {free / _GIB:.3g} GiB left and this run needs "
            f"{needed / _GIB:.3g} ({keep + 2} checkpoints of {state_bytes / _GIB:.3g} GiB, and its "
            f"report); make room, {fewer}or choose another --workdir"
        )


def size(tree: Any) -> int:
    """The bytes of a tree's arrays, or of what has their shapes and types."""
    leaves = jax.tree.leaves(tree)
    return sum(int(x.size) * x.dtype.itemsize for x in leaves if hasattr(x, "dtype"))


def unread(path: pathlib.Path, error: OSError) -> str:
    """That a file cannot be read, why, and what to do, in one line."""
    hint = _ANYWHERE.get(error.errno or 0, f"see that it can be read, {_AGAIN}")
    return f"cannot read {path} ({error.strerror or error}); {hint}"


def unwritten(path: pathlib.Path, error: OSError) -> str:
    """That a file cannot be written, why, and what to do, in one line.

    NumPy and Pillow tell of a write that was cut short without the system's number.
    """
    hint = _ROOM if error.errno is None else _ANYWHERE.get(error.errno, "choose another place")
    return f"{path} cannot be written ({obstacle(path, error)}); {hint}"


def obstacle(path: pathlib.Path, error: OSError) -> str:
    """What keeps a path from being written: the system's words, or which file is no folder.

    For a file where a folder has to be, the system says "File exists" and not which.
    """
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        for folder in [*reversed(path.parents), path]:
            if os.path.lexists(folder) and not folder.is_dir():
                return f"{folder} is no folder"
    return error.strerror or str(error)


def is_late(error: BaseException | None) -> bool:
    """Whether it is what a thread of TensorStore meets after Orbax has left its event loop."""
    return isinstance(error, RuntimeError) and _CLOSED in str(error)


def leave(status: int) -> None:
    """Ends the process, also where threads of a library wait for what will never come.

    Orbax' do after a save that failed for want of file handles, and the interpreter waits for them.
    """
    main = threading.main_thread()
    waiting = [t for t in threading.enumerate() if t is not main and not t.daemon]
    for thread in waiting:
        thread.join(_PATIENCE / len(waiting))
    if any(thread.is_alive() for thread in waiting):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def _hint(found: Fault, folder: pathlib.Path) -> str | None:
    """What is to be done; None where the error is not one of those that are told."""
    if found.number in _ANYWHERE:
        return _ANYWHERE[found.number]
    inside = found.path and pathlib.Path(found.path).absolute().is_relative_to(folder.absolute())
    return _IN_FOLDER.get(found.number) if inside else None


def _is_gone(folder: pathlib.Path) -> str:
    return (
        f"--workdir={folder} was removed, or moved, while it was in use; put it back and give the "
        "same command again to go on, or begin anew without it"
    )


def _text(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""


def _last_path(text: str) -> str:
    """The last thing in quotation marks: TensorStore goes from the outside in."""
    quoted = re.findall(r'"(/[^"]*)"', text)
    return quoted[-1] if quoted else ""


@contextlib.contextmanager
def _quiet(folder: pathlib.Path, there: bool) -> Iterator[None]:
    """Keeps threads and loggers from printing tracebacks of what is raised in one line."""

    def is_told(error: BaseException | None) -> bool:
        if error is None:
            return False
        found = fault(error)
        is_gone = there and not folder.is_dir()
        return is_gone or (found is not None and _hint(found, folder) is not None)

    def passes(record: logging.LogRecord) -> bool:
        info = record.exc_info
        return not (isinstance(info, tuple) and is_told(info[1]))

    of_threads, unraisable = threading.excepthook, sys.unraisablehook

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        if not is_told(arguments.exc_value):
            of_threads(arguments)

    def in_callback(arguments: Any) -> None:
        error = arguments.exc_value
        if not (is_told(error) or is_late(error)):
            unraisable(arguments)

    loggers = [logging.getLogger(name) for name in _QUIET]
    threading.excepthook, sys.unraisablehook = in_thread, in_callback
    for logger in loggers:
        logger.addFilter(passes)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = of_threads, unraisable
        for logger in loggers:
            logger.removeFilter(passes)
