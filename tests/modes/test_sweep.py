"""Sweeps: what is run, what is skipped, and what the table says."""

import csv
import importlib
import json
import signal
import subprocess
import threading
import time

import pytest

from configs import digits, mnist_clustering
from pad_jax import config as configs
from pad_jax import objectives, tables
from pad_jax.errors import InputError
from pad_jax.modes import sweep
from pad_jax.tables import Row, Table
from tests.studies.kills import PYTHON
from tests.support.small_runs import make_checkpoint

DATASETS = ("cifar10", "cifar100", "svhn", "mnist", "stl10", "imagenet", "digits")


def small_config():
    config = digits.get_config()
    config.update_from_flattened_dict(SMALL)
    return config


SMALL = {
    "num_epochs": 1,
    "dataset.max_images": 256,
    "dataset.image_size": 16,
    "eval.kmeans_runs": 1,
    "eval.pixels": False,
    "eval.probe": (),
}
ONE_SEED = {"config_file": str(configs.shipped("digits")), "overrides": SMALL, "seeds": range(1)}


def test_runs_what_is_missing_and_passes_over_what_fails(tmp_path, monkeypatch):
    table = Table(
        "A table",
        {"kNN": "eval/knn_accuracy"},
        [
            Row("ours", {}, {"kNN": 50.0}),
            Row("cannot work", {"model.stem": "standard", "model.name": "alexnet"}, {}),
            Row("the same again", {"grouping.num_neighbors": 5}, {}),
        ],
    )
    arguments = {"table": table, "name": "t", "workdir": tmp_path, **ONE_SEED}
    with pytest.raises(InputError, match="1 of 2 runs failed"):
        sweep.run_table(**arguments, config=small_config(), jobs=2)
    log = (tmp_path / "stem=standard,name=alexnet" / "seed=0" / "log.txt").read_text()
    assert "cannot take images of 16x16" in log
    with (tmp_path / "t.csv").open() as file:
        ours, failed, same = csv.DictReader(file)
    assert 20 < float(ours["kNN"]) < 100
    assert float(ours["kNN, difference"]) == pytest.approx(float(ours["kNN"]) - 50, abs=0.11)
    assert ours["images"] == "256"
    assert failed["kNN"] == failed["seeds"] == ""
    assert same["kNN"] == ours["kNN"]  # one run serves both rows
    markdown = (tmp_path / "t.md").read_text()
    assert "Shortened: 256 of the training images" in markdown
    assert "With --config.num_epochs=1" in markdown
    assert f"| ours | {ours['kNN']} | 50.0 |" in markdown
    more = small_config()
    more.eval.kmeans_runs = 2  # the figures there are of one
    with pytest.raises(InputError, match="eval.kmeans_runs was 1 and is now 2.*another --workdir"):
        sweep.run_table(**arguments, config=more, jobs=2)

    started = []
    monkeypatch.setattr(sweep, "_train", lambda run, *_: started.append(run.row.name) or 1)
    with pytest.raises(InputError, match="1 of 1 runs failed"):
        sweep.run_table(**arguments, config=small_config())
    assert started == ["cannot work"]
    other = small_config()
    other.grouping.features = "pixels"
    with pytest.raises(InputError, match="grouping.features='pixels'"):
        sweep.run_table(**arguments, config=other)
    other = small_config()
    other.batch_size = 64
    with pytest.raises(InputError, match="another config.*batch_size"):
        sweep.run_table(**arguments, config=other)


