"""One process at a time in a folder."""

import contextlib
import pathlib

from pad_jax.errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None


def take(folder: pathlib.Path, stack: contextlib.ExitStack, busy: str = "") -> None:
    """Takes a folder's lock until ``stack`` is closed.

    The lock is the system's, so it ends with the process, however that ends. Where the system or
    its file system has none the folder is not guarded.

    Args:
      folder: which is there.
      stack: of what is to be closed.
      busy: what is said where another process has the lock; "": that is waited for.

    Raises:
      InputError: where another one has it.
      OSError: where the folder cannot be written to.
    """
    if fcntl is None:
        return
    file = stack.enter_context((folder / ".lock").open("a"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
    except BlockingIOError:
        raise InputError(busy) from None
    except OSError:
        pass  # some network file systems know no locks
