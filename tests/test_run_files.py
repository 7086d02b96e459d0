"""A run's folder: what it takes, and what it refuses."""

import json
import os

import jax
import numpy as np
import pytest
from PIL import Image

import pad_jax
from pad_jax import metrics, parallel, run_files, subgraphs, train
from pad_jax.data import Dataset
from pad_jax.data.images import ResidentImages
from pad_jax.errors import InputError
from tests.small_runs import small_config


def test_a_file_name_may_be_any_bytes(tmp_path):
    names = ["a.png", os.fsdecode(b"caf\xe9.png")]  # Latin-1, as old archives have them
    images = ResidentImages(np.zeros((2, 8, 8, 1), np.uint8), np.full(2, -1), names)
    run_files.write(tmp_path, small_config(), Dataset(images, None))
    run_files.write_groups(tmp_path, names, subgraphs.singletons(2))
    assert b"caf\xe9.png,1,1" in (tmp_path / "groups.csv").read_bytes()
    metrics.write_text(tmp_path / "report.html", names[1])


def test_other_images_of_the_same_number_are_refused(tmp_path, rng):
    for name in "abcdefgh":
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(tmp_path / f"{name}.png")
    fields = {"name": "folder", "root": str(tmp_path), "test_split": "", "channels": 1}
    config = small_config(
        batch_size=8, num_epochs=1, **{f"dataset.{k}": v for k, v in fields.items()}
    )
    train.train(config, tmp_path / "run")
    (tmp_path / "a.png").rename(tmp_path / "z.png")
    (tmp_path / "run/checkpoints/1").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="had 8 images .* has now 8, and others"):
        train.train(config, tmp_path / "run")


def test_other_pixels_in_an_array_are_refused(tmp_path, rng):
    images = rng.integers(0, 256, (40, 16, 16), np.uint8)
    fields = {"name": "npz", "root": str(tmp_path / "images.npz"), "test_split": ""}
    config = small_config(
        batch_size=8, num_epochs=1, **{f"dataset.{k}": v for k, v in fields.items()}
    )
    np.savez(tmp_path / "images.npz", x_train=images)
    train.train(config, tmp_path / "run")
    (tmp_path / "run/checkpoints/1").rename(tmp_path / "moved")
    np.savez(tmp_path / "images.npz", x_train=images[::-1])
    with pytest.raises(InputError, match="had 40 images .* has now 40, and others"):
        train.train(config, tmp_path / "run")


def test_processes_with_different_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(
        parallel.multihost_utils, "process_allgather", lambda x: np.stack([x, x + 1])
    )
    images = ResidentImages(np.zeros((2, 8, 8, 1), np.uint8), np.full(2, -1), ["a.png", "b.png"])
    with pytest.raises(InputError, match="the processes have different images"):
        run_files.write(tmp_path, small_config(), Dataset(images, None))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dataset.root": "elsewhere"}, "dataset.root was '' and is now 'elsewhere'"),
        ({"eval.kmeans_runs": 3}, "eval.kmeans_runs was 2 and is now 3"),
        ({"checkpoint.keep": 3, "eval.batch_size": 100, "dataset.strict": True}, None),
    ],
)
def test_results_of_a_finished_run_are_those_asked_for(tmp_path, overrides, message):
    run_files.make_workdir(tmp_path / "checkpoints/2")
    metrics.write_json(tmp_path / "config.json", json.loads(small_config().to_json()))
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 2}\n')
    if message is None:
        assert train.train(small_config(**overrides), tmp_path) == {"epoch": 2}
        return
    with pytest.raises(InputError, match=f"other results .*{message}.*--mode=evaluate"):
        train.train(small_config(**overrides), tmp_path)


def test_a_run_of_before_a_field_was_added_goes_on(tmp_path):
    run_files.make_workdir(tmp_path / "checkpoints/2")
    before = json.loads(small_config().to_json())
    del before["grouping"]["singletons_until"], before["loss"]["final_temperature"]
    metrics.write_json(tmp_path / "config.json", before)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 2}\n')
    assert train.train(small_config(), tmp_path) == {"epoch": 2}
    for name, value in (("grouping.singletons_until", 0.5), ("loss.final_temperature", 0.2)):
        with pytest.raises(InputError, match=f"{name} was .* and is now {value}"):
            train.train(small_config(**{name: value}), tmp_path)


def test_a_run_stopped_in_its_first_epoch_may_begin_anew_with_another_config(tmp_path, monkeypatch):
    def interrupted(self, state, groups, epoch):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train.EpochRunner, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train.train(small_config(), tmp_path)
    fewer = small_config(num_epochs=1, **{"dataset.max_images": 200})
    assert train.train(fewer, tmp_path)["epoch"] == 1
    assert run_files.read_run(tmp_path)["num_images"] == 200


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/metrics.jsonl").write_text("{}")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    no_images = small_config(**{"dataset.name": "npz", "dataset.root": "nowhere.npz"})
    for folder, message in (
        (tmp_path / "file", "choose another"),
        (tmp_path / "file/below", "choose another"),
        (tmp_path / "used", "is in use"),
        (damaged, "config.json is damaged"),
    ):
        with pytest.raises(InputError, match=message):
            # Found out before the images are read: there are none.
            train.train(no_images, folder)
    assert (tmp_path / "used/metrics.jsonl").read_text() == "{}"


def test_a_folder_in_which_another_run_is_training_is_refused(tmp_path):
    with (
        run_files.locked(tmp_path),
        pytest.raises(InputError, match="another process is training.*--workdir"),
    ):
        train.train(small_config(), tmp_path)
    assert not (tmp_path / "config.json").exists()
    train.train(small_config(num_epochs=1), tmp_path)


def test_a_damaged_checkpoint_is_named(tmp_path):
    train.train(small_config(num_epochs=1), tmp_path)
    for path in (tmp_path / "checkpoints/1").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(InputError, match=r"checkpoints/1 cannot be restored.*move it away"):
        pad_jax.load(tmp_path)


def test_no_checkpoint(tmp_path):
    for folder in ("nowhere", "."):
        with pytest.raises(InputError, match="holds no run"):
            pad_jax.load(tmp_path / folder)
