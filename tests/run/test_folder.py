"""A run's folder: what it takes, and what it refuses."""

import hashlib
import json
import os

import jax
import numpy as np
import pytest
from PIL import Image

import pad_jax
from pad_jax import config as configs
from pad_jax import data, outputs, parallel
from pad_jax.data import Dataset
from pad_jax.data.images import ResidentImages
from pad_jax.epoch import EpochRunner
from pad_jax.errors import InputError
from pad_jax.graph.groups import Groups, singletons
from pad_jax.run import folder
from pad_jax.settings import RESULTS, TRAINING
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import QUICK, make_checkpoint, small_config


def test_a_file_name_may_be_any_bytes(tmp_path):
    names = ["a.png", os.fsdecode(b"caf\xe9.png")]  # Latin-1, as old archives have them
    images = ResidentImages(np.zeros((2, 8, 8, 1), np.uint8), np.full(2, -1), names)
    folder.write(tmp_path, small_config(), Dataset(images, None))
    folder.write_groups(tmp_path, names, singletons(2), np.array([0, 1]))
    assert b"caf\xe9.png,-1,1,1" in (tmp_path / "groups.csv").read_bytes()
    outputs.write_text(tmp_path / "report.html", names[1])


def test_groups_are_written_whole_or_not_at_all(tmp_path):
    write = folder.write_groups
    own, cluster = np.zeros(2, np.int32), np.zeros(2, np.int32)
    write(tmp_path, ["a", "b"], Groups(own, own), cluster)
    before = (tmp_path / "groups.csv").read_bytes()
    assert before == b"image,group,size,cluster\r\na,0,2,0\r\nb,0,2,0\r\n"
    with pytest.raises(ValueError, match="zip"):
        write(tmp_path, ["a", "b"], Groups(own, own), cluster[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["groups.csv"]
    assert (tmp_path / "groups.csv").read_bytes() == before


def test_groups_of_before_there_was_a_column_of_clusters(tmp_path):
    (tmp_path / "groups.csv").write_text("image,group,size\na,0,2\nb,0,2\nc,-1,1\n")
    names, groups = folder.read_groups(tmp_path)
    assert (names, groups.tolist()) == (["a", "b", "c"], [0, 0, -1])


def test_other_images_of_the_same_number_are_refused(tmp_path, rng):
    for name in "abcdefgh":
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(tmp_path / f"{name}.png")
    fields = {"name": "folder", "root": str(tmp_path), "test_split": "", "channels": 1}
    config = small_config(
        batch_size=8, num_epochs=1, **QUICK, **{f"dataset.{k}": v for k, v in fields.items()}
    )
    train_and_evaluate(config, tmp_path / "run")
    (tmp_path / "a.png").rename(tmp_path / "z.png")
    (tmp_path / "run/checkpoints/1").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="had 8 images .* has now 8, and others"):
        train_and_evaluate(config, tmp_path / "run")


def test_other_pixels_in_an_array_are_refused(tmp_path, rng):
    images = rng.integers(0, 256, (40, 16, 16), np.uint8)
    fields = {"name": "npz", "root": str(tmp_path / "images.npz"), "test_split": ""}
    config = small_config(
        batch_size=8, num_epochs=1, **QUICK, **{f"dataset.{k}": v for k, v in fields.items()}
    )
    np.savez(tmp_path / "images.npz", x_train=images)
    train_and_evaluate(config, tmp_path / "run")
    (tmp_path / "run/checkpoints/1").rename(tmp_path / "moved")
    np.savez(tmp_path / "images.npz", x_train=images[::-1])
    with pytest.raises(InputError, match="had 40 images .* has now 40, and others"):
        train_and_evaluate(config, tmp_path / "run")


def test_processes_with_different_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(
        parallel.multihost_utils, "process_allgather", lambda x: np.stack([x, x + 1])
    )
    pixels, labels = np.zeros((2, 8, 8, 1), np.uint8), np.full(2, -1)
    images = ResidentImages(pixels, labels, ["a.png", "b.png"], fingerprint="0f")
    with pytest.raises(InputError, match="the processes have different images"):
        folder.write(tmp_path, small_config(), Dataset(images, None))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dataset.root": "elsewhere"}, "dataset.root was '' and is now 'elsewhere'"),
        ({"eval.kmeans_runs": 3}, "eval.kmeans_runs was 2 and is now 3"),
        ({"checkpoint.keep": 3, "eval.batch_size": 100, "dataset.strict": True}, None),
    ],
)
def test_results_of_a_finished_run_are_those_asked_for(tmp_path, overrides, message):
    make_checkpoint(tmp_path, 2)
    outputs.write_json(tmp_path / "config.json", json.loads(small_config().to_json()))
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 2}\n')
    if message is None:
        assert train_and_evaluate(small_config(**overrides), tmp_path) == {"epoch": 2}
        return
    with pytest.raises(InputError, match=f"other results .*{message}.*--mode=evaluate"):
        train_and_evaluate(small_config(**overrides), tmp_path)


