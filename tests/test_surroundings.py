"""A run where nothing is as at home: no HOME, no PATH, no network, a checkout that is read-only.

Where the tests are started by root, and others can run their Python, it is another user's run.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_NOBODY = 65534
# Connecting to anything but this machine's own files ends the process.
_PROGRAM = """
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        if not isinstance(arguments[-1], (str, bytes)):
            os.write(2, f"{event} {arguments}".encode())
            os._exit(7)

sys.addaudithook(refuse)
from pad_jax.__main__ import run
run()
"""


def another_user(folder):
    """Arguments of ``subprocess.run`` that make it another user's, where that can be."""
    if os.getuid() != 0:
        return {}
    user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, cwd=folder, **user)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return user


@pytest.fixture
def place(tmp_path):
    """A folder with spaces and an umlaut, which all may enter; a checkout and a place to work."""
    place = tmp_path / "für alle hier"
    (place / "Arbeit").mkdir(parents=True)
    for name in ("pad_jax", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / name, place / "nur lesen" / name, ignore=ignored)
    for folder in (place, *place.parents):
        if folder.stat().st_uid == os.getuid() and folder != pathlib.Path(folder.anchor):
            folder.chmod(folder.stat().st_mode | 0o055)
    (place / "Arbeit").chmod(0o777)
    checkout = [place / "nur lesen", *(place / "nur lesen").rglob("*")]
    for path in checkout:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield place
    for path in checkout:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_the_first_command_runs_anywhere(place):
    arguments = {
        "num_epochs": 1, "batch_size": 32, "dataset.max_images": 100, "dataset.image_size": 16,
        "eval.evaluators": "('knn',)", "eval.pixels": False,
    }  # fmt: skip
    done = subprocess.run(
        [
            *(sys.executable, "-c", _PROGRAM, "--config=digits"),
            *(f"--config.{name}={value}" for name, value in arguments.items()),
        ],
        cwd=place / "Arbeit",
        # A cache where no folder can be, not even root's.
        env={
            "PATH": "/nowhere",
            "PYTHONPATH": str(place / "nur lesen"),
            "XDG_CACHE_HOME": str(place / "nur lesen" / "configs" / "digits.py"),
        },
        capture_output=True,
        text=True,
        **another_user(place),
    )
    assert done.returncode == 0, done.stderr
    assert "eval/knn_accuracy" in done.stdout
    assert "Traceback" not in done.stderr
    made = place / "Arbeit" / "runs" / "digits"
    assert (made / "report.html").exists()
    assert (made / "groups.csv").exists()
