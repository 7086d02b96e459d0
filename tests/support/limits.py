"""What the system allows this process, lowered for a while."""

import contextlib
import os
import resource


@contextlib.contextmanager
def limited(what, soft):
    """A limit of this process: here a file of any size ends as on a full disk."""
    before, hard = resource.getrlimit(what)
    resource.setrlimit(what, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (before, hard))


@contextlib.contextmanager
def few_handles(free):
    """So many files may be opened, and no more."""
    with limited(resource.RLIMIT_NOFILE, 200):
        taken = []
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            for _ in range(free):
                os.close(taken.pop())
            yield
        finally:
            for handle in taken:
                os.close(handle)
