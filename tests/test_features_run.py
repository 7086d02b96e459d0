"""Runs over features: trained, evaluated, resumed, reported, embedded as runs over images are."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from sklearn.datasets import load_digits

import pad_jax
from configs import features as features_config
from pad_jax import config as configs
from pad_jax.data.decoding import decode
from pad_jax.errors import InputError
from pad_jax.evaluators import knn
from pad_jax.evaluators.base import labelled
from pad_jax.evaluators.clustering import clustering_accuracy
from pad_jax.extractors.extraction import extract
from pad_jax.modes.base import Call
from pad_jax.modes.evaluate import evaluate
from pad_jax.modes.opening import open_call
from pad_jax.modes.report import write_report
from pad_jax.run import checkpoints, folder, kinds, metrics
from tests.support import grid_extractor
from tests.support.image_files import save
from tests.support.small_runs import (
    assert_same_state,
    evaluated,
    restored,
    scramble_labels,
    without_clock,
)

DIGITS = load_digits()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The digits' pixels that are not always the same, as features; images of the first few."""
    root = tmp_path_factory.mktemp("features")
    rows = DIGITS.data.astype(np.float16)
    rows = rows[:, rows[:300].std(0) > 0]
    paths = np.array([f"images/{i}.png".encode() for i in range(300)])
    for split, part in (("train", slice(0, 300)), ("test", slice(300, 360))):
        labels = DIGITS.target[part]
        arrays = {"features": rows[part], "labels": labels, "paths": paths[: len(labels)]}
        np.savez(root / f"{split}.npz", **arrays)
    noisy = rows[:300] + np.random.default_rng(0).normal(0, 1, (2, 300, rows.shape[1]))
    np.save(root / "views.npy", np.stack([rows[:300], *noisy]).astype(np.float16))
    for i in range(250):
        save(root / f"images/{i}.png", (15 * DIGITS.images[i]).astype(np.uint8))
    return root


def small_config(root, **overrides):
    config = features_config.get_config()
    config.dataset.root = str(root)
    config.num_epochs, config.batch_size, config.grouping.num_neighbors = 2, 64, 5
    config.eval.every_epochs, config.eval.kmeans_runs = 0, 2
    config.update_from_flattened_dict(overrides)
    return config


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    """A run with test features: its folder and last row."""
    workdir = tmp_path_factory.mktemp("run")
    config = small_config(files, **{"dataset.test_split": "test"})
    return workdir, config, pad_jax.train_and_evaluate(config, workdir)


def test_evaluators_compare_with_the_features(files, run):
    _, _, last = run
    train, test = (np.load(files / f"{split}.npz") for split in ("train", "test"))
    mean, deviation = (f(train["features"].astype(np.float64), 0) for f in (np.mean, np.std))
    rows, queries = ((x["features"] - mean) / deviation for x in (train, test))
    found = labelled("features", rows, train["labels"], queries, test["labels"])
    expected = knn.predict(found.train, found.train_labels, found.test)
    assert last["eval/knn_accuracy_features"] == np.mean(expected == found.test_labels)
    assert 0.5 < last["eval/kmeans_acc_features"] < 1
    assert last["eval/knn_accuracy"] > 0.8
    assert not any("pixels" in name for name in last)


def test_the_commands_after_training_take_such_a_run(files, run):
    workdir, *_ = run
    call = Call(configs.filled(folder.read_config(workdir)), "config.py", {}, workdir)
    for _ in range(2):  # by its encoder, and kept
        found = open_call(call)
        features = np.load(files / "train.npz")["features"]
        expected = pad_jax.load(workdir).embed(features.astype(np.float32))
        np.testing.assert_allclose(found.embeddings, expected, atol=1e-6)
    assert found.names[7] == "images/7.png"
    assert found.path(7) == files / "images/7.png"
    np.testing.assert_array_equal(found.picture(7), decode(files / "images/7.png"))
    assert (found.path(299), found.picture(299)) == (None, None)  # it is not there
    np.testing.assert_array_equal(found.labels, DIGITS.target[:300])
    assert found.embed is None
    with pytest.raises(InputError, match="--images=.* cannot be embedded: .* is not known"):
        open_call(call._replace(images=files / "images"))


