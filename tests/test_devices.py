"""One device and eight give the same results, in processes of their own."""

import collections
import itertools
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from pad_jax.run import folder, metrics


def start(function, out, devices, *process):
    """A worker with so many devices; ``process``: where two meet, and which of them it is."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.device_worker", function, str(out), *process],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(worker):
    output, _ = worker.communicate(timeout=600)
    assert worker.returncode == 0, output


def run(function, out, devices):
    finish(start(function, out, devices))


def run_two(function, out, devices):
    """Two processes of so many devices each, at the same time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for worker in [start(function, out, devices, address, str(i)) for i in range(2)]:
        finish(worker)


@pytest.fixture(scope="module")
def on_one_and_eight(tmp_path_factory):
    """A function: what a worker's function gives on one device and on eight."""
    folder = tmp_path_factory.mktemp("parts")
    for devices in (1, 8):
        run("run_parts", folder / str(devices), devices)
    return lambda name: (dict(np.load(folder / str(n) / f"{name}.npz")) for n in (1, 8))


def test_graph_loss_gradients_and_refresh_agree(on_one_and_eight):
    one, eight = on_one_and_eight("functions")
    for name in ("neighbors", "neighbors in passes", "neighbors of rows on the devices"):
        np.testing.assert_array_equal(eight[name], one["neighbors"])
    for name in one:
        np.testing.assert_allclose(eight[name], one[name], rtol=1e-5, atol=2e-6, err_msg=name)


def test_steps_agree(on_one_and_eight):
    """To float32 rounding: sums over the batch and the memory are taken in another order.

    A float32 sum is good to about 1e-7 of its terms, and an embedding passes through some twenty of
    them; parameters move by 5e-4 of their norm, and agree to 1e-6 of it after one step, to 4e-6
    after ten: with some versions of JAX a ReLU switches on the way. The learning rate is 1e-4: at
    0.03 the first steps of training magnify any difference (a ReLU or a max-pool that switches
    does), and a change of the first parameters by 1e-7 on one device moves the tenth step as far as
    eight devices do.
    """
    one, eight = on_one_and_eight("steps")
    for i in range(10):
        for name in ("loss", "loss_scs", "loss_hpe"):
            key = f"{name}/{i}"
            np.testing.assert_allclose(eight[key], one[key], rtol=1e-5, err_msg=key)
    for name, after_one, after_ten in (
        ("params", 1e-6, 4e-6),
        ("memory", 1e-5, 1e-4),
        ("stats", 1e-5, 1e-5),
    ):
        first, tenth = one[f"{name}/0"], one[f"{name}/9"]
        for i, expected, tolerance in ((0, first, after_one), (9, tenth, after_ten)):
            difference = np.linalg.norm(eight[f"{name}/{i}"] - expected)
            assert difference <= tolerance * np.linalg.norm(expected), (name, i)
        assert np.linalg.norm(tenth - first) > 100 * tolerance * np.linalg.norm(first), name


def test_a_baselines_step_agrees(on_one_and_eight):
    one, eight = on_one_and_eight("baseline_steps")
    assert one.keys() == eight.keys()
    for name, expected in one.items():
        difference = np.linalg.norm(eight[name] - expected)
        assert difference <= 1e-5 * np.linalg.norm(expected), name


def test_whole_epochs_agree_and_checkpoints_cross_device_counts(tmp_path):
    for first in (1, 8):
        run("run_first_epoch", tmp_path / str(first), first)
        assert len(metrics.read(tmp_path / str(first))) == 1
    for second in (1, 8):
        for first in (1, 8):
            shutil.copytree(tmp_path / str(first), tmp_path / f"to{second}" / str(first))
        run("run_second_epoch", tmp_path / f"to{second}", second)
    reference = metrics.read(tmp_path / "to1" / "1")
    for second, first in itertools.product((1, 8), (1, 8)):
        workdir = tmp_path / f"to{second}" / str(first)
        assert folder.read_run(workdir)["device_count"] == second
        rows = metrics.read(workdir)
        assert [row["epoch"] for row in rows] == [1, 2]
        for row, expected in zip(rows, reference, strict=True):
            # Rounding may flip a neighbour, and with it a group: a few per cent.
            assert row["train/loss"] == pytest.approx(expected["train/loss"], rel=0.03)
            assert row["scs/mean_size"] == pytest.approx(expected["scs/mean_size"], rel=0.1)


def test_two_processes_train_as_one(tmp_path):
    together = tmp_path / "together"
    run_two("run_streamed_training", together, 4)
    run("run_streamed_training", tmp_path / "alone", 8)
    assert (together / "report.html").exists()
    # Before each of two epochs and after the last, by the first process alone.
    assert [(tmp_path / f"together.searches{i}").read_text() for i in range(2)] == ["3", "0"]
    _, *lines = (together / "groups.csv").read_text().splitlines()
    clusters = {int(line.rsplit(",", 1)[1]) for line in lines}
    assert len(clusters) == max(metrics.last_row(together)["eval/clusters"], 1)
    rows, expected = metrics.read(together), metrics.read(tmp_path / "alone")
    assert [row["epoch"] for row in rows] == [1, 2]
    for row, reference in zip(rows, expected, strict=True):
        assert row["train/loss"] == pytest.approx(reference["train/loss"], rel=0.03)
    assert rows[0]["train/loss"] == pytest.approx(expected[0]["train/loss"], rel=1e-4)


def test_where_the_first_process_fails_the_others_end_as_well(tmp_path):
    run_two("run_failing_work", tmp_path / "work", 1)
    said = [(tmp_path / f"work.said{i}").read_text() for i in range(2)]
    assert said == ["0: no room", "-1: the first process: no room"]


# Those of pmap all have one name: the encoder, the memory for its graph, the graph, and the step.
# kNN looks at the embedding, and at fc and the pixels, which are as long; the report at the
# embedding of a few. The linear classifiers try six learning rates and then train with one.
PROGRAMS = {"_fun": 4, "_of_block": 3, "_train_layers": 2} | dict.fromkeys(
    ("drawn", "init_fn", "all_finite", "schedule"), 1
)


@pytest.mark.parametrize(("name", "devices"), [("resident", 8), ("streamed", 1)])
def test_a_run_compiles_each_of_its_programs_once(tmp_path, name, devices):
    run("run_counted", tmp_path / f"{name}.txt", devices)
    programs = (tmp_path / f"{name}.txt").read_text().splitlines()
    assert [p for p, count in collections.Counter(programs).items() if count > 1] == []
    functions = collections.Counter(p.split()[0].removeprefix("jit(")[:-1] for p in programs)
    assert functions == PROGRAMS
