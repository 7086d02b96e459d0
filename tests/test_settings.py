"""Settings: declared once, read where they are declared for, and refused in one line."""

import ast
import dataclasses
import math
import pathlib
import re
from typing import ClassVar, Optional

import numpy as np
import pytest

import pad_jax
from pad_jax import beginning, train
from pad_jax import config as configs
from pad_jax import settings as machinery
from pad_jax.errors import InputError
from pad_jax.evaluators.base import EvaluationSettings
from pad_jax.evaluators.knn import KnnSettings
from pad_jax.groupings.scs import SubgraphSettings
from pad_jax.objectives import ObjectiveSettings
from pad_jax.optimizer import OptimizerSettings
from pad_jax.settings import RunSettings, Settings, at_least, read, setting
from tests.support.small_runs import small_config
from tests.support.swav import SwavSettings

PACKAGE = pathlib.Path(pad_jax.__file__).parent
SOURCES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
DECLARED = {d.name: d for d in machinery.declarations(configs.parts({}))}
NUMBERS = [name for name, d in DECLARED.items() if float in d.kinds]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"batch_size": 301}, "batch_size=301 .* has 300 images"),
        ({"grouping.num_neighbors": 300}, "grouping.num_neighbors=300 .* has 300 images"),
        ({"grouping.kind": "groups"}, "grouping.kind='groups' .* scs, neighbors, .*singleton"),
        ({"grouping.max_size": 1}, "grouping.max_size=1"),
        ({"grouping.final_max_size": 1}, "grouping.final_max_size=1"),
        (
            {"grouping.final_max_size": 100, "grouping.max_size": None},
            "grouping.final_max_size=100 .* grouping.max_size, which is None",
        ),
        ({"grouping.edge_share": 0.0}, "grouping.edge_share=0.0 .* such as 0.1"),
        (
            {"grouping.kind": "neighbors", "grouping.singletons_until": 0.5},
            "grouping.singletons_until=0.5 .* not for grouping.kind=neighbors; use 1.0, or "
            "kind=scs",
        ),
        ({"grouping.singletons_until": 1.5}, "grouping.singletons_until=1.5 .* a share"),
        ({"loss.hpe": "mse"}, "loss.hpe='mse'"),
        ({"loss.hpe_weight": math.nan}, "loss.hpe_weight=nan"),
        ({"augmentation.jitter": (1e300, 0.4, 0.4, 0.4)}, "augmentation.jitter="),
        ({"loss.temperature": 0.0}, "loss.temperature=0.0"),
        ({"loss.temperature": math.inf}, "loss.temperature=inf"),
        ({"loss.final_temperature": 0.0}, "loss.final_temperature=0.0 .* 0.03 or more.* or None"),
        ({"loss.final_temperature": "low"}, "loss.final_temperature='low'"),
        ({"loss.final_temperature_from": 2.0}, "loss.final_temperature_from=2.0 .* a share"),
        ({"num_epochs": 0}, "num_epochs=0"),
        ({"model.name": "vgg"}, "model.name='vgg' .* alexnet, resnet18, .* or package.module:Name"),
        ({"model.name": "alexnet", "model.stem": "standard"}, "cannot take images of 16x16"),
        (
            {"model.stem": "standard"},
            "model.stem='standard' .* tiny has another; use one of: small",
        ),
        ({"seed": -1}, "seed=-1"),
        ({"augmentation.jitter": (0.4, 0.4, 0.4)}, "augmentation.jitter"),
        ({"dataset.channels": 4}, "dataset.channels=4"),
        ({"dataset.max_images": 2.5}, "dataset.max_images=2.5"),
        ({"eval.features": ("conv9",)}, "eval.features='conv9' .* conv5, embedding, fc, pixels"),
        ({"eval.probe": ("conv9",)}, "eval.probe='conv9' .* conv5, embedding, fc, pixels"),
        ({"augmentation.crop_scale": (0.0, 1.0)}, "augmentation.crop_scale"),
        (
            {"dataset.train_split": "train+test"},
            "dataset.test_split='test' .* in dataset.train_split",
        ),
        ({"dataset.test_split": "train[80%:]"}, "dataset.test_split='train.80%:.' .* kNN"),
        ({"optimizer.decay_at": (80, 120, 160)}, "optimizer.decay_at.* shares of the run in order"),
        ({"optimizer.momentum": 1.5}, "optimizer.momentum=1.5 .* below 1"),
        ({"optimizer.weight_decay": -1.0}, "optimizer.weight_decay=-1.0 .* 0 or more"),
        ({"optimizer.decay_factor": -3.0}, "optimizer.decay_factor=-3.0 .* from 0 to 1"),
        ({"eval.max_feature_gib": 0.0}, "eval.max_feature_gib=0.0"),
        ({"checkpoint.keep": 0}, "checkpoint.keep=0"),
        ({"memory.rate": 1.5}, "memory.rate=1.5"),
    ],
)
def test_values_that_cannot_work(tmp_path, overrides, message):
    with pytest.raises(InputError, match=message) as caught:
        train.train_and_evaluate(small_config(**overrides), tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e39])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_finite_in_float32(name, value):
    said = re.escape(f"{name}={value} cannot be used; use")
    with pytest.raises(InputError, match=said):
        configs.read(small_config(**{name: value}))