def test_a_run_of_before_a_field_was_added_goes_on(tmp_path):
    make_checkpoint(tmp_path, 2)
    before = json.loads(small_config().to_json())
    del before["grouping"]["singletons_until"], before["loss"]["final_temperature"]
    outputs.write_json(tmp_path / "config.json", before)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 2}\n')
    assert train_and_evaluate(small_config(), tmp_path) == {"epoch": 2}
    for name, value in (("grouping.singletons_until", 0.5), ("loss.final_temperature", 0.2)):
        with pytest.raises(InputError, match=f"{name} was .* and is now {value}"):
            train_and_evaluate(small_config(**{name: value}), tmp_path)


def test_a_run_of_before_fingerprints_knows_its_images_by_their_names(tmp_path):
    names = ["a.png", "b.png"]
    images = ResidentImages(np.zeros((2, 8, 8, 1), np.uint8), np.full(2, -1), names, "0f")
    digest = hashlib.sha256(b"a.png\nb.png").hexdigest()
    outputs.write_json(tmp_path / "run.json", {"num_images": 2, "images_sha256": digest})
    folder.check_images(tmp_path, Dataset(images, None))
    images.names = ["a.png", "c.png"]
    with pytest.raises(InputError, match="had 2 images .* has now 2, and others"):
        folder.check_images(tmp_path, Dataset(images, None))


def test_a_run_writes_down_the_defaults_of_a_part_from_outside(tmp_path):
    config = small_config(objective="tests.support.swav:Swav")
    assert "swav" not in config
    images = ResidentImages(np.zeros((2, 8, 8, 1), np.uint8), np.full(2, -1), ["a", "b"], "0f")
    folder.write(tmp_path, config, Dataset(images, None))
    assert folder.read_config(tmp_path)["swav"]["prototypes"] == 100
    assert not folder.changes(tmp_path, config, (TRAINING, RESULTS))


