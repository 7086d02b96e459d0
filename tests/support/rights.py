"""Processes that may not read everything, also where root starts the tests."""

import os
import shutil
import subprocess
import sys

import pytest

_POWERS = "-dac_override,-dac_read_search"  # by which root reads what nobody may read


def python_without_powers(script: str, *arguments: object) -> subprocess.CompletedProcess:
    """Runs a script by a user for whom the rights of files and folders count.

    The test is skipped where there is no such user: for root without setpriv.
    """
    command = [sys.executable, "-c", script, *map(str, arguments)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and there is no setpriv to take that from it")
        command = ["setpriv", f"--bounding-set={_POWERS}", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
