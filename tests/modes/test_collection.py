"""What the commands after training work on, of runs and of files of features."""

import csv
import json
import os
import pathlib
import shutil
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pad_jax
from pad_jax import data, model, run_images
from pad_jax.data.decoding import decode
from pad_jax.data.preparation import Pixels
from pad_jax.data.prepared.making import prepare
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.modes.opening import open_call
from pad_jax.settings import Settings
from tests.modes.conftest import DIGITS, PIXELS, change_dataset
from tests.support.image_files import save
from tests.support.small_runs import small_config


def test_a_run_has_the_images_it_was_trained_on(run, digits_in_a_folder, call):
    found = open_call(call(run))
    files = sorted(digits_in_a_folder.glob("*/*.png"))
    files.remove(digits_in_a_folder / "1/broken.png")
    assert len(found) == 151
    assert list(found.names) == [str(path.relative_to(digits_in_a_folder)) for path in files]
    assert [found.path(i) for i in range(151)] == files
    assert found.labels.tolist() == [int(path.parent.name) for path in files]
    assert found.folder == run
    np.testing.assert_array_equal(found.picture(5), decode(files[5]))
    expected = pad_jax.load(run).embed(files)
    assert found.embeddings.dtype == np.float32
    np.testing.assert_allclose(found.embeddings, expected, atol=1e-6)
    np.testing.assert_allclose(found.embed([PIXELS[0]])[0], found.embeddings[0], atol=1e-6)


def test_the_second_command_embeds_nothing(run, call, monkeypatch):
    first = open_call(call(run))
    graph = first.graph

    def refuse(*_, **__):
        raise AssertionError("it works again")

    monkeypatch.setattr(model.Model, "embed", refuse)
    monkeypatch.setattr("pad_jax.collection.nearest_neighbors", refuse)
    monkeypatch.chdir(run)  # which changes
    second = open_call(call(run))
    np.testing.assert_array_equal(second.embeddings, first.embeddings)
    np.testing.assert_array_equal(second.graph.indices, graph.indices)
    np.testing.assert_array_equal(second.labels, first.labels)
    assert list(second.names) == list(first.names)


@pytest.mark.parametrize("what", ["image", "name", "checkpoint", "labels", "damaged", "k"])
def test_what_is_kept_of_others_is_not_used(run, digits_in_a_folder, call, tmp_path, what):
    root = shutil.copytree(digits_in_a_folder, tmp_path / "images")
    changed = call(run)
    changed.config.dataset.root = str(root)
    before = open_call(changed)
    before.graph  # noqa: B018 - it is kept
    kept = run / "cache/own.npz"
    stamp = kept.stat().st_mtime_ns
    if what == "image":
        save(root / "0/000.png", PIXELS[7])
    elif what == "name":
        (root / "0/000.png").rename(root / "0/new.png")
    elif what == "checkpoint":
        os.utime(run / "checkpoints/1")
    elif what == "labels":
        changed.config.dataset.labels = "none"
    elif what == "damaged":
        kept.write_bytes(kept.read_bytes()[:1000])
    else:
        changed.config.grouping.num_neighbors = 12
    after = open_call(changed)
    assert (kept.stat().st_mtime_ns != stamp) == (what != "k")
    assert (after.embeddings[0] != before.embeddings[0]).any() == (what in ("image", "name"))
    assert ("0/new.png" in after.names) == (what == "name")
    assert (after.labels >= 0).any() == (what != "labels")
    assert after.graph.indices.shape[1] == (12 if what == "k" else 10)


def test_other_images_by_the_same_encoder(run, call, tmp_path):
    for i in range(4):
        save(tmp_path / f"others/train/{i}.jpg", PIXELS[i])
        save(tmp_path / f"others/test/{i}.png", PIXELS[i])
    found = open_call(call(run, images=tmp_path / "others"))
    assert list(found.names) == [f"{split}/{i}.{kind}" for split, kind in
                                 (("test", "png"), ("train", "jpg")) for i in range(4)]  # fmt: skip
    (tmp_path / "list.txt").write_text("others/test/2.png\nothers/test/0.png\n")
    listed = open_call(call(run, images=tmp_path / "list.txt"))
    np.testing.assert_allclose(listed.embeddings, found.embeddings[[2, 0]], atol=1e-6)
    own = open_call(call(run))
    assert len(own) == 151
    assert {path.name for path in (run / "cache").iterdir()} == {"own.npz", "others.npz"}


