"""The command line in processes of its own."""

import os
import pathlib
import subprocess

from tests.studies.kills import PYTHON

DIGITS = "--config=digits"
DIGITS_FILE = f"--config={pathlib.Path(__file__).parents[2] / 'configs' / 'digits.py'}"


def start(cwd, *arguments, module="pad_jax.main", options=(), **environment):
    """What a command line did in a folder; with other options of Python's, or environment."""
    return subprocess.run(
        [*PYTHON, *options, "-m", module, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        timeout=300,
    )
