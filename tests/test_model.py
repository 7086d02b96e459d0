"""A trained encoder in Python: embedding, searching and assigning whatever holds images."""

import csv
import pickle
import shutil

import jax
import numpy as np
import pytest
import tensorstore
from PIL import Image
from sklearn.datasets import load_digits

import pad_jax
from pad_jax.data import decoding
from pad_jax.data.preparation import Standardization
from pad_jax.errors import InputError
from pad_jax.run import checkpoints
from tests.support.image_files import save
from tests.support.small_models import untrained
from tests.support.small_runs import small_config

DIGITS = np.round(load_digits().images[:150] * 255 / 16).astype(np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a folder of 150 images, one of which is none: its folder, and the images'."""
    root = tmp_path_factory.mktemp("images")
    for i, image in enumerate(DIGITS):
        save(root / f"{i % 3}/{i:03}.png", image)
    (root / "1/004.png").write_bytes(b"no image")
    workdir = tmp_path_factory.mktemp("run")
    fields = {"dataset.name": "folder", "dataset.root": str(root), "dataset.test_split": ""}
    fields |= {"dataset.max_images": None, "eval.evaluators": (), "num_epochs": 1}
    fields["model.name"] = "tests.support.parts:linear"  # quick to compile
    pad_jax.train_and_evaluate(small_config(**fields), workdir)
    return workdir, root


@pytest.fixture(scope="module")
def model():
    return untrained()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (11, 16, 16, 3), np.uint8)


def by_hand(model, images, feature="embedding"):
    """All at once, without padding."""
    x = images.astype(np.float32) / 127.5 - 1
    return np.asarray(jax.jit(model.encoder.apply)(model.variables, x)[feature])


@pytest.mark.parametrize("feature", ["embedding", "fc", "conv5"])
def test_features_by_name(model, images, feature):
    found = model.embed(images, feature)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(model, images, feature), rtol=1e-5, atol=1e-5)
    assert model.embed([], feature).shape == (0, *found.shape[1:])


def test_a_model_is_pickled_also_when_it_has_been_used(model, images):
    expected = model.embed(images)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.embed(images), expected)


def test_a_feature_that_the_encoder_does_not_have(model, images):
    with pytest.raises(ValueError, match="feature='fc7' is none of .*: conv1, .*embedding, fc$"):
        model.embed(images, "fc7")


def test_arrays_paths_and_a_folder_have_the_same_embeddings(model, images, tmp_path):
    for i, image in enumerate(images):
        save(tmp_path / f"{i:02}.png", image)
    expected = by_hand(model, images)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-5)
    paths = sorted(tmp_path.iterdir())
    some_of_each = [images[0], Image.open(paths[1]), *paths[2:]]
    for ways in (images, list(images), tmp_path, paths, map(str, paths), some_of_each):
        np.testing.assert_allclose(model.embed(ways), expected, atol=1e-5)


def test_many_images_one_by_one(model, images):
    """More than two batches, the last one padded."""
    rows = np.arange(600) * 7 % len(images)
    expected = model.embed(images)[rows]
    np.testing.assert_allclose(model.embed(images[i] for i in rows), expected, atol=1e-5)


def test_errors_name_the_argument(model, images):
    with pytest.raises(ValueError, match=r"^images\[1\]: an image is float64"):
        model.embed([images[0], images[0] / 255])
    with pytest.raises(ValueError, match=r"^queries\[0\]: there is no file nowhere.png"):
        model.search(["nowhere.png"], images)
    with pytest.raises(ValueError, match=r"^images are .*: of one image, give image\[None\]"):
        model.search(images, images[0])


def test_search(model, images):
    indices, similarities = model.search(images[3:5], images, k=4)
    rows = by_hand(model, images).astype(np.float64)
    expected = rows[3:5] @ rows.T
    np.testing.assert_array_equal(indices, np.argsort(-expected, axis=1)[:, :4])
    np.testing.assert_allclose(similarities, -np.sort(-expected, axis=1)[:, :4], atol=1e-5)
    with pytest.raises(ValueError, match="k"):
        model.search(images[:1], images[:3], k=4)


def test_a_model_of_features(rng):
    features = rng.standard_normal((600, 7)) * 3 + 2
    standardization = Standardization(np.full(7, 2, np.float32), np.full(7, 3, np.float32), 2)
    fields = {"augmentation__name": "perturbations", "model__hidden_dim": 6}
    model = untrained(standardization, "mlp", **fields)
    x = ((features - 2) / 3).astype(np.float32)
    expected = model.encoder.apply(model.variables, x)
    for ways in (features, features.astype(np.float32), features.tolist(), iter(features)):
        np.testing.assert_allclose(model.embed(ways), expected["embedding"], atol=1e-5)
    np.testing.assert_allclose(model.embed(features, "fc"), expected["fc"], atol=1e-5)
    features[300, 2] = np.nan
    with pytest.raises(ValueError, match=r"images\[256:512\]: .*not all finite; leave such rows"):
        model.embed(features)
    with pytest.raises(ValueError, match=r"images\[0:2\]: features are float64 \[2, 3\]; give"):
        model.embed(np.zeros((2, 3)))
    for images in (np.zeros((2, 8, 8), np.uint8), ["a.png"], "folder", [Image.new("L", (3, 3))]):
        with pytest.raises(ValueError, match=r"^images: this model takes features, float \[B, 7\]"):
            model.embed(images)