def test_the_model_takes_features(files, run):
    workdir, *_ = run
    model = pad_jax.load(workdir)
    rows = np.load(files / "train.npz")["features"]
    embeddings = model.embed(rows)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(model.embed(list(rows[:3].astype(float))), embeddings[:3], atol=1e-6)
    assert model.embed(rows[:0]).shape == (0, 128)
    # By hand, with the statistics that the run keeps.
    kept = json.loads((workdir / "statistics.json").read_text())
    standard = (rows - np.array(kept["mean"])) / np.array(kept["deviation"])
    layer = model.variables["params"]["embedding"]
    expected = standard @ layer["kernel"] + layer["bias"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"^images: this model takes features, float \[B, 55\]"):
        model.embed(np.zeros((2, 8, 8), np.uint8))


def test_evaluated_later_and_on_other_features(files, run, tmp_path):
    workdir, config, last = run
    figures = evaluate(config, workdir)
    assert figures == evaluated(last)
    # Standardised as in training, however few and odd the others are.
    rows, labels = (np.load(files / "train.npz")[name] for name in ("features", "labels"))
    np.savez(tmp_path / "some.npz", features=rows[:40], labels=labels[:40])
    config = small_config(tmp_path / "some.npz")
    leave_one_out = evaluate(config, workdir)["eval/knn_accuracy"]
    embeddings = pad_jax.load(workdir).embed(rows[:40])
    expected = knn.predict(embeddings, labels[:40], embeddings, leave_one_out=True)
    assert leave_one_out == np.mean(expected == labels[:40])


def test_the_report_shows_the_images_of_the_features(files, run):
    workdir, config, _ = run
    before = (workdir / "report.html").read_text(encoding="utf-8")
    assert "on 300 images of 55 features" in " ".join(before.split())
    assert before.count("data:image/png") > 40
    assert "images/3.png" in before
    assert "not at hand" not in before
    assert write_report(config, workdir).read_text(encoding="utf-8") == before
    with (workdir / "groups.csv").open() as file:
        assert [row["image"] for row in csv.DictReader(file)][:2] == [
            "images/0.png",
            "images/1.png",
        ]


def test_a_report_without_images(files, tmp_path):
    pad_jax.train_and_evaluate(small_config(files / "views.npy", num_epochs=1), tmp_path)
    assert "images themselves are not at hand" in (tmp_path / "report.html").read_text()


def test_interrupted_and_streamed_is_the_same_run(files, run, tmp_path, monkeypatch):
    workdir, config, _ = run
    save_checkpoint = checkpoints.Checkpoints.save

    def stop_after(self, epoch, state):
        save_checkpoint(self, epoch, state)
        raise KeyboardInterrupt

    config = small_config(files, **{"dataset.test_split": "test", "dataset.max_resident_gib": 0.0})
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "save", stop_after)
        with pytest.raises(KeyboardInterrupt):
            pad_jax.train_and_evaluate(config, tmp_path)
    pad_jax.train_and_evaluate(config, tmp_path)
    assert_same_state(restored(workdir), restored(tmp_path))
    assert without_clock(metrics.read(workdir)) == without_clock(metrics.read(tmp_path))


def test_every_image_has_a_cluster_where_kinds_stand_apart(run):
    workdir, _, last = run
    count = int(last["eval/clusters"])
    assert 7 <= count <= 11
    with (workdir / "groups.csv").open(newline="") as file:
        cluster = np.array([int(row["cluster"]) for row in csv.DictReader(file)])
    assert sorted(set(cluster.tolist())) == list(range(count))
    assert last["eval/clusters_acc"] == clustering_accuracy(DIGITS.target[:300], cluster)
    assert 0.5 < last["eval/clusters_coverage"] < 1
    page = " ".join((workdir / "report.html").read_text(encoding="utf-8").split())
    assert kinds.sentence(last) in page


def test_kinds_and_clusters_are_found_without_labels(run, tmp_path, monkeypatch):
    workdir, config, last = run
    scramble_labels(monkeypatch)
    scrambled = pad_jax.train_and_evaluate(config, tmp_path)
    assert (tmp_path / "groups.csv").read_bytes() == (workdir / "groups.csv").read_bytes()
    unlabelled = {name for name in last if name.startswith("graph/")}
    unlabelled |= {"eval/clusters", "eval/clusters_coverage", "eval/support"}
    assert len(unlabelled) == 11
    assert all(scrambled[name] == last[name] for name in unlabelled)
    assert scrambled["eval/clusters_acc"] < 0.3 < last["eval/clusters_acc"]


