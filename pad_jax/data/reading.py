"""Files as the system gives them: what it refuses says nothing of the images in them.

A decoder judges bytes. That there are none to judge, for want of file handles, memory, a right or a
server, is no fault of an image: to leave it out would train on other images, unnoticed.
"""

import contextlib
import errno
import io
import os
import stat
import time
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pad_jax.errors import InputError

_T = TypeVar("_T")
_Path = str | os.PathLike

PAUSES = (0.1, 0.4, 1.6)  # s, after which it is asked again
# Answers that stay the same however often it is asked.
_FINAL = {
    errno.EACCES: "let this user read it, as by chmod a+rX",
    errno.EPERM: "let this user read it, as by chmod a+rX",
    errno.ENOENT: "put it back, or take it out of the images' list or folder",
    errno.ENOTDIR: "put it back, or take it out of the images' list or folder",
    errno.ELOOP: "its links lead to no file; take it out of the images' folder",
    errno.EISDIR: "it is a folder; give a file in its place",
    errno.ENAMETOOLONG: "there is no file of so long a name; mend the list of the images",
}
_PASSING = {
    errno.EMFILE: "allow more open files, as by ulimit -n 4096",
    errno.ENFILE: "the whole system has too many open files; end other programs",
    errno.ENOMEM: "free memory by ending other programs, or lower dataset.max_megapixels",
    errno.ESTALE: "mount the disk anew",
}
# Answers to who looks for a place that no file has, because its bytes say so.
_OF_PLACES = (errno.EINVAL, errno.EOVERFLOW)
_OTHER = "see to the disk or the network it lies on"

# What NumPy, zipfile and json raise for files that are not what they seem. Pickles are among them:
# NumPy loads none unless it is told to, and it never is here.
NO_ARRAYS = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,  # of zipfile, for ways to pack that it does not know
    OSError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class NotRead(InputError):
    """The system does not give what has to be read; the message names it.

    Args:
      name: of the file or folder.
      error: what the system says.
    """

    def __init__(self, name: str, error: OSError | MemoryError):
        code = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
        self.name = name
        self.reason = os.strerror(code) if code else str(error)
        self.advice = _FINAL.get(code) or _PASSING.get(code, _OTHER)
        super().__init__(self._said())

    def _said(self, beside: str = "") -> str:
        return printable(
            f"{self.name} cannot be read ({self.reason}){beside}; {self.advice}, and give the same "
            "command again"
        )


class Withheld(NotRead):
    """There is no such file, or this user may not read it."""

    def among(self, paths: Iterable[_Path | None]) -> InputError:
        """The same, with the number of those files for which it holds as well."""
        paths = list(paths)
        count = sum(path is not None and not os.access(path, os.R_OK) for path in paths)
        if count < 2:
            return self
        return InputError(self._said(f", nor can {count - 1} more of {len(paths)} images"))


class OutOfMemory(NotRead):
    """There is not the memory to read it."""


def patiently(
    read: Callable[[], _T], name: str, again_after: tuple[type[Exception], ...] = ()
) -> _T:
    """What ``read`` gives; asked again, after growing pauses, where the system refuses it.

    Args:
      read: raises the system's OSError or MemoryError as they are.
      name: of what is read, in messages.
      again_after: other errors after which it is asked again; in the end they are raised.

    Raises:
      Withheld: at once, where there is no such file or this user may not read it.
      NotRead: for all else that the system says.
    """
    for pause in (*PAUSES, None):
        try:
            return read()
        except again_after:
            if pause is None:
                raise
        except (OSError, MemoryError) as error:
            refused = _refused(name, error)
            if pause is None or isinstance(refused, Withheld):
                raise refused from error
        time.sleep(pause)
    raise AssertionError("not reached")


@contextlib.contextmanager
def in_one_line(name: str) -> Iterator[None]:
    """What the system says of files while a block runs is raised as ``NotRead``."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise _refused(os.fsdecode(getattr(error, "filename", None) or name), error) from error


def _refused(name: str, error: OSError | MemoryError) -> NotRead:
    if isinstance(error, MemoryError):
        return OutOfMemory(name, error)
    return (Withheld if error.errno in _FINAL else NotRead)(name, error)


def is_the_systems(error: BaseException) -> bool:
    """Whether an error is of the system, and not a library's word on the bytes."""
    if isinstance(error, OSError):
        return bool(error.errno) and error.errno not in _OF_PLACES
    return isinstance(error, MemoryError)


def printable(text: str) -> str:
    """A file's name, or a message with one, in one line that every terminal takes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class _Raw(io.FileIO):
    """A file that remembers what the system refused, which who reads it may swallow or rename."""

    refused: OSError | None = None

    def readinto(self, buffer) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            self.refused = error
            raise

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            self.refused = error
            raise

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")  # C libraries would read past this class


class Opened:
    """A file's bytes, to be read in any order.

    Args:
      file: its path, or its bytes.

    Attributes:
      stream: to read from.

    Raises:
      OSError: what the system says.
      ValueError: for a pipe or a device, which may have no end or keep its reader waiting.
    """

    def __init__(self, file: _Path | bytes):
        self._raw = None
        if isinstance(file, bytes):
            self.stream: io.BufferedIOBase = io.BytesIO(file)
            return
        self._raw = _Raw(file, opener=_without_waiting)
        self.stream = io.BufferedReader(self._raw, 2**16)

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *error) -> None:
        self.stream.close()

    def check(self) -> None:
        """Raises what the system refused while it was read, if anything."""
        if self._raw is not None and self._raw.refused is not None:
            raise self._raw.refused


def _without_waiting(path: _Path, flags: int) -> int:
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    kind = os.fstat(handle).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        os.close(handle)
        raise ValueError("it is a pipe or a device, and no file")
    return handle
