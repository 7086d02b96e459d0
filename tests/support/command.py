"""The command line in this process: what it says; it leaves nothing of itself behind."""

import contextlib
import io
import logging
import sys
import warnings
from typing import NamedTuple

from absl import flags

from pad_jax import main, runtime
from pad_jax.errors import InputError


class Said(NamedTuple):
    """What a command said: its error line, "" where it had none, and what it printed and logged."""

    error: str
    printed: str
    logged: str


def run(patch, *arguments):
    """Runs the command line; fields of the config are given in a file, not as flags.

    Args:
      patch: a MonkeyPatch.
      arguments: as in a shell.
    """
    logger = logging.getLogger("pad_jax")
    before = logger.level, logger.propagate, list(logger.handlers)
    printed, logged, error = io.StringIO(), io.StringIO(), ""
    argv = ["pad-jax", *map(str, arguments)]
    patch.setattr(sys, "argv", argv)
    patch.setattr(runtime, "configure", lambda **_: None)  # of a process, for all that comes after
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(logged),
            warnings.catch_warnings(),
        ):
            # ml_collections loads config files in a way that Python is to lose.
            warnings.filterwarnings("ignore", "the load_module", DeprecationWarning)
            main.main(main._parse_flags(argv))
    except InputError as raised:
        error = str(raised)
    finally:
        logger.level, logger.propagate, logger.handlers[:] = before
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        flags.FLAGS.unparse_flags()
    return Said(error, printed.getvalue(), logged.getvalue())
