"""A run that is killed at random moments ends as one that never was, in processes of their own."""

import signal

import numpy as np

from tests.studies.kills import Kill, compare, kill_until_done, run

CONFIG = """
from tests.support.small_runs import small_config


def get_config():
    return small_config(num_epochs=3)
"""


def test_killed_four_times(tmp_path, monkeypatch):
    # Who is killed while it writes to a cache of programs leaves half of one, which others read.
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    config = tmp_path / "killed.py"
    config.write_text(CONFIG)
    arguments = [f"--config={config}"]
    run(arguments, tmp_path / "whole")
    rng = np.random.default_rng(0)
    kills = [Kill(signal.SIGTERM, 0.5)]
    for signum in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        kills.append(Kill(signum, rng.uniform(0, 1), "Training on"))
    _, said = kill_until_done(arguments, tmp_path / "run", kills)
    compare(tmp_path / "run", tmp_path / "whole")
    assert any("pad_jax: stopped" in line for line in said)
