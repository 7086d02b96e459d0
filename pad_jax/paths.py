"""Paths as users give them."""

import errno
import os
import pathlib

from pad_jax.errors import InputError


def expanded(path: str | os.PathLike) -> pathlib.Path:
    """A path with ``~`` and ``~user`` as folders of theirs; of a user that is not there as it is.

    ``pathlib.Path.expanduser`` raises RuntimeError for those, and a file may be called ``~x.jpg``.
    """
    return pathlib.Path(os.path.expanduser(path))


def local(path: str | os.PathLike, name: str) -> pathlib.Path:
    """A path that is read or written as a file or a folder, expanded.

    Raises:
      InputError: for the address of a bucket, which would become a folder "gs:", and for what is
        longer than names can be; ``name`` is what an error calls it.
    """
    if "://" in os.fspath(path):
        raise InputError(f"{name}={path} is no folder; mount the bucket and give its path")
    try:
        os.lstat(found := expanded(path))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{name} is longer than a path can be; shorten it") from None
    return found


def lies_in(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a path leads to a folder, or into it; not where that is no folder."""
    return folder.is_dir() and path.resolve().is_relative_to(folder.resolve())


def check_encodable(workdir: pathlib.Path) -> None:
    """Raises InputError for a folder whose path is no UTF-8, in which Orbax keeps nothing."""
    try:
        os.path.abspath(workdir).encode()
    except UnicodeEncodeError:
        raise InputError(f"--workdir={workdir}: its path is no UTF-8; rename that folder") from None
