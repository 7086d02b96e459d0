"""Every benchmark runs, in sizes that mean nothing."""

import importlib.util
import json
import subprocess
import sys

import pytest

SIZES = {
    "between": ("--rows=300", "--processes=1", "--rounds=1"),
    "clusters": ("--sizes=100", "--hdbscan=100", "--large=1600"),
    "cycle": ("--rows=2000", "--image-size=28", "--steps=1"),
    "embed": ("--images=256", "--photographs=4"),
    "features": ("--rows=2000", "--steps=1"),
    "graph": ("--rows=1000", "--large=2000", "--rounds=1"),
    "loss": ("--batch=16", "--most=300", "--rounds=1"),
    "prepared": ("--start=32", "--read=0", "--train=256", "--memory=2560"),
    "search": ("--copies=100", "--connected=1000", "--rounds=1"),
    "startup": ("--images=256",),
    "step": ("--steps=1", "--rounds=1"),
}
NEEDS = {"graph": "faiss", "step": "torch"}  # in tests/benchmarks/requirements.txt


@pytest.mark.parametrize("name", SIZES)
def test_it_runs_and_reports(tmp_path, name):
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed")
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", f"--json={tmp_path / 'rows.json'}"]
    done = subprocess.run([*command, *SIZES[name]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "rows.json").read_text())
    assert "| --- |" in done.stdout
