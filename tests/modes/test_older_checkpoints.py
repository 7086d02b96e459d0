"""--epoch: the commands after training, with another checkpoint than the newest."""

import json
import shutil

import numpy as np
import pytest

import pad_jax
from pad_jax.collection import open_call
from pad_jax.errors import InputError
from pad_jax.modes import browse, duplicates, embed, evaluate, export, label, search, sort
from pad_jax.run import checkpoints, metrics
from tests.support.small_runs import small_config

FIELDS = {"eval.evaluators": ("knn",), "eval.features": ("embedding",), "eval.every_epochs": 1}
FIELDS |= {"num_epochs": 2, "model.name": "tests.support.parts:linear"}  # quick to compile


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that has kept its checkpoints after epochs 1 and 2."""
    workdir = tmp_path_factory.mktemp("run")
    pad_jax.train_and_evaluate(small_config(**FIELDS), workdir)
    return workdir


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that run."""
    return shutil.copytree(trained, tmp_path / "run")


def test_the_encoder_is_that_of_the_epoch(run):
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)
    found = {epoch: pad_jax.load(run, epoch) for epoch in (None, 1, 2)}
    assert [model.epoch for model in found.values()] == [2, 1, 2]
    for epoch in (1, 2):
        saved = checkpoints.read(run, epoch)["params"]
        kernel = found[epoch].variables["params"]["embedding"]["kernel"]
        np.testing.assert_array_equal(kernel, saved["embedding"]["kernel"])
    first, second = (found[epoch].embed(images) for epoch in (1, 2))
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(found[None].embed(images), second)


def test_figures_are_those_of_the_epoch(run, call):
    measured = {row["epoch"]: row["eval/knn_accuracy"] for row in metrics.read(run)}
    assert measured[1] != measured[2]
    for epoch, flag in ((1, 1), (2, 2), (2, None)):
        evaluate.MODE.run(call(run, epoch=flag))
        row = json.loads((run / "evaluation.json").read_text())
        assert row["epoch"] == epoch
        assert row["eval/knn_accuracy"] == measured[epoch]


def test_images_are_embedded_by_the_epoch_and_grouped_anew(run, call):
    newest, older = open_call(call(run)), open_call(call(run, epoch=1))
    assert np.abs(newest.embeddings - older.embeddings).max() > 1e-3
    assert newest.known() is not None  # those of groups.csv
    assert older.known() is None
    assert (older.groups.labels_ >= 0).any()
    again = open_call(call(run, epoch=2))
    np.testing.assert_array_equal(again.embeddings, newest.embeddings)
    np.testing.assert_array_equal(again.known(), newest.known())
    embed.MODE.run(call(run, epoch=1))
    np.testing.assert_array_equal(np.load(run / "embeddings.npy"), older.embeddings)


def test_the_encoder_of_the_epoch_is_exported(run, call, tmp_path):
    from safetensors.numpy import load_file

    export.MODE.run(call(run, epoch=1, output=tmp_path / "older.safetensors"))
    export.MODE.run(call(run, output=tmp_path / "newest.safetensors"))
    older, newest = (load_file(tmp_path / f"{name}.safetensors") for name in ("older", "newest"))
    kernel = pad_jax.load(run, 1).variables["params"]["embedding"]["kernel"]
    assert any(np.array_equal(array, kernel) for array in older.values())
    assert not any(np.array_equal(array, kernel) for array in newest.values())


def test_names_of_the_page_are_for_the_same_epoch(run, call):
    said = browse.MODE.run(call(run, epoch=1))
    assert said.endswith(f"--workdir={run} --epoch=1 --mode=label --labels=labels.csv")


def test_a_group_is_of_the_newest(run):
    with pytest.raises(InputError, match="are those after epoch 2, and this .* after 1; load the"):
        pad_jax.load(run, 1).assign([np.zeros((16, 16), np.uint8)])


def test_an_epoch_that_was_not_kept(run, call):
    message = "has no checkpoint after epoch 7, but after: 1, 2; give one of these"
    for attempt in (
        lambda: pad_jax.load(run, 7),
        lambda: evaluate.MODE.run(call(run, epoch=7)),
        lambda: open_call(call(run, epoch=7)),
    ):
        with pytest.raises(InputError, match=message):
            attempt()


def test_all_commands_that_open_a_run_take_it():
    for mode in (browse, duplicates, embed, evaluate, export, label, search, sort):
        assert "epoch" in mode.MODE.takes
