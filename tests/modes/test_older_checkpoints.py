"""--epoch: the commands after training, with another checkpoint than the newest."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import pad_jax
from pad_jax.errors import InputError
from pad_jax.modes import browse, duplicates, embed, evaluate, export, label, search, sort
from pad_jax.modes.opening import open_call
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


def test_images_are_embedded_by_the_epoch(run, call):
    newest, older = open_call(call(run)), open_call(call(run, epoch=1))
    assert np.abs(newest.embeddings - older.embeddings).max() > 1e-3
    again = open_call(call(run, epoch=2))
    np.testing.assert_array_equal(again.embeddings, newest.embeddings)
    embed.MODE.run(call(run, epoch=1))
    np.testing.assert_array_equal(np.load(run / "embeddings.npy"), older.embeddings)
    query = np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8)
    np.testing.assert_array_equal(older.embed([query]), pad_jax.load(run, 1).embed([query]))


def test_groups_of_epochs_are_found_alike(run, call):
    assert open_call(call(run)).known() is not None  # those of groups.csv
    for epoch in (1, 2):  # groups of the run's memory could not be compared with these
        collection = open_call(call(run, epoch=epoch))
        assert collection.known() is None
        assert (collection.groups.labels_ >= 0).any()


def test_groups_of_the_last_epoch_are_not_those_of_an_older_checkpoint(run, call):
    (run / "checkpoints/2").rename(run / "checkpoints/2.damaged")
    assert open_call(call(run)).known() is None
    with pytest.raises(InputError, match="are those after epoch 2, and this .* after 1; load that"):
        pad_jax.load(run).assign([np.zeros((16, 16), np.uint8)])


def test_a_checkpoint_that_goes_meanwhile(run, call, monkeypatch):
    monkeypatch.setattr("pad_jax.modes.opening.chosen_epoch", lambda workdir, epoch: 7)
    with pytest.raises(InputError, match="keeps its checkpoint after epoch 7 no more; give the"):
        open_call(call(run))


def test_the_encoder_of_the_epoch_is_exported(run, tmp_path):
    from safetensors.numpy import load_file

    files = {epoch: tmp_path / f"{epoch}.safetensors" for epoch in (1, 2)}
    for epoch, file in files.items():
        given = [f"--workdir={run}", f"--epoch={epoch}", f"--output={file}"]
        subprocess.run([sys.executable, "-m", "pad_jax", "--mode=export", *given], check=True)
    for epoch, other in ((1, 2), (2, 1)):
        kernel = pad_jax.load(run, epoch).variables["params"]["embedding"]["kernel"]
        assert any(np.array_equal(array, kernel) for array in load_file(files[epoch]).values())
        assert not any(np.array_equal(array, kernel) for array in load_file(files[other]).values())


def test_names_of_the_page_are_for_the_same_epoch_and_groups(run, call):
    given = call(run, epoch=1)._replace(overrides={"grouping.num_neighbors": 7})
    said = browse.MODE.run(given)
    assert said.endswith(
        f"--workdir={run} --epoch=1 --mode=label --labels=labels.csv "
        "--config.grouping.num_neighbors=7"
    )


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
