"""The config: what comes with the package, what was recorded, and what may change."""

import importlib
import pathlib

import numpy as np
import pytest

from pad_jax import config as configs
from pad_jax import data, models, optimizer, outputs, settings
from pad_jax.data.source import DatasetSettings
from pad_jax.data.tfds import tfds
from pad_jax.errors import InputError
from pad_jax.graph.probability import TemperatureSettings
from pad_jax.groupings import GroupingSettings
from pad_jax.run import folder
from pad_jax.settings import NOTHING, RESULTS, TRAINING
from tests.support import parts
from tests.support.small_runs import small_config

ROOT = pathlib.Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
DECLARED = list(settings.declarations(configs.parts({})))


def get_config(name):
    return importlib.import_module(f"configs.{name}").get_config()


def sized(config):
    """With values for what training would choose."""
    for name in ("num_epochs", "batch_size"):
        config[name] = config[name] or 10
    config.model.name = config.model.name or "tiny"
    config.model.dtype = config.model.dtype or "float32"
    return config


def test_all_are_there():
    expected = "auto cifar10 cifar100 digits features folder imagenet mnist mnist_clustering "
    assert NAMES == (expected + "photos stl10 svhn").split()


@pytest.mark.parametrize("name", NAMES)
def test_config(name):
    module = importlib.import_module(f"configs.{name}")
    assert f"--config=configs/{name}.py" in module.__doc__
    assert "AAAI 2020" in module.__doc__
    assert "TODO" not in module.__doc__
    for heading in ("Command:", "Cost:", "Expected:"):
        assert heading in module.__doc__
    models.create(configs.read(sized(module.get_config())))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_config_is_found_by_its_name(name):
    path = configs.shipped(name)
    assert path.is_absolute()
    assert path.read_text() == (ROOT / "configs" / f"{name}.py").read_text()


def test_another_name_is_refused_with_those_there_are():
    with pytest.raises(InputError, match=f"--config=nope .* use one of: {', '.join(NAMES)};"):
        configs.shipped("nope")


def test_the_papers_schedule():
    """0.03, and a tenth after epochs 80, 120 and 160 of 200."""
    config = configs.default()
    schedule = optimizer.learning_rate_schedule(configs.read(config), 1280)  # 10 steps an epoch
    rates = [float(schedule(10 * epoch)) for epoch in (0, 79, 80, 119, 120, 159, 160, 199)]
    expected = [3e-2, 3e-2, 3e-3, 3e-3, 3e-4, 3e-4, 3e-5, 3e-5]
    assert rates == pytest.approx(expected)
    config.batch_size = 256
    schedule = optimizer.learning_rate_schedule(configs.read(config), 1280)
    assert float(schedule(0)) == pytest.approx(0.06)


def test_the_default_config_has_every_field_with_its_default():
    assert dict(settings.flatten(configs.default())) == {d.name: d.default for d in DECLARED}


# What was recorded


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_config_is_the_same_again(name):
    config = get_config(name)
    assert configs.filled(configs.as_json(config)).to_dict() == config.to_dict()
    again, first = (configs.read(x) for x in (configs.as_json(sized(config)), sized(config)))
    for part in configs.parts({}):
        assert again[part] == first[part]


def test_an_old_config_is_filled_up():
    config = small_config(**{"loss.temperature": 0.4, "dataset.image_size": None})
    old = configs.as_json(config)
    del old["grouping"]["singletons_until"], old["loss"]["final_temperature"], old["checkpoint"]
    filled = configs.filled(old)
    assert filled.to_dict() == config.to_dict()
    filled.loss.final_temperature = 0.2  # as optional as it is in a new one
    filled.dataset.image_size = 8
    read = configs.read(old)
    assert read[GroupingSettings].singletons_until == 1.0
    assert read[TemperatureSettings] == TemperatureSettings(temperature=0.4)
    assert read[DatasetSettings].image_size is None


def test_numbers_of_numpy_are_recorded_as_numbers(tmp_path):
    config = small_config(**{"num_epochs": np.int64(1), "loss.temperature": np.float32(0.1)})
    recorded = configs.as_json(config)
    assert (recorded["num_epochs"], recorded["loss"]["temperature"]) == (1, float(np.float32(0.1)))
    for part in (settings.RunSettings, TemperatureSettings):
        assert configs.read(recorded)[part] == configs.read(config)[part]


@pytest.mark.parametrize("value", [pathlib.Path("x"), np.ones(2), {1}, np.float32])
def test_what_cannot_be_recorded_is_told(value):
    with pytest.raises(InputError, match="the config has .*; give a number, text"):
        configs.as_json(small_config(**{"loss.temperature": value}))


