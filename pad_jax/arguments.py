"""The words of a command line, before its flags are parsed."""

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence

from absl import flags

from pad_jax.errors import InputError, first_line


def with_flag_files(argv: list[str]) -> list[str]:
    """The arguments, with those of the files that --flagfile names in its place.

    Raises:
      InputError: where such a file cannot be read.
    """
    try:
        return flags.FLAGS.read_flags_from_files(argv, force_gnu=False)
    except (flags.Error, ValueError) as error:  # the latter of what is no text
        system = error.__context__
        if isinstance(system, OSError):
            what = f"{system.filename} cannot be read ({system.strerror})"
        elif isinstance(error, UnicodeDecodeError):
            what = f"{given(argv, 'flagfile')}, or one that it names, is no text"
        else:
            raise InputError(f"{first_line(error)}; give one, --flagfile=FILE") from None
        raise InputError(f"--flagfile={what}; give a text file with a flag a line") from None


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """A block in which the command line has no file of flags that cannot be read.

    ml_collections reads it while modules load, which is no time for errors.
    """
    whole = sys.argv
    try:
        with_flag_files(whole)
    except InputError:
        sys.argv = whole[:1]
    try:
        yield
    finally:
        sys.argv = whole


def given(argv: Sequence[str], name: str) -> str | None:
    """The last value of a flag; None where it is not given."""
    values = [None]
    for i, argument in enumerate(argv):
        if match := re.fullmatch(rf"--?{name}=(.*)", argument, re.DOTALL):
            values.append(match[1])
        elif re.fullmatch(rf"--?{name}", argument) and i + 1 < len(argv):
            values.append(argv[i + 1])
    return values[-1]


def without(argv: Sequence[str], name: str) -> list[str]:
    """The arguments without a flag."""
    kept, skip = [], False
    for argument in argv:
        if skip:
            skip = False
        elif re.fullmatch(rf"--?{name}", argument):
            skip = True
        elif not re.match(rf"--?{name}=", argument):
            kept.append(argument)
    return kept
