"""The words of a command line, before its flags are parsed."""

import re
from collections.abc import Sequence

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
        file = system.filename if isinstance(system, OSError) else given(argv, "flagfile")
        reason = getattr(system, "strerror", None) or first_line(error)
        raise InputError(
            f"--flagfile={file} cannot be read ({reason}); give a text file with a flag a line"
        ) from None


def readable(argv: list[str]) -> list[str]:
    """As ``with_flag_files``, but none of the arguments where such a file cannot be read.

    ml_collections wants them while modules load, which is no time for errors.
    """
    try:
        return with_flag_files(argv)
    except InputError:
        return argv[:1]


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
