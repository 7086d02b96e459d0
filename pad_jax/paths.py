"""Paths as users give them."""

import os
import pathlib


def expanded(path: str | os.PathLike) -> pathlib.Path:
    """A path with ``~`` and ``~user`` as folders of theirs; of a user that is not there as it is.

    ``pathlib.Path.expanduser`` raises RuntimeError for those, and a file may be called ``~x.jpg``.
    """
    return pathlib.Path(os.path.expanduser(path))