def test_a_run_stopped_in_its_first_epoch_may_begin_anew_with_another_config(tmp_path, monkeypatch):
    def interrupted(self, *_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochRunner, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(small_config(**QUICK), tmp_path)
    fewer = small_config(num_epochs=1, **QUICK, **{"dataset.max_images": 200})
    assert train_and_evaluate(fewer, tmp_path)["epoch"] == 1
    assert folder.read_run(tmp_path)["num_images"] == 200


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/metrics.jsonl").write_text("{}")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    no_images = small_config(**{"dataset.name": "npz", "dataset.root": "nowhere.npz"})
    for workdir, message in (
        (tmp_path / "file", "choose another"),
        (tmp_path / "file/below", "choose another"),
        (tmp_path / "used", "is in use"),
        (damaged, "config.json is damaged"),
    ):
        with pytest.raises(InputError, match=message):
            # Found out before the images are read: there are none.
            train_and_evaluate(no_images, workdir)
    assert (tmp_path / "used/metrics.jsonl").read_text() == "{}"


def test_a_folder_in_which_another_run_is_training_is_refused(tmp_path):
    with (
        folder.locked(tmp_path),
        pytest.raises(InputError, match="another process is training.*--workdir"),
    ):
        train_and_evaluate(small_config(), tmp_path)
    assert not (tmp_path / "config.json").exists()
    train_and_evaluate(small_config(num_epochs=1, **QUICK), tmp_path)


def test_a_damaged_checkpoint_is_named(tmp_path):
    train_and_evaluate(small_config(num_epochs=1, **QUICK), tmp_path)
    for path in (tmp_path / "checkpoints/1").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(InputError, match=r"checkpoints/1 cannot be restored.*move it away"):
        pad_jax.load(tmp_path)


def test_no_checkpoint(tmp_path):
    for name in ("nowhere", "."):
        with pytest.raises(InputError, match="holds no run .*give the folder of one$"):
            pad_jax.load(tmp_path / name)


@pytest.mark.parametrize("name", [".", "new/checkpoints", "new/checkpoints/20", "new/run.json"])
def test_a_path_beside_a_run_names_the_run(tmp_path, name):
    for seconds, run in enumerate(("old", "new")):
        (tmp_path / run / "checkpoints/20").mkdir(parents=True)
        (tmp_path / run / "run.json").touch()
        os.utime(tmp_path / run / "run.json", (seconds, seconds))
    with pytest.raises(InputError, match=rf"give the folder of (one|a run), as {tmp_path}/new$"):
        pad_jax.load(tmp_path / name)


def test_a_path_may_be_written_in_another_way(tmp_path, monkeypatch):
    """With a slash at its end, or whole: the command line of a run that goes on need not be one."""
    (tmp_path / "here/images").mkdir(parents=True)
    (tmp_path / "there/images").mkdir(parents=True)
    workdir = tmp_path / "run"
    config = small_config(**{"dataset.root": "images", "init_from": "images"})
    outputs.write_json(workdir / "config.json", json.loads(config.to_json()))
    recorded = {"num_images": 1, "folder": str(tmp_path / "here")}
    outputs.write_json(workdir / "run.json", recorded)
    monkeypatch.chdir(tmp_path / "here")

    def changed(root):
        config.dataset.root, config.init_from = root, root
        return folder.changes(workdir, config, (TRAINING, RESULTS))

    for same in ("images", "images/", "./images", str(tmp_path / "here/images")):
        assert changed(same) == ""
    assert "dataset.root was 'images' and is now '../there/images'" in changed("../there/images")
    monkeypatch.chdir(tmp_path / "there")
    assert changed("../here/images") == ""


def test_other_files_of_the_same_names_are_refused(tmp_path, rng):
    """A relative path leads elsewhere from another folder."""
    for name, side in (("a", 8), ("b", 9)):
        for i in range(3):
            pixels = rng.integers(0, 256, (side, side), np.uint8)
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.bmp")

    def images(name):
        config = small_config(**{"dataset.name": "folder", "dataset.root": str(tmp_path / name)})
        config.dataset.test_split = ""
        return data.load(configs.read(config))

    folder.write(tmp_path / "run", small_config(), images("a"))
    folder.check_images(tmp_path / "run", images("a"))
    with (tmp_path / "a/0.bmp").open("ab") as file:
        file.write(b"a rating")  # into one of them
    folder.check_images(tmp_path / "run", images("a"))
    with pytest.raises(InputError, match="has now 3, and others by name or size"):
        folder.check_images(tmp_path / "run", images("b"))


def test_home_and_buckets(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="loss.hpe='mse'"):
        train_and_evaluate(small_config(**{"loss.hpe": "mse"}), "~/run")
    outputs.write_json(tmp_path / "run/config.json", json.loads(small_config().to_json()))
    make_checkpoint(tmp_path / "run", 2)
    (tmp_path / "run/metrics.jsonl").write_text('{"epoch": 2}\n')
    assert train_and_evaluate(small_config(), "~/run") == {"epoch": 2}
    with pytest.raises(InputError, match="workdir=gs://bucket/run is no folder; mount the bucket"):
        train_and_evaluate(small_config(), "gs://bucket/run")


def test_results_of_a_finished_run_are_told_where_nothing_can_be_written(tmp_path, monkeypatch):
    make_checkpoint(tmp_path, 2)
    outputs.write_json(tmp_path / "config.json", json.loads(small_config().to_json()))
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 2}\n')
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert train_and_evaluate(small_config(), tmp_path) == {"epoch": 2}
    with pytest.raises(InputError, match="cannot be written to"):
        train_and_evaluate(small_config(num_epochs=3), tmp_path)


def test_a_run_that_goes_on_keeps_its_paths_as_they_were_written(tmp_path, monkeypatch):
    """Else one with relative paths could not be moved any more."""
    for name in ("here", "there"):
        for i in range(3):
            file = tmp_path / name / "images" / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(file)
    fields = {"dataset.name": "folder", "dataset.test_split": "", "dataset.labels": "folder"}
    monkeypatch.chdir(tmp_path / "here")
    workdir = tmp_path / "here/run"

    def write(root):
        config = small_config(**fields, **{"dataset.root": root})
        dataset = config.copy_and_resolve_references()
        dataset.dataset.labels = ""
        folder.write(workdir, config, data.load(configs.read(dataset)))
        return json.loads((workdir / "config.json").read_text())["dataset"]["root"]

    assert write("images") == "images"
    make_checkpoint(workdir, 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here/folder").mkdir()  # no path that dataset.labels means
    assert folder.read_config(workdir)["dataset"]["root"] == str(tmp_path / "here/images")
    assert folder.read_config(workdir)["dataset"]["labels"] == "folder"
    assert write(str(tmp_path / "here/images")) == "images"
    assert folder.read_run(workdir)["folder"] == str(tmp_path / "here")
    assert write(str(tmp_path / "there/images")) == str(tmp_path / "there/images")
    assert folder.read_run(workdir)["folder"] == str(tmp_path)
