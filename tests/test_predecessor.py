"""``init_from``: a new run that begins with another's encoder, and with its memory."""

import logging
import pathlib
import shutil

import numpy as np
import pytest

from pad_jax import config as configs
from pad_jax import data, models, predecessor, train
from pad_jax import state as state_module
from pad_jax.data.augmentation import Crops
from pad_jax.data.preparation import Standardization
from pad_jax.epoch import EpochRunner
from pad_jax.errors import InputError
from pad_jax.objectives.pad import Pad
from pad_jax.run import metrics
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import restored, small_config


def quick_config(**overrides):
    """A run that is quick to compile."""
    fields = {"model.name": "tests.support.parts:linear", "eval.evaluators": (), "num_epochs": 1}
    return small_config(**(fields | {"dataset.max_images": 150} | overrides))


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A finished run of one epoch: its folder."""
    workdir = tmp_path_factory.mktemp("runs") / "before"
    train_and_evaluate(quick_config(), workdir)
    return workdir


class OtherPad(Pad):
    """The same under another name."""


def first_state(config, workdir, monkeypatch):
    """What the first epoch begins with, as a dict by the names that a checkpoint has."""
    seen = []

    def interrupted(self, state, groups, *_, **__):
        seen.append(state_module.to_host(state, len(groups.group_id)))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochRunner, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, workdir)
    return seen[0]


def assert_same_encoder(state, checkpoint):
    names = [name for name in checkpoint if name.startswith(("['params']", "['batch_stats']"))]
    assert len(names) >= 4
    for name in names:
        found = state.params if name.startswith("['params']") else state.batch_stats
        for key in name.strip("[]'").split("']['")[1:]:
            found = found[key]
        np.testing.assert_array_equal(found, checkpoint[name])


@pytest.mark.parametrize("of", ["", "checkpoints", "checkpoints/1", "~"])
def test_encoder_and_memory_of_the_same_images(before, tmp_path, monkeypatch, caplog, of):
    monkeypatch.setenv("HOME", str(before.parent))
    given = "~/before" if of == "~" else str(before / of)
    caplog.set_level(logging.INFO)
    state = first_state(quick_config(init_from=given, seed=3), tmp_path, monkeypatch)
    checkpoint = restored(before)
    assert_same_encoder(state, checkpoint)
    np.testing.assert_array_equal(state.memory, checkpoint["['memory']"])
    assert state.step == 0
    (said,) = [r.message for r in caplog.records if "Beginning with" in r.message]
    assert said == f"Beginning with the encoder of {before} after epoch 1 and its memory."


def test_of_other_images_the_memory_is_the_encoders(before, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    config = quick_config(init_from=str(before), **{"dataset.max_images": 140})
    state = first_state(config, tmp_path, monkeypatch)
    assert_same_encoder(state, restored(before))
    settings = configs.read(config)
    encoder, images = models.create(settings), data.load(settings).train.array
    features = encoder.apply(state.variables, Crops(settings).plain(images))
    np.testing.assert_allclose(state.memory, features["embedding"], atol=1e-5)
    assert "after epoch 1; the memory begins anew, since the images are others." in caplog.text


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("tests.support.swav:Swav", "after epoch 1."),  # which keeps nothing of an image
        ("tests.test_predecessor:OtherPad", "begins anew, since the objective is another."),
    ],
)
def test_another_objective_takes_the_encoder_alone(
    before, tmp_path, monkeypatch, caplog, objective, said
):
    caplog.set_level(logging.INFO)
    config = quick_config(init_from=str(before), objective=objective)
    state = first_state(config, tmp_path, monkeypatch)
    assert_same_encoder(state, restored(before))
    assert ("prototypes" in state.params) == ("swav" in objective)
    if state.memory is not None:
        assert np.abs(state.memory - restored(before)["['memory']"]).max() > 0.1
    (line,) = [r.message for r in caplog.records if "Beginning with" in r.message]
    assert line.endswith(said)


def test_a_resumed_run_needs_the_other_no_more(before, tmp_path, monkeypatch):
    shutil.copytree(before, tmp_path / "before")
    monkeypatch.chdir(tmp_path)
    config = quick_config(init_from="before", num_epochs=2)
    discover = train.discover

    def interrupted(*args):
        if args[-1] == 1:
            raise KeyboardInterrupt
        return discover(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "discover", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, tmp_path / "stopped")
    shutil.rmtree(tmp_path / "before")
    for _ in range(2):  # resumed, then asked again when it is finished
        train_and_evaluate(config, tmp_path / "stopped")
        rows = metrics.read(tmp_path / "stopped")
        assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0]["train/loss"] != metrics.read(before)[0]["train/loss"]
    with pytest.raises(InputError, match="init_from=before: before holds no run"):
        train_and_evaluate(config, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model.name": "tiny"}, "model.name='tiny' .* has 'tests.support.parts:linear'; use that"),
        ({"model.embedding_dim": 64}, "model.embedding_dim=64 cannot be used; .* has 128; use"),
        ({"dataset.image_size": 12}, "dataset.image_size=12 cannot be used; .* has 16; use that"),
        ({"dataset.channels": 3}, "dataset.channels=3 cannot be used; .* has 1; use that"),
        ({"init_from": "nowhere"}, "init_from=nowhere: nowhere holds no run .* give the folder"),
        (
            {"init_from": "checkpoints/7"},
            "checkpoints/7: .* no checkpoint after epoch 7, but after: 1; give",
        ),
    ],
)
def test_what_does_not_fit_is_named(before, tmp_path, monkeypatch, fields, message):
    monkeypatch.chdir(before)
    with pytest.raises(InputError, match=message):
        train_and_evaluate(quick_config(**{"init_from": str(before)} | fields), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("of", ["", "checkpoints/1", "../before/"])
def test_a_run_cannot_begin_with_itself(before, of):
    with pytest.raises(InputError, match="is the folder of the new run itself; .* --workdir"):
        train_and_evaluate(quick_config(init_from=f"{before}/{of}"), before)


def test_a_run_without_a_checkpoint(before, tmp_path):
    shutil.copytree(before, tmp_path / "empty", ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(InputError, match="empty holds no checkpoint; train first"):
        train_and_evaluate(quick_config(init_from=str(tmp_path / "empty")), tmp_path / "new")


def test_an_encoder_of_features_does_not_take_images(before):
    settings = configs.read(quick_config())
    statistics = Standardization(np.zeros(256, np.float32), np.ones(256, np.float32))
    other = predecessor.Predecessor(pathlib.Path("other"), 1, settings, statistics, "")
    images = data.load(settings).train
    with pytest.raises(InputError, match="dataset='16 x 16 grey pixels' .* on 256 features; give"):
        other.check(settings, models.create(settings), images)