def test_views_and_mlp(files, tmp_path):
    config = small_config(files / "views.npy", **{"model.name": "mlp", "model.hidden_dim": 32})
    config.augmentation.dropout = 0.0
    pad_jax.train_and_evaluate(config, tmp_path)
    model, state = pad_jax.load(tmp_path), restored(tmp_path)
    assert state["['params']['fc1']['kernel']"].shape == (55, 32)
    assert np.isfinite([row["train/loss"] for row in metrics.read(tmp_path)]).all()
    views = np.load(files / "views.npy")
    embeddings = model.embed(views[0])
    assert embeddings.shape == (300, 128)
    kept = json.loads((tmp_path / "run.json").read_text())
    assert (kept["num_features"], kept["num_views"]) == (55, 3)


def test_other_features_are_refused(files, tmp_path):
    rows = np.load(files / "train.npz")["features"]
    np.save(tmp_path / "f.npy", rows)
    config = small_config(tmp_path / "f.npy", num_epochs=1)
    pad_jax.train_and_evaluate(config, tmp_path / "run")
    (tmp_path / "run/checkpoints/1").rename(tmp_path / "moved")
    np.save(tmp_path / "f.npy", rows[::-1])
    with pytest.raises(InputError, match="had 300 images .* has now 300, and others"):
        pad_jax.train_and_evaluate(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model.name": "tiny"}, "model.name='tiny' .*takes pixels.* has features; .*=features"),
        ({"augmentation.name": "crops"}, "augmentation.name='crops' .*takes pixels"),
        ({"objective": "rotation", "model.name": "mlp"}, "objective='rotation' .*takes pixels"),
        ({"objective": "clusters"}, "objective='clusters' .*encoder's fc; linear has embedding"),
        ({"eval.features": ("fc",)}, "eval.features='fc' .* use some of: embedding, features"),
    ],
)
def test_parts_that_do_not_go_with_features(files, tmp_path, overrides, message):
    with pytest.raises(InputError, match=message):
        pad_jax.train_and_evaluate(small_config(files / "train.npz", **overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_parts_of_features_do_not_go_with_images(tmp_path):
    config = small_config("", **{"dataset.name": "digits"})
    with pytest.raises(
        InputError, match="model.name='linear' .*takes features.* has pixels; .*=folder"
    ):
        pad_jax.train_and_evaluate(config, tmp_path / "run")


def test_a_baseline_on_features(files, tmp_path):
    fields = {"objective": "clusters", "model.name": "mlp", "clusters.count": 10, "num_epochs": 1}
    last = pad_jax.train_and_evaluate(small_config(files / "train.npz", **fields), tmp_path)
    assert np.isfinite(last["train/loss"])


def test_new_images_go_the_way_that_the_features_went(tmp_path):
    images = grid_extractor.make_images(tmp_path / "images")
    config = small_config(tmp_path / "f.npz", batch_size=8, num_epochs=1)
    extract(grid_extractor.SPEC, str(images), tmp_path / "f.npz", configs.read(config))
    pad_jax.train_and_evaluate(config, tmp_path / "run")
    model = pad_jax.load(tmp_path / "run")
    features = np.load(tmp_path / "f.npz")
    files = [images / os.fsdecode(name) for name in features["paths"]]
    assert len(files) == 16
    expected = model.embed(features["features"])
    np.testing.assert_allclose(model.embed(map(decode, files)), expected, atol=2e-3)  # float16
    with pytest.raises(ValueError, match="of one image, give image"):
        model.embed(decode(files[0]))
    same_size = np.stack([decode(file) for file in files[:5]])
    np.testing.assert_allclose(model.embed(same_size), expected[:5], atol=2e-3)
    assert model.embed([]).shape == (0, 128)
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert run["extractor"]["name"] == "tests.support.grid_extractor:grid"
    assert run["extractor"]["image_size"] == 16
    assert (tmp_path / "run/report.html").read_text().count("data:image/png") > 5


def test_a_run_whose_statistics_are_damaged(run, tmp_path):
    workdir, *_ = run
    shutil.copytree(workdir, tmp_path / "run")
    for text in ("", "{}", '{"mean": 3}'):
        (tmp_path / "run/statistics.json").write_text(text)
        with pytest.raises(InputError, match="statistics.json is damaged .*; mend it"):
            pad_jax.load(tmp_path / "run")


def test_features_and_images_are_not_evaluated_for_each_other(run):
    workdir, *_ = run
    config = small_config("", **{"dataset.name": "digits", "dataset.test_split": "test"})
    message = "it has 8 x 8 grey pixels; give a data set of 55 features, as in training"
    with pytest.raises(InputError, match=message):
        evaluate(config, workdir)
