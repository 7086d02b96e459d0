"""The command line, in processes of its own."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pad_jax import metrics

DIGITS = "--config=configs/digits.py"
SMALL = [
    "--config.num_epochs=1",
    "--config.dataset.max_images=300",
    "--config.dataset.image_size=16",
    "--config.eval.kmeans_runs=1",
]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "pad_jax.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_train_again_and_evaluate(tmp_path):
    arguments = [DIGITS, f"--workdir={tmp_path / 'run'}", *SMALL, "--config.grouping.max_size=None"]
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    assert "epoch 1/1" in first.stderr  # plain log lines, since this is no terminal
    assert "\r" not in first.stderr
    assert "Results after epoch 1:" in first.stdout
    assert "eval/knn_accuracy " in first.stdout
    again = run(*arguments)
    assert again.returncode == 0
    assert "finished" in again.stderr
    assert again.stdout == first.stdout
    assert len(metrics.read(tmp_path / "run")) == 1
    alone = run(*arguments, "--mode=evaluate")
    figures = [line for line in first.stdout.splitlines() if "eval/" in line]
    assert figures == [line for line in alone.stdout.splitlines() if "eval/" in line]


def test_interrupted_by_the_user(tmp_path):
    # A shell that runs the tests in the background has children ignore the signal: undo that.
    program = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('pad_jax.main', run_name='__main__')"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program, DIGITS, f"--workdir={tmp_path}", *SMALL[1:]],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not metrics.read(tmp_path) and worker.poll() is None:
        time.sleep(0.2)
    worker.send_signal(signal.SIGINT)
    _, errors = worker.communicate(timeout=120)
    assert worker.returncode == 130, errors
    # Orbax's threads may add lines of their own where the signal meets a checkpoint being written.
    assert "pad_jax: stopped; the same command goes on" in errors
    assert 1 <= len(metrics.read(tmp_path)) < 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config is missing"),
        (["--config=configs/nope.py"], "--config=configs/nope.py cannot be loaded; the"),
        ([DIGITS, "--workdir=gs://bucket/run"], "--workdir=gs://bucket/run is no folder; mount"),
        ([DIGITS, "--config.batchsize=3"], "no field batchsize; did you mean batch_size?"),
        ([DIGITS, "--config.batch_size=abc"], "--config.batch_size=abc: use an integer"),
        ([DIGITS, "--config.dataset=mnist"], "--config.dataset=mnist: use a flag for each field"),
        ([DIGITS, "--config.grouping.max_size=1"], "grouping.max_size=1 cannot be used"),
        ([DIGITS, "--mode=test"], "train|evaluate"),
        ([DIGITS, "--mode=sweep", "--table=table7"], "use one of: table1, table2"),
        ([DIGITS, "digits"], "'digits' is no flag"),
        ([DIGITS, "--config.dataset.name=npz", "--config.dataset.root=no.npz"], "does not exist"),
        (["--config=configs/folder.py"], "dataset.root is not set"),
        ([DIGITS, "--mode=evaluate", "--workdir=nowhere"], "nowhere holds no run"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_too_few_images(tmp_path):
    np.savez(tmp_path / "few.npz", x_train=np.zeros((4, 8, 8), np.uint8))
    done = run(DIGITS, "--config.dataset.name=npz", f"--config.dataset.root={tmp_path / 'few.npz'}",
               "--config.dataset.test_split=")  # fmt: skip
    assert done.returncode == 2
    assert "grouping.num_neighbors=5 cannot be used; the data set has 4 images" in done.stderr
    assert len(done.stderr.splitlines()) == 1