def test_a_run_embeds_the_images_of_its_folder(run):
    workdir, root = run
    model = pad_jax.load(str(workdir))
    embeddings = model.embed(root)
    assert embeddings.shape == (149, 128)  # one cannot be decoded
    with (workdir / "groups.csv").open(newline="") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    np.testing.assert_allclose(model.embed(root / name for name in names), embeddings, atol=1e-5)
    decoded = [pad_jax.decode(root / name) for name in names]
    np.testing.assert_allclose(model.embed(decoded), embeddings, atol=1e-5)


def test_of_a_checkpoint_only_the_encoder_s_part_is_read(run):
    workdir, _ = run

    def bytes_read(f):
        def total():
            metrics = tensorstore.experimental_collect_matching_metrics(
                "/tensorstore/kvstore/file/bytes_read"
            )
            return sum(metric["values"][0]["value"] for metric in metrics)

        before = total()
        return f(), total() - before

    whole, all_bytes = bytes_read(lambda: checkpoints.read(workdir, 1))
    model, own_bytes = bytes_read(lambda: pad_jax.load(workdir))
    assert sorted(model.variables) == ["batch_stats", "params"]
    jax.tree.map(
        np.testing.assert_array_equal,
        model.variables,
        {name: whole[name] for name in model.variables},
    )
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(model.variables))
    assert own_bytes < 0.6 * all_bytes  # momentum is as large as the parameters


def test_new_images_get_the_group_of_the_nearest_grouped_image(run):
    workdir, root = run
    model = pad_jax.load(workdir)
    with (workdir / "groups.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    grouped = [row for row in rows if int(row["size"]) > 1]
    assert 2 < len(grouped) < len(rows)
    # Those in a group have their own, those in none another's.
    embeddings = model.embed(root / row["image"] for row in rows).astype(np.float64)
    candidates = model.embed(root / row["image"] for row in grouped).astype(np.float64)
    similarity = embeddings @ candidates.T
    expected = [int(grouped[j]["group"]) for j in similarity.argmax(1)]
    groups, similarities = model.assign(root)
    np.testing.assert_array_equal(groups, expected)
    np.testing.assert_allclose(similarities, similarity.max(1), atol=1e-5)
    assert set(groups.tolist()) <= {int(row["group"]) for row in grouped}
    again = pad_jax.load(workdir).assign([root / grouped[0]["image"]])
    assert again[0].tolist() == [int(grouped[0]["group"])]


def test_what_assign_needs(run, tmp_path):
    workdir, root = run
    images = [DIGITS[0]]
    copy = shutil.copytree(workdir, tmp_path / "run")
    (copy / "groups.csv").unlink()
    with pytest.raises(InputError, match="run has no groups.csv, .*; train the run to its end"):
        pad_jax.load(copy).assign(images)
    (copy / "groups.csv").write_text("image,group\na,b\n")
    with pytest.raises(InputError, match="groups.csv is damaged"):
        pad_jax.load(copy).assign(images)
    lines = (workdir / "groups.csv").read_text().splitlines(keepends=True)
    (copy / "groups.csv").write_text("".join(lines[:-1]))
    with pytest.raises(InputError, match="groups.csv is damaged"):
        pad_jax.load(copy).assign(images)
    shutil.copy(workdir / "groups.csv", copy)
    model = pad_jax.load(copy)
    moved = root.rename(root.with_name("moved"))
    try:
        with pytest.raises(InputError, match="is not a folder.*assign needs the images"):
            model.assign(images)
    finally:
        moved.rename(root)
    assert len(model.assign(images)[0]) == 1


def test_what_is_no_run(run, tmp_path, monkeypatch):
    workdir, _ = run
    (tmp_path / "file.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"file\.npz is a file; give the folder of a run"):
        pad_jax.load(tmp_path / "file.npz")
    with pytest.raises(InputError, match=r"holds no run \(no config.json\); give the folder of"):
        pad_jax.load(str(tmp_path))
    monkeypatch.setenv("HOME", str(workdir.parent))
    assert pad_jax.load(f"~/{workdir.name}").epoch == 1
    for name in ("config.json", "run.json"):
        shutil.copy(workdir / name, tmp_path)
    with pytest.raises(InputError, match="holds no checkpoint; train first"):
        pad_jax.load(tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_the_public_decoder():
    assert pad_jax.decode is decoding.decode