@pytest.mark.parametrize("kind", ["parquet", "list"])
def test_other_images_of_the_same_names_and_other_labels(run, call, tmp_path, kind):
    """Of names alone the second file would have the embeddings of the first."""
    found = []
    for name, rows in (("a", range(5)), ("b", range(5, 10))):
        root = tmp_path / name
        for i, row in enumerate(rows):
            save(root / f"{i}.png", PIXELS[row])
            os.utime(root / f"{i}.png", (1, 1))
        if kind == "list":
            (root / "x.csv").write_text("".join(f"{i}.png,{row}\n" for i, row in enumerate(rows)))
            found.append(open_call(call(run, images=root / "x.csv")))
            continue
        images = [{"bytes": f.read_bytes(), "path": f.name} for f in sorted(root.glob("*.png"))]
        labels = [str(row) for row in rows]
        pq.write_table(pa.table({"image": images, "label": labels}), root / "x.parquet")
        found.append(open_call(call(run, images=root / "x.parquet")))
    assert [list(one.names) for one in found] in (
        [[f"{i}.png" for i in range(5)]] * 2,
        [[f"train/{i}.png" for i in range(5)]] * 2,  # as they are called in training
    )
    expected = pad_jax.load(run).embed(list(PIXELS[5:10]))
    np.testing.assert_allclose(found[1].embeddings, expected, atol=1e-6)
    if kind == "parquet":  # the first file becomes the second
        open_call(call(run, images=tmp_path / "a/x.parquet"))  # one is kept at a time
        shutil.copy(tmp_path / "b/x.parquet", tmp_path / "a/x.parquet")
        again = open_call(call(run, images=tmp_path / "a/x.parquet"))
        np.testing.assert_allclose(again.embeddings, expected, atol=1e-6)
    else:  # other classes of the same images
        (tmp_path / "b/x.csv").write_text("".join(f"{i}.png,{9 - i}\n" for i in range(5)))
        again = open_call(call(run, images=tmp_path / "b/x.csv"))
        assert again.labels.tolist() == found[1].labels.tolist()[::-1]


def test_labels_beside_features_are_read_anew(run, call, tmp_path, rng):
    """They are kept with the embeddings, which do not depend on them."""
    config = small_config(
        num_epochs=1, batch_size=8, **{"model.name": "linear", "augmentation.name": "perturbations"}
    )
    config.dataset.update(name="features", root=str(tmp_path / "f.npz"), test_split="")
    config.eval.evaluators = ()
    rows = rng.normal(size=(20, 6)).astype(np.float32)
    for labels in (np.arange(20) % 2, np.arange(20) % 3):
        np.savez(tmp_path / "f.npz", features=rows, labels=labels)
        if not (tmp_path / "of_features").exists():
            pad_jax.train_and_evaluate(config, tmp_path / "of_features")
        found = open_call(call(tmp_path / "of_features"))
        assert found.labels.tolist() == labels.tolist()


@pytest.mark.parametrize("kind", ["shards", "prepared", "list with splits"])
def test_all_images_of_whatever_holds_some(run, call, tmp_path, kind):
    """``--images`` names no split: it is all of them."""
    for i in range(6):
        save(tmp_path / f"images/{'train' if i < 4 else 'test'}/{i}.png", PIXELS[i])
    root = tmp_path / kind
    root.mkdir()
    if kind == "shards":
        for split in ("train", "test"):
            files = sorted((tmp_path / "images" / split).glob("*.png"))
            table = pa.table({"image": [{"bytes": file.read_bytes()} for file in files]})
            pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
    elif kind == "prepared":
        dataset = {"name": "folder", "root": str(tmp_path / "images"), "image_size": 16}
        settings = Settings(DatasetSettings(**dataset))
        prepare(settings, data.sources(settings), root)
    else:
        lines = [f"{f},{f.parent.name}\n" for f in sorted((tmp_path / "images").rglob("*.png"))]
        (root / "list.csv").write_text("image,split\n" + "".join(lines))
        root = root / "list.csv"
    found = open_call(call(run, images=root))
    expected = pad_jax.load(run).embed(list(PIXELS[:6]))
    order = [int(np.argmax(row @ expected.T)) for row in found.embeddings]
    assert sorted(order) == list(range(6))


