"""--mode=plan: what it says of devices at hand and of others."""

import importlib.util
import json
import re

import pytest

from configs import cifar10, digits, imagenet
from pad_jax import beginning, objectives
from pad_jax import config as configs
from pad_jax.data.preparation import Pixels
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.models import ModelSettings
from pad_jax.plan import estimate, programs, samples, topologies
from pad_jax.plan.costs import Cost
from pad_jax.plan.programs import Program, Programs
from pad_jax.settings import Settings
from tests.support import command


def _settings(module=digits, **overrides):
    config = module.get_config()
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in overrides.items()})
    return configs.read(config)


@pytest.mark.parametrize(
    ("module", "overrides", "expected"),
    [
        (digits, {}, (1_437, (28, 28, 1))),
        (cifar10, {}, (50_000, (32, 32, 3))),
        (cifar10, {"dataset__train_split": "train+test", "dataset__test_split": ""}, (60_000,)),
        (cifar10, {"dataset__max_images": 1_000}, (1_000,)),
        (imagenet, {}, (1_281_167, (224, 224, 3))),
    ],
)
def test_sets_that_everybody_has(module, overrides, expected):
    count, preparation = samples.of_run(_settings(module, **overrides), None, None)
    assert (count, preparation.shape)[: len(expected)] == expected


def test_other_sets_need_a_number_and_a_size():
    pile = {"dataset__name": "folder", "dataset__root": "x", "dataset__image_size": 64}
    with pytest.raises(InputError, match="give --num_images"):
        samples.of_run(_settings(**pile), None, None)
    count, preparation = samples.of_run(_settings(**pile), None, 4_000)
    assert (count, preparation.shape) == (4_000, (64, 64, 3))
    with pytest.raises(InputError, match=r"give --config.dataset.image_size"):
        samples.of_run(_settings(**{**pile, "dataset__image_size": None}), None, 4_000)
    with pytest.raises(InputError, match=re.escape("train[:10%] is not known; give --num_images")):
        samples.of_run(_settings(cifar10, dataset__train_split="train[:10%]"), None, None)


def test_fewer_images_are_planned_where_fewer_are_taken():
    dataset = {"name": "folder", "image_size": 28, "max_images": 1000}
    settings = Settings(DatasetSettings(**dataset))
    assert samples.of_run(settings, None, 40_000)[0] == 1000


def test_the_number_of_features_is_not_known():
    settings = Settings(DatasetSettings(name="features", image_size=28))
    with pytest.raises(InputError, match="how many numbers features have is not known; give --wor"):
        samples.of_run(settings, None, 1000)


def test_a_run_says_it_best(tmp_path):
    run = {"num_images": 77, **Pixels((9, 9, 1), "pad").record()}
    (tmp_path / "run.json").write_text(json.dumps(run))
    count, preparation = samples.of_run(_settings(imagenet), tmp_path, None)
    assert (count, preparation.shape, preparation.resize) == (77, (9, 9, 1), "pad")
    assert samples.of_run(_settings(imagenet), tmp_path, 50)[0] == 50


@pytest.mark.parametrize("name", ["h300:1", "v5e", "v5e:2x", "h100:0", "v5e:2x4:1"])
def test_unknown_devices(name):
    with pytest.raises(InputError, match=f"--topology={name} is unknown; use h100:8"):
        topologies.find(name)


@pytest.mark.parametrize(("name", "package"), [("h100:1", "xla_cuda12"), ("v5e:2x4", "libtpu")])
def test_what_compiles_for_them_has_to_be_installed(monkeypatch, name, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=rf"needs {package}: pip install 'pad-jax\[...-plan\]'"):
        topologies.find(name)


def _programs(settings, temporaries=10e9, sent=0.0):
    """Programs whose costs are round: 989.4 TFLOP in bfloat16, and 3.35 TB."""
    of_step = Cost({"bfloat16": 989.4e12}, 3.35e12, sent)
    program = Program(of_step, 1e9, temporaries, 0.0)
    parts = beginning.step_parts(settings, None, objectives.create(settings), 1_437)
    return Programs(program, program, program, parts, 1e8, False, 64)


def test_the_longest_of_the_limits_counts():
    settings, topology = _settings(), _h100()
    steps = 1_437 // 128
    plan = estimate.estimate(settings, _programs(settings), 1_437, topology)
    step = plan["programs"]["training"]
    assert step["limits"] == {"compute": 1.0, "memory": 1.0, "links": 0.0}
    assert plan["epoch"] == {"training": steps * 1.0, "graph": 1.0}
    assert plan["run"] == 50 * (steps + 1)
    assert plan["does_not_fit"] == []
    assert "--host_images_per_second counts that, too" in estimate.table(plan)
    linked = estimate.estimate(settings, _programs(settings, sent=900e9), 1_437, topology)
    assert linked["programs"]["training"]["limit"] == "links"
    assert linked["programs"]["training"]["seconds"] == 2.0
    fed = estimate.estimate(settings, _programs(settings), 1_437, topology, host_rate=64)
    assert fed["programs"]["training"]["limit"] == "input"
    assert fed["programs"]["training"]["seconds"] == 4.0  # 128 images and their hard positives