@pytest.mark.parametrize("make", [configs.default, configs.auto])
def test_a_misspelt_name_is_refused(make):
    with pytest.raises(InputError, match="no field objektive; did you mean objective"):
        make(objektive="tests.support.swav:Swav")
    with pytest.raises(InputError, match=r"no field dataset\.nme; did you mean dataset\.name"):
        make(dataset__nme="folder")
    with pytest.raises(InputError, match="no field num_epoch; did you mean num_epochs"):
        configs.changed(make(), {"num_epoch": 3})
    swav = {"objective": "tests.support.swav:Swav", "swav.prototypes": 7}
    assert configs.changed(make(), swav).swav.prototypes == 7


def test_what_nobody_declares_any_more_is_left_out():
    old = configs.as_json(small_config())
    old["loss"]["margin"] = 0.5
    old["mining"] = {"rounds": 3}
    assert configs.filled(old).to_dict() == small_config().to_dict()


@pytest.mark.parametrize(
    ("name", "value", "affects"),
    [
        ("dataset.max_resident_gib", 0.0, NOTHING),
        ("checkpoint.keep", 3, NOTHING),
        ("eval.features", ["fc"], RESULTS),
        ("dataset.root", "elsewhere", RESULTS),
        ("loss.temperature", 0.2, TRAINING),
        ("optimizer.decay_at", [0.5], TRAINING),
    ],
)
def test_differences_say_what_they_affect(name, value, affects):
    old, new = configs.as_json(small_config()), configs.as_json(small_config())
    section, _, field = name.partition(".")
    before, new[section][field] = new[section][field], value
    assert list(configs.differences(old, new)) == [(name, before, value, affects)]
    assert list(configs.differences(new, old)) == [(name, value, before, affects)]
    assert not list(configs.differences(new, new))


def test_what_a_config_lacks_differs_from_its_default_alone():
    old, new = configs.as_json(small_config()), configs.as_json(small_config())
    del old["grouping"]["singletons_until"]
    assert not list(configs.differences(old, new))
    new["grouping"]["singletons_until"] = 0.5
    assert list(configs.differences(old, new)) == [
        ("grouping.singletons_until", 1.0, 0.5, TRAINING)
    ]
    new["grouping"] |= {"singletons_until": 1.0, "rounds_of_old": 3}  # nobody knows what it did
    assert list(configs.differences(old, new)) == [("grouping.rounds_of_old", None, 3, TRAINING)]


def test_a_run_may_be_resumed_with_another_value_of_what_affects_nothing(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    outputs.write_json(tmp_path / "config.json", configs.as_json(small_config()))
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    for overrides in ({"dataset.max_resident_gib": 0.0}, {"eval.features": ("fc",)}):
        folder.check_workdir(tmp_path, small_config(**overrides))
    with pytest.raises(InputError, match="another config .*temperature was 0.1 and is now 0.2"):
        folder.check_workdir(tmp_path, small_config(**{"loss.temperature": 0.2}))


@pytest.mark.parametrize(
    ("evaluators", "message"),
    [
        ((5,), r"eval.evaluators=\(5,\) cannot be used; use some of: knn, clustering, linear"),
        (("knn", "svm"), "eval.evaluators=.*'svm'.* cannot be used; use some of: knn"),
        (("nowhere.at:all",), "eval.evaluators='nowhere.at:all' cannot be imported"),
    ],
)
def test_evaluators_that_there_are_not(evaluators, message):
    with pytest.raises(InputError, match=message):
        configs.read(small_config(**{"eval.evaluators": evaluators}))


def test_settings_of_an_evaluator_that_is_dropped_are_no_change_of_the_run():
    name = "tests.support.effective_rank:EffectiveRank"
    old = configs.default(eval__evaluators=("knn", name))
    old.effective_rank.every_epochs = 7
    new = configs.default(eval__evaluators=("knn",))
    recorded = map(configs.as_json, (old, new))
    found = {field: affects for field, *_, affects in configs.differences(*recorded)}
    assert found == {"eval.evaluators": RESULTS, "effective_rank.every_epochs": RESULTS}


def test_names_of_data_sets_with_a_colon_are_no_code():
    """TensorFlow Datasets has ``huggingface:mnist`` and ``imagenet2012:5.1.0``."""
    for name in ("huggingface:mnist", "imagenet2012:5.1.0"):
        assert configs.read(small_config(**{"dataset.name": name}))[DatasetSettings].name == name
        assert data.find(data.SOURCES, name, "dataset.name") is tfds
    assert data.find(data.SOURCES, "tests.support.parts:stripes", "dataset.name") is parts.stripes


# What is said of it


def test_the_description_has_every_field_once():
    lines = configs.describe().splitlines()
    fields = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert sorted(fields) == sorted(d.name for d in DECLARED)
    may_change = {
        line.split("`")[1]: line.split("|")[-2].strip() for line in lines if "| `" in line
    }
    assert may_change["loss.temperature"] == "no"
    assert may_change["eval.features"] == "until the run is finished"
    assert may_change["dataset.max_resident_gib"] == "always"


def test_the_page_of_settings_is_up_to_date():
    """``python -m pad_jax.config > docs/settings.md`` writes it."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == configs.describe()