def test_a_run_started_in_another_folder_with_a_relative_path(
    run, digits_in_a_folder, tmp_path, monkeypatch, call
):
    change_dataset(run, root=digits_in_a_folder.name)
    (recorded := json.loads((run / "run.json").read_text()))["folder"] = str(
        digits_in_a_folder.parent
    )
    (run / "run.json").write_text(json.dumps(recorded))
    monkeypatch.chdir(tmp_path)
    here = tmp_path / digits_in_a_folder.name
    for i in range(2):  # other images that happen to lie at such a path
        save(here / f"{i}.png", PIXELS[i])
    assert open_call(call(run)).path(0) == digits_in_a_folder / "0/000.png"
    recorded["folder"] = str(tmp_path / "gone")  # as on another machine
    (run / "run.json").write_text(json.dumps(recorded))
    assert open_call(call(run)).path(0) == here / "0.png"


def test_other_images_of_the_same_names_have_other_groups(
    run, digits_in_a_folder, call, tmp_path, caplog
):
    own = open_call(call(run)).groups.labels_
    root = shutil.copytree(digits_in_a_folder, tmp_path / "images")
    moved = call(run)
    moved.config.dataset.root = str(root)
    assert open_call(moved).groups.labels_.tolist() == own.tolist()
    assert pad_jax.load(run).assign([PIXELS[0]])[0].shape == (1,)
    assert "other images" not in caplog.text
    for i, file in enumerate(sorted(root.glob("*/[0-9]*.png"))):
        save(file, np.tile(PIXELS[(7 * i) % 1000], (1 + i % 3, 1)))
    assert open_call(moved).groups.labels_.tolist() != own.tolist()
    assert "other images than those of" in caplog.text
    assert "(of the same names): groups are found anew" in caplog.text
    change_dataset(run, root=str(root))
    with pytest.raises(InputError, match="its images are not those of its groups.csv any more"):
        pad_jax.load(run).assign([PIXELS[0]])


def test_a_new_image_is_told(run, digits_in_a_folder, call, tmp_path, caplog):
    root = shutil.copytree(digits_in_a_folder, tmp_path / "images")
    save(root / "0/new.png", PIXELS[7])
    moved = call(run)
    moved.config.dataset.root = str(root)
    open_call(moved).groups  # noqa: B018 - it is said
    assert "(1 new, 0 gone): groups are found anew" in caplog.text


def test_a_run_says_where_it_was_started(run):
    assert pathlib.Path(json.loads((run / "run.json").read_text())["folder"]).is_absolute()


def test_images_without_files(run_without_files, call):
    found = open_call(call(run_without_files))
    assert len(found) == 100
    assert found.path(3) is None
    assert found.picture(3).shape == (8, 8, 1)
    assert found.names[3].startswith("train/")
    assert len(np.unique(found.labels)) == 10