def test_there_are_numbers():
    assert {"loss.temperature", "loss.final_temperature", "memory.rate"} <= set(NUMBERS)


@pytest.mark.parametrize("name", DECLARED)
def test_a_default_is_legal_and_its_meaning_said(name):
    declared = DECLARED[name]
    declared.check(declared.default)
    assert declared.meaning
    assert declared.affects in (machinery.TRAINING, machinery.RESULTS, machinery.NOTHING)
    with pytest.raises(InputError, match=f"^{name}=.* cannot be used; use|^{name}=.*; give"):
        declared.check(object())
    if declared.kind is bool:
        with pytest.raises(InputError, match=f"{name}=1 cannot be used; use True or False"):
            declared.check(1)


def test_every_setting_is_declared_once():
    names = [d.name for d in machinery.declarations(configs.parts({}))]
    assert len(names) == len(set(names))
    assert len(names) > 50


@pytest.mark.parametrize("name", DECLARED)
def test_every_setting_is_read(name):
    """As ``settings.field`` or ``settings[ItsSettings].field``; in its own class ``self.field``."""
    field = DECLARED[name].field
    read = re.compile(rf"(settings|Settings\])\.{field}\b")
    declared = re.compile(rf"^    {field}: .*= setting\(", re.MULTILINE)
    own = re.compile(rf"\bself\.{field}\b")
    texts = [path.read_text(encoding="utf-8") for path in SOURCES.values()]
    assert any(read.search(text) or (declared.search(text) and own.search(text)) for text in texts)


@pytest.mark.parametrize("source", SOURCES)
def test_no_part_reads_the_config_itself(source):
    """What a config is made of and what goes on with one aside: all others take ``Settings``."""
    makers = ("config.py", "settings.py", "sizing.py", "tables.py")
    if source in makers or source.startswith(("run/", "modes/")):
        return
    fields = {part for name in DECLARED for part in name.split(".")}
    for node in ast.walk(ast.parse(SOURCES[source].read_text(encoding="utf-8"))):
        of_config = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        assert not (of_config and node.value.id == "config" and node.attr in fields), node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "ml_collections":
            names = {alias.name for alias in node.names}
            assert "ConfigDict" not in names or source == "train.py"  # hands it on


def test_parts_not_given_are_defaults():
    settings = Settings(KnnSettings(knn_neighbors=3))
    assert settings[KnnSettings].knn_neighbors == 3
    assert settings[EvaluationSettings] == EvaluationSettings()


def test_a_misspelt_field_is_an_error():
    config = configs.default()
    with pytest.raises(AttributeError, match='Did you mean "num_epochs"'):
        config.num_epoch = 3
    with pytest.raises(KeyError, match="temprature"):
        config.update_from_flattened_dict({"loss.temprature": 0.2})
    with pytest.raises(AttributeError):
        configs.filled(config.to_dict()).lossy = 1


def test_fields_of_a_part_that_was_exchanged_are_passed_over():
    config = configs.default(objective="tests.support.swav:Swav")
    config.swav.prototypes = 12
    config.objective = "pad"
    assert configs.read(config)[SwavSettings] == SwavSettings()
    assert configs.read(config)[ObjectiveSettings].objective == "pad"


def test_a_part_may_share_fields_with_another():
    @dataclasses.dataclass(frozen=True)
    class Own(SubgraphSettings):
        extra: int = setting(1, "more", at_least(1))

    both = read({"grouping": {"max_size": 33, "extra": 2}}, [SubgraphSettings, Own])
    assert both[SubgraphSettings].max_size == 33
    assert both[Own] == Own(max_size=33, extra=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer.learning_rate", np.float64(0.1)),
        ("optimizer.learning_rate", np.float32(0.5)),
        ("seed", np.int64(3)),
    ],
)
def test_numbers_may_be_numpys(name, value):
    section, _, field = name.rpartition(".")
    settings = configs.read({section: {field: value}} if section else {field: value})
    part = OptimizerSettings if section else RunSettings
    assert getattr(settings[part], field) == value
    assert type(getattr(settings[part], field)) in (int, float)


def test_an_optional_setting_may_be_written_the_old_way():
    @dataclasses.dataclass(frozen=True)
    class Old:
        SECTION: ClassVar[str] = "old"
        limit: Optional[int] = setting(None, "at most", at_least(1))  # noqa: UP045

    assert read({"old": {"limit": 3}}, [Old])[Old].limit == 3
    assert read({}, [Old])[Old].limit is None
    with pytest.raises(InputError, match="old.limit=0 cannot be used; use 1 or more, or None"):
        read({"old": {"limit": 0}}, [Old])


def test_slices_of_one_split_may_be_held_out():
    configs.read(
        small_config(**{"dataset.train_split": "train[:80%]", "dataset.test_split": "train[80%:]"})
    )


def test_batches_must_divide_over_the_devices():
    settings = configs.read(small_config(batch_size=60))
    with pytest.raises(InputError, match="there are 8 devices; use a multiple"):
        beginning.check_devices(settings[RunSettings], 8)