def test_embedding_counts_where_groups_are_found_in_it():
    settings = _settings(grouping__features="embed")
    plan = estimate.estimate(settings, _programs(settings), 1_437, _h100())
    assert plan["epoch"]["embedding"] == 23.0  # batches of 64


def test_groups_of_one_need_no_graph_each_epoch():
    settings = _settings(grouping__kind="singleton")
    plan = estimate.estimate(settings, _programs(settings), 1_437, _h100())
    assert set(plan["epoch"]) == {"training"}


def test_what_does_not_fit_is_named_with_what_to_lower():
    settings = _settings()
    plan = estimate.estimate(settings, _programs(settings, 79.5e9), 1_437, _h100())
    training, embedding, graph = plan["does_not_fit"]
    assert training.startswith("training step: 0.5 GB too many; take more devices, or lower batch_")
    assert embedding.startswith("batch embedded: 1.5 GB too many")
    assert "dataset.max_images" in graph
    assert "Does not fit: training step" in estimate.table(plan)


def _h100():
    return topologies.Topology("h100:1", "gpu", (None,), topologies.PEAKS["h100"])


def test_the_command_on_the_devices_at_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = command.run(monkeypatch, "--config=digits", "--mode=plan", "--json=plan.json").printed
    assert "1,437 samples, on each device; batch 128, 11 steps an epoch; 1 device, 1 x cpu" in said
    assert "What these devices can do is not known" in said
    plan = json.loads((tmp_path / "plan.json").read_text())
    training = plan["programs"]["training"]
    # State and images: parameters and momentum of `tiny`, the memory bank, 28 x 28 pixels each.
    assert training["held"] > 1_437 * (128 * 4 + 28 * 28)
    assert training["more"] > 0
    assert sum(training["flops"].values()) > 1e9
    assert list(tmp_path.iterdir()) == [tmp_path / "plan.json"]  # it is no run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--config=photos",),
            "it cannot choose --config.model.name, --config.dataset.image_size, "
            "--config.batch_size, --config.num_epochs; give it",
        ),
        (
            ("--config=digits", "--num_images=100"),
            "batch_size=128 cannot be used; there are 100 images",
        ),
        (("--config=digits", "--topology=x"), "--topology=x is unknown"),
        (("--config=digits", "--distributed"), "is for one process"),
    ],
)
def test_what_cannot_be_planned_is_one_line(monkeypatch, arguments, message):
    assert message in command.run(monkeypatch, "--mode=plan", *arguments).error


@pytest.mark.parametrize(
    ("arguments", "dtype"), [((), "float32"), (("--topology=h100:1",), "bfloat16")]
)
def test_the_dtype_that_is_left_open_is_that_of_the_topology(
    tmp_path, monkeypatch, arguments, dtype
):
    def compile_run(settings, *_):
        raise InputError(f"for {settings[ModelSettings].dtype}")

    monkeypatch.setattr(programs, "compile_run", compile_run)
    monkeypatch.setattr(topologies, "find", lambda name: _h100())
    (tmp_path / "mine.py").write_text(
        "from configs import cifar10\n"
        "def get_config():\n"
        "    config = cifar10.get_config()\n"
        "    config.model.dtype = None\n"
        "    return config\n"
    )
    said = command.run(monkeypatch, "--mode=plan", f"--config={tmp_path / 'mine.py'}", *arguments)
    assert f"for {dtype}" in said.error


@pytest.mark.skipif(not importlib.util.find_spec("libtpu"), reason="libtpu is not installed")
def test_the_programs_of_a_tpu():
    settings = _settings(dataset__max_resident_gib=0.0)
    topology = topologies.find("v5e:2x2")
    found = programs.compile_run(settings, Pixels((28, 28, 1)), 20_000, topology)
    assert len(topology.devices) == 4
    assert not found.is_resident
    bank = 20_000 / 4 * 128 * 4
    assert found.memory_bank == pytest.approx(bank, rel=0.05)  # the groups besides
    assert found.training.arguments > bank
    assert found.training.cost.sent > 0  # the gradients
    plan = estimate.estimate(settings, found, 20_000, topology)
    assert 0 < plan["run"] < 3_600
    assert not plan["does_not_fit"]
