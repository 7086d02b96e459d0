"""The command for a rented accelerator: what it begins, writes down, and goes on from."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pad_jax import config as configs
from pad_jax import data
from pad_jax.config import default
from pad_jax.plan import topologies
from tests.benchmarks.accelerator import __main__ as command
from tests.benchmarks.accelerator import images, schedule, steps, summary, trace, training, worker
from tests.benchmarks.accelerator.parts import PARTS, Figure, Result, Row, Skipped
from tests.benchmarks.accelerator.results import Results
from tests.support import image_files

_LONG = 1e6  # seconds


@pytest.fixture
def options(tmp_path):
    """A function of further arguments."""

    def read(*arguments):
        options = command.read(["--tiny", f"--out={tmp_path / 'out'}", *arguments])
        (options.out / "logs").mkdir(parents=True, exist_ok=True)
        options.work.mkdir(exist_ok=True)
        return options

    return read


@pytest.fixture
def h100(monkeypatch):
    """The devices at hand do what an H100 does, for the plan."""
    at_hand = topologies.at_hand()._replace(peaks=topologies.PEAKS["h100"])
    monkeypatch.setattr(topologies, "at_hand", lambda: at_hand)


def test_a_run_that_is_stopped_goes_on_and_is_planned(options, h100, tmp_path):
    args = options("--parts=cifar10", "--commit=abc")
    curve = args.work / "runs" / "cifar10" / "metrics.jsonl"
    begun = subprocess.Popen(
        [sys.executable, "-m", *args.command.split()[2:]],
        stdout=subprocess.PIPE,
        text=True,
        # A default, so that no other is set: what it compiles is found again in this process.
        env={**os.environ, "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=true"},
    )
    try:
        # The first epoch's report loads what callbacks are in, out of which nothing is raised.
        while not (curve.exists() and curve.read_text().count("\n") > 1):
            assert begun.poll() is None
            time.sleep(0.02)
        begun.terminate()
        printed, _ = begun.communicate(timeout=30)
    finally:
        begun.kill()
    assert begun.returncode == 128 + signal.SIGTERM
    assert "All of it:" in printed
    first = Results(args.out, "cifar10").attempts("run")
    assert len(first) == 1
    first_epochs = first[0]["epochs"]
    assert first_epochs[0] == 0
    assert 2 <= first_epochs[1] < args.sizes.epochs
    assert first[0]["commit"] == "abc"

    worker.measure(args, "cifar10", time.time() + _LONG)
    results = Results(args.out, "cifar10")
    assert results.is_finished
    assert [each["epochs"] for each in results.attempts("run")] == [
        first_epochs,
        [first_epochs[1], args.sizes.epochs],
    ]
    assert (
        len((args.out / "curves" / "cifar10.jsonl").read_text().splitlines()) == args.sizes.epochs
    )
    lines = {line.figure: line for line in summary.lines(results.content)}
    assert lines["kNN, embedding"].value > 0.5
    assert lines["start to report"].value > first[0]["seconds"]
    assert 0 < lines["train, an epoch"].predicted < lines["train, an epoch"].value
    assert 0 < lines["graph, an epoch"].predicted < lines["graph, an epoch"].value
    assert results.content["rows"]["run"]["environment"].keys() >= {
        *("device_kind", "device_count", "python", "jax", "commit", "date", "seed", "command")
    }


def test_full_schedules_with_and_without_groups(options):
    args = options("--parts=schedules", "--seed=3")
    names = [row.name for row in training.schedules(args, Results(args.out, "schedules"))]
    runs = ["singletons, seed 3", "PAD, fresh graph, seed 3"]
    assert names == [*runs, *(f"{name}, probe" for name in runs)]
    args = args._replace(sizes=args.sizes._replace(rows_of_tables=1, schedule_epochs=11))
    worker.measure(args, "schedules", time.time() + _LONG)
    found = Results(args.out, "schedules").content["rows"]
    row, probe = found["singletons, seed 3"], found["singletons, seed 3, probe"]["figures"]
    assert list(probe) == [f"linear probe, conv5, epoch {epoch}" for epoch in (10, 11)]
    assert probe["linear probe, conv5, epoch 11"] == row["figures"]["linear probe, conv5"]
    config = row["details"]["config"]
    assert config["grouping.kind"] == "singleton"
    assert (config["seed"], config["model.name"]) == (3, "tiny")
    assert "model.dtype" not in config  # float32, to be compared with a CPU's
    assert {"kNN, fc", "kNN, embedding", "linear probe, conv5", "k-means ACC"} <= set(
        row["figures"]
    )
    assert (args.out / "curves" / "schedules,singletons,_seed_3.jsonl").exists()


def test_what_is_compared_at_length(options):
    args = options()
    args = args._replace(sizes=args.sizes._replace(rows_of_tables=None))
    rows = [row.name for row in training.compared(args, Results(args.out, "compared"))]
    assert rows == ["PAD, a tenth of the edges", "singletons", "singletons without HPE", "AND"]


def test_a_probe_without_its_runs_checkpoints_is_skipped(options):
    args = options("--parts=schedules")
    probe = training.schedules(args, Results(args.out, "schedules"))[-1]
    with pytest.raises(Skipped, match="the run's checkpoints are not here"):
        probe.measure()


def test_rows_are_measured_once_and_held_against_the_plan(options, h100):
    args = options()
    worker.measure(args, "graph", time.time() + _LONG)
    content = Results(args.out, "graph").content
    assert content["left"] == []
    assert not content["failed"]
    assert len(content["rows"]) == 4
    for line in summary.lines(content):
        if line.figure == "rows as in float64":
            assert line.value == 1
        if line.figure == "graph, median":
            assert 0 < line.predicted < line.value
    worker.measure(args, "graph", time.time() + _LONG)
    assert Results(args.out, "graph").content["rows"] == content["rows"]


def test_float64_finds_a_wrong_row(unit_rows):
    from pad_jax.graph.neighbors import nearest_neighbors
    from tests.benchmarks.accelerator.graph import against_float64

    features = unit_rows(50, 16)
    graph = nearest_neighbors(features, 3)
    assert against_float64(features, graph, 0)["rows as in float64"].value == 1
    graph.indices[7] = graph.indices[7][::-1]
    assert against_float64(features, graph, 0)["rows as in float64"].value == 0.98


def test_a_streamed_step_does_not_hold_its_logits(options):
    args = options()
    args = args._replace(sizes=args.sizes._replace(rows=2**17, repeats=1))
    row = steps.rows(args, Results(args.out, "steps"))[1]
    assert row.name == "bfloat16, logits streamed"
    figures = row.measure().figures
    logits = 4 * 2**17 * args.sizes.batch / 1e9  # GB; held, there are four such arrays
    assert figures["temporaries"].value < 4 * logits
    assert figures["trained"].value > 0


@pytest.fixture
def three_rows(monkeypatch):
    """A part of three rows; the list gets what is measured."""
    measured = []

    def row(name, seconds, can_be_cut=False, error=None):
        def measure():
            measured.append(name)
            if error:
                raise error
            return Result({"figure": Figure(1.0)})

        return Row(name, seconds, measure, can_be_cut)

    def rows(options, results):
        return [row("long", 500, error=error), row("run", 500, can_be_cut=True), row("short", 10)]

    error = None
    monkeypatch.setattr("tests.benchmarks.accelerator.graph.rows", rows)

    def fails(with_error):
        nonlocal error
        error = with_error

    return measured, fails


@pytest.mark.parametrize(
    ("left", "begun"),
    [(9, []), (11, ["short"]), (61, ["run", "short"]), (501, ["long", "run", "short"])],
)
def test_only_rows_that_fit_are_begun(options, three_rows, left, begun):
    args = options()
    args = args._replace(sizes=args.sizes._replace(pace=1.0))
    worker.measure(args, "graph", time.time() + left)
    assert three_rows[0] == begun
    left_over = [name for name in ("long", "run", "short") if name not in begun]
    assert Results(args.out, "graph").content["left"] == left_over


def test_a_row_is_measured_by_one_process(options, three_rows):
    args = options()
    results = Results(args.out, "graph")
    with contextlib.ExitStack() as elsewhere:
        assert results.takes(Row("run", 1.0, dict), elsewhere)
        worker.measure(args, "graph", time.time() + _LONG)
        assert three_rows[0] == ["long", "short"]
        assert results.content["left"] == ["run"]
    worker.measure(args, "graph", time.time() + _LONG)
    assert three_rows[0] == ["long", "short", "run"]
    assert results.is_finished


def test_a_row_that_needs_another_waits_for_it(options):
    args, plan = options(), Row("plan", 1.0, dict, after="run")
    results = Results(args.out, "cifar10")
    with contextlib.ExitStack() as stack:
        assert not results.takes(plan, stack)
    results.add("run", Result({}), 1.0, {})
    with contextlib.ExitStack() as stack:
        assert results.takes(plan, stack)


def test_runs_go_side_by_side_and_what_is_timed_alone(options, monkeypatch):
    args, said, begun = options("--together=2", "--parts=schedules,cifar10,graph"), [], []

    def begin(options, part, until):
        running = [name for name, process in begun if process.poll() is None]
        assert len(running) < (1 if part == "graph" else 2)
        process = subprocess.Popen(["sleep", "0.3"])
        begun.append((part, process))
        return process

    monkeypatch.setattr(schedule, "_begin", begin)
    schedule.run(args, time.time(), said.append)
    assert [part for part, _ in begun] == ["schedules", "schedules", "cifar10", "graph"]
    assert len(said) == 4


def test_several_at_once_add_to_a_part(options):
    args, names = options(), [str(i) for i in range(40)]
    Results(args.out, "graph").begin(names)

    def measure(name):  # each with a file of its own, as another process has
        results = Results(args.out, "graph")
        results.attempt(name, {"epochs": [0]})
        results.attempted(name, {"seconds": 1.0})
        results.add(name, Result({}), 1.0, {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(measure, names))
    content = Results(args.out, "graph").content
    assert content["left"] == []
    assert content["rows"].keys() == set(names)
    assert content["attempts"] == {name: [{"epochs": [0], "seconds": 1.0}] for name in names}


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [(RuntimeError("a\nb"), "failed", "RuntimeError: a"), (Skipped("none"), "skipped", "none")],
)
def test_what_does_not_work_is_passed_over_and_tried_again(options, three_rows, error, kind, said):
    args, (measured, fails) = options(), three_rows
    fails(error)
    worker.measure(args, "graph", time.time() + _LONG)
    results = Results(args.out, "graph")
    assert results.content[kind] == {"long": said}
    assert [*results.content["rows"]] == ["run", "short"]
    assert not results.is_finished
    fails(None)
    results.retry()
    worker.measure(args, "graph", time.time() + _LONG)
    assert measured == ["long", "run", "short", "long"]
    assert Results(args.out, "graph").is_finished


def test_a_cpu_measures_nothing_in_full_size(options):
    args = options()
    args = args._replace(sizes=args.sizes._replace(on_accelerator=True))
    worker.measure(args, "graph", time.time() + _LONG)
    assert Results(args.out, "graph").content["skipped"].keys() == {"all"}


def test_nothing_is_begun_without_time(options, capsys):
    args = options("--minutes=0.001")
    with pytest.raises(SystemExit, match="nothing was measured"):
        command.main(args.command.split()[3:], time.time())
    said = capsys.readouterr().out.splitlines()
    assert said[: len(PARTS)] == [f"{part}: not begun, 0 s are left" for part in PARTS]


def test_what_is_under_way_at_the_deadline_is_ended(options):
    args, said = options("--parts=resnet18"), []
    args = args._replace(sizes=args.sizes._replace(pace=0.0))  # it begins, however late
    start = time.time()
    schedule.run(args, start + 1 + args.sizes.margin - 60 * args.minutes, said.append)
    assert "exit status" in said[0]
    assert time.time() - start < 1 + args.sizes.margin


def test_images_of_an_archive_are_those_of_the_folder(options, tmp_path, rng):
    folder = tmp_path / "images"
    for split, count in (("train", 5), ("test", 2)):
        for name in ("dog", "cat"):
            for i in range(count):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                image_files.save(folder / split / name / f"{i}.jpg", pixels)
    archive = tmp_path / "images.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(folder, "top")
    config = default()
    config.dataset.name, config.dataset.root = "folder", str(folder)
    expected = data.load(configs.read(config))
    for given in (archive, folder):
        arrays = images.arrays_of(given)
        for split in ("train", "test"):
            own = getattr(expected, split)
            np.testing.assert_array_equal(arrays[f"x_{split}"], own.array)
            np.testing.assert_array_equal(arrays[f"y_{split}"], own.labels)
    np.savez(tmp_path / "images.npz", **arrays)
    args = options(f"--data={tmp_path / 'images.npz'}")
    assert images.decoded(args) == args.data
    assert training._config(args, 1).dataset.root == str(args.data)
    with pytest.raises(Skipped, match="no images of one size in train"):
        images.arrays_of(folder / "train")


def test_kernels_of_a_gpu_are_those_of_its_streams():
    def event(tid, name, microseconds):
        args = {"hlo_op": name}
        return {"ph": "X", "pid": 1, "tid": tid, "name": name, "dur": microseconds, "args": args}

    events = [
        {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": "Stream #7"}},
        {"ph": "M", "pid": 1, "tid": 2, "name": "thread_name", "args": {"name": "XLA Ops"}},
        *(event(1, "add", 1.0), event(1, "conv", 5.0), event(1, "add", 2.0)),
        event(2, "fusion", 8.0),
    ]
    conv, add = trace.kernels(events)
    assert conv == {"name": "conv", "us": 5.0, "times": 1}
    assert add == {"name": "add", "us": 3.0, "times": 2}
    assert [kernel["name"] for kernel in trace.kernels(events[-1:])] == ["fusion"]


def test_the_graphs_trace(options):
    args = options()
    result = trace.rows(args, Results(args.out, "trace"))[1].measure()
    assert result.figures["kernels, of one"].value > 0
    assert result.details["slowest"]


def test_the_summary_has_all_and_the_archive_what_is_worth_it(options):
    args = options()
    for part, row, speed in (("steps", "bfloat16, logits held", 30.0), ("pytorch", "bfloat16", 10)):
        results = Results(args.out, part)
        results.begin([row])
        results.add(row, Result({"trained": Figure(speed, "images/s", 60.0)}), 1.0, {})
    (args.work / "large").touch()
    (args.out / "logs" / "steps.txt").touch()
    table = summary.write(args)
    assert "| pytorch | bfloat16 | ours / PyTorch | 3 |" in table
    assert "| 30 images/s | 60 images/s | 0.5 |" in table
    written = json.loads((args.out / "summary.json").read_text())
    assert written["parts"]["steps"]["rows"]["bfloat16, logits held"]["seconds"] == 1
    summary.write(args)  # not the archive of before
    with tarfile.open(args.out / "results.tar.gz") as tar:
        expected = ["logs/steps.txt", "pytorch.json", "steps.json", "summary.json"]
        assert sorted(tar.getnames()) == expected


@pytest.mark.parametrize("argument", ["--parts=graph,x", f"--data={os.sep}nowhere"])
def test_an_argument_that_means_nothing(options, argument, capsys):
    with pytest.raises(SystemExit):
        options(argument)
    assert "x" in capsys.readouterr().err