def test_groups_are_those_of_groups_csv(run, call):
    own = open_call(call(run))
    with (run / "groups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert own.groups.labels_.tolist() == [int(row["group"]) for row in rows]
    assert own.groups.labels_.max() > 3
    assert (own.groups.similarities_[own.groups.labels_ >= 0] > 0).all()
    assert own.hierarchy.labels_.shape == (151,)


def test_other_groups_are_found_as_the_settings_say(run, call):
    few = call(run)
    few.config.grouping.max_size = 3
    found = open_call(few).groups.labels_
    assert np.bincount(found[found >= 0]).max() <= 3


def test_features_of_anybody(features, digits_in_a_folder, call):
    found = open_call(call(features=features / "mine.npz", images=features / "paths.txt"))
    paths = (features / "paths.txt").read_text().split()
    assert list(found.names) == paths
    assert found.path(39) == pathlib.Path(paths[39])
    np.testing.assert_array_equal(found.picture(39), decode(paths[39]))
    rows = DIGITS.data[[int(pathlib.Path(path).stem) for path in paths]]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(found.embeddings, unit, atol=1e-6)
    assert found.embeddings.dtype == np.float32
    assert found.labels.tolist() == [0] * 20 + [1] * 20
    assert (found.folder, found.embed) == (features, None)
    alone = open_call(call(features=features / "mine.npz"))
    assert list(alone.names) == [str(i) for i in range(40)]
    assert (alone.path(0), alone.picture(0)) == (None, None)
    assert not (features / "cache").exists()


def test_paths_in_a_file_of_features_begin_in_the_folder_given(
    digits_in_a_folder, tmp_path, call, rng
):
    views = rng.normal(size=(3, 2, 5)).astype(np.float16)
    np.savez(tmp_path / "f.npz", features=views, paths=[b"0/000.png", b"gone.png"])
    found = open_call(call(features=tmp_path / "f.npz", images=digits_in_a_folder))
    assert found.path(0) == digits_in_a_folder / "0/000.png"
    assert (found.path(1), found.picture(1)) == (None, None)
    first = views[0, 0].astype(np.float64)
    np.testing.assert_allclose(found.embeddings[0], first / np.linalg.norm(first), atol=1e-3)


def test_bad_input_is_one_line(run, features, tmp_path, call):
    np.save(tmp_path / "zeros.npy", np.zeros((3, 4)))
    (tmp_path / "two.txt").write_text("a\nb\n")
    other_kind = call(run)
    other_kind.config.dataset.update(name="features", root=str(features / "mine.npz"))
    empty = tmp_path / "empty"
    shutil.copytree(run, empty, ignore=shutil.ignore_patterns("checkpoints"))
    mine = features / "mine.npz"
    for made, message in (
        (call(features=tmp_path / "no.npy"), "--features=.*no.npy does not exist"),
        (call(features=tmp_path / "zeros.npy"), "--features=.*zeros.npy: row 0 is all zeros"),
        (call(features=mine, images=tmp_path / "two.txt"), "--images=.*there are 2, for 40"),
        (call(features=mine, images=tmp_path / "no.txt"), "--images=.*no.txt does not exist"),
        (call(run)._replace(workdir=tmp_path / "nowhere"), "nowhere holds no run"),
        (other_kind, "dataset: it has features, and .*run was trained on 16 x 16 grey pixels"),
        (call(empty), "empty holds no checkpoint"),
        (call(run, images=tmp_path / "none"), "^--images='.*none' is not a folder"),
    ):
        with pytest.raises(InputError, match=message) as error:
            open_call(made)
        assert "\n" not in str(error.value)


def test_what_a_command_line_says_of_other_images(run, call, digits_in_a_folder):
    """The run's own labels and number of images are not theirs, those of the command line are."""
    change_dataset(run, labels="none", max_images=7)
    whole = open_call(call(run, images=digits_in_a_folder))
    assert (len(whole), set(whole.labels.tolist())) == (151, {0, 1, 2})
    made = call(run, images=digits_in_a_folder)
    made = made._replace(overrides={"dataset.labels": "none", "dataset.max_images": 7})
    few = open_call(made)
    assert (len(few), set(few.labels.tolist())) == (7, {-1})
    made.config.dataset.image_size = 24
    sized = made._replace(overrides={"dataset.image_size": 24})
    with pytest.raises(InputError, match=r"dataset\.image_size has no meaning here: images go"):
        open_call(sized)
    with pytest.raises(InputError, match=r"dataset\.root has no meaning beside --images"):
        open_call(made._replace(overrides={"dataset.root": "x"}))


def test_who_stops_does_not_wait_for_what_is_read_ahead():
    begun = []

    class Slow:
        def __len__(self):
            return 1000

        def __getitem__(self, i):
            begun.append(i)
            time.sleep(0.01)
            return np.zeros((8, 8, 1), np.uint8), None

    images = iter(run_images._Reader(Slow(), Pixels((8, 8, 1)), strict=False))
    assert next(images).shape == (8, 8, 1)
    images.close()
    assert 0 < len(begun) < 100