def test_a_signal_is_passed_on_to_the_runs(tmp_path):
    fields = [f"--config.{name}={value}" for name, value in (SMALL | {"num_epochs": 500}).items()]
    sweeping = subprocess.Popen(
        [
            *(*PYTHON, "-m", "pad_jax", "--mode=sweep", "--config=digits", "--table=table3"),
            *(*fields, f"--workdir={tmp_path / 'tables'}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (logs := [p for p in tmp_path.rglob("log.txt") if "epoch 1/" in p.read_text()]):
        assert sweeping.poll() is None, sweeping.stderr.read()
        time.sleep(0.1)
    sweeping.send_signal(signal.SIGTERM)
    _, said = sweeping.communicate(timeout=60)
    assert sweeping.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[-1].startswith("pad_jax: stopped")
    deadline = time.monotonic() + 60
    while "pad_jax: stopped" not in logs[0].read_text():
        assert time.monotonic() < deadline, logs[0].read_text()
        time.sleep(0.1)
    assert len(list(tmp_path.rglob("log.txt"))) == 1  # no other one is begun


def test_a_rows_tuple_takes_the_place_of_the_command_lines(tmp_path):
    arguments = ONE_SEED | {"overrides": SMALL | {"optimizer.decay_at": (0.5,)}}
    config = small_config()
    config.optimizer.decay_at = (0.5,)
    table = Table(
        "A table", {"kNN": "eval/knn_accuracy"}, [Row("ours", {"optimizer.decay_at": ()}, {})]
    )
    sweep.run_table(table, "t", config, workdir=tmp_path, **arguments)
    (file,) = tmp_path.glob("*/seed=0/config.json")
    assert json.loads(file.read_text())["optimizer"]["decay_at"] == []


@pytest.mark.parametrize(
    ("cores", "expected"),
    [((0, 1, 2, 3), {(0, 2), (1, 3)}), ((5,), {(5,)}), ((), {()})],
    ids=["four cores", "one core", "not known"],
)
def test_several_runs_at_once_have_cores_of_their_own(tmp_path, monkeypatch, cores, expected):
    rows = [Row(f"k = {k}", {"grouping.num_neighbors": k}, {}) for k in (2, 3, 4, 5, 6)]
    monkeypatch.setattr(sweep, "_cores", lambda: cores)
    used, both_run = [], threading.Barrier(2, timeout=30)

    def train(run, _, cores, *_rest):
        if run.overrides["grouping.num_neighbors"] < 6:
            both_run.wait()
        used.append(cores)
        return 0

    monkeypatch.setattr(sweep, "_train", train)
    table = Table("A table", {"kNN": "eval/knn_accuracy"}, rows)
    sweep.run_table(table, "t", small_config(), workdir=tmp_path, jobs=2, **ONE_SEED)
    assert len(used) == 5
    assert set(used) == expected


def test_mean_spread_and_difference_over_the_seeds(tmp_path):
    config = small_config()
    for seed, accuracy in enumerate((0.5, 0.6)):
        workdir = tmp_path / "pad" / f"seed={seed}"
        workdir.mkdir(parents=True)
        metrics = {"epoch": 1, "eval/knn_accuracy": accuracy, "time/train": 60, "time/graph": 30}
        (workdir / "metrics.jsonl").write_text(json.dumps(metrics) + "\n")
        described = {"num_images": 1256, "device_count": 8, "device_kind": "TPU v4"}
        (workdir / "run.json").write_text(json.dumps(described))
        effective = json.loads(config.to_json_best_effort()) | {"seed": seed}
        make_checkpoint(workdir, 1)
        (workdir / "config.json").write_text(json.dumps(effective))
    table = Table(
        "T", {"kNN": "eval/knn_accuracy", "ACC": "none"}, [Row("ours", {}, {"kNN": 54.0})]
    )
    sweep.run_table(
        table, "t", config, config_file="", overrides={}, seeds=range(2), workdir=tmp_path
    )
    with (tmp_path / "t.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert line == {
        "": "ours",
        "kNN": "55.0 ± 7.1",
        "kNN, paper": "54.0",
        "kNN, difference": "+1.0",
        "ACC": "",
        "seeds": "0 1",
        "images": "1,256",
        "epochs": "1",
        "device": "8 x TPU v4",
        "minutes": "1.5",
    }


@pytest.mark.parametrize("dataset", [*DATASETS, "auto"])
@pytest.mark.parametrize("name", tables.TABLES)
def test_every_row_is_a_config_that_can_be_trained(name, dataset):
    config = importlib.import_module(f"configs.{dataset}").get_config()
    table = tables.get_table(name, config, dataset)
    names = [row.name for row in table.rows]
    assert len(set(names)) == len(names)
    for row in table.rows:
        own = configs.changed(config, row.overrides)
        objectives.create(configs.read(own))
        assert set(row.paper) <= set(table.columns)


def test_the_papers_figures():
    config = importlib.import_module("configs.cifar10").get_config()
    for name in ("table1", "table3", "table4", "table5"):
        assert tables.get_table(name, config, "cifar10").rows[-1].paper["kNN"] == 81.5
        assert tables.get_table(name, config, "cifar100").rows[-1].paper["kNN"] == 48.7
    linear = [row.paper["linear"] for row in tables.get_table("table1", config, "svhn").rows]
    assert linear[0] == 79.2
    assert linear[-1] == 93.2
    assert tables.get_table("table2", config, "mnist").rows[-1].paper == {"ACC": 98.2}
    table6 = {
        row.name: row.paper["kNN"] for row in tables.get_table("table6", config, "cifar10").rows
    }
    assert table6["s = 100"] == 73.5
    assert table6["lambda = 0.5"] == 78.5
    assert tables.get_table("table3", config, "mnist").rows[-1].paper == {"kNN": None}


def test_the_clustering_protocol_trains_on_all_images():
    for dataset, split in (
        ("mnist", "train+test"),
        ("stl10", "train+test+unlabelled"),
        ("imagenet", "train+validation"),
    ):
        config = importlib.import_module(f"configs.{dataset}").get_config()
        for row in tables.get_table("table2", config, dataset).rows:
            own = config.copy_and_resolve_references()
            own.update_from_flattened_dict(row.overrides)
            assert own.dataset.train_split == split
            assert own.dataset.test_split == ""


@pytest.mark.parametrize("name", tables.TABLES)
def test_every_row_suits_settings_of_larger_groups(name):
    """A config whose scale threshold grows, and whose singletons stop being classes."""
    config = mnist_clustering.get_config()
    for row in tables.get_table(name, config, "mnist").rows:
        own = configs.changed(config, row.overrides)
        objectives.create(configs.read(own))
        if "s" == row.name.split(" ")[0]:  # and it is that in the last epoch
            assert own.grouping.final_max_size is None
