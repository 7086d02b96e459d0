"""Features of a folder's images: the file, views, and what is refused."""

import json
import logging
import os
import shutil
import zipfile

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pad_jax import data
from pad_jax.data import given
from pad_jax.data.augmentation import AugmentationSettings, Crops, CropSettings, view_keys
from pad_jax.data.preparation import pixels_of
from pad_jax.data.prepared.making import prepare
from pad_jax.data.source import DatasetSettings
from pad_jax.extractors import ExtractorSpec, create
from pad_jax.extractors.extraction import extract
from pad_jax.extractors.views import Views
from pad_jax.settings import RunSettings, Settings
from tests.support.grid_extractor import BATCH, QUICK, SIZE, SPEC, grid


def test_the_file(images, start, caplog):
    with caplog.at_level(logging.WARNING):
        file = start()
    assert "Skipped 2 of 18 images" in caplog.text
    assert "cat/2.png" in caplog.text
    assert not list(file.parent.glob("*.partial"))
    with zipfile.ZipFile(file) as packed:
        assert {info.compress_type for info in packed.infolist()} == {zipfile.ZIP_STORED}
    found = np.load(file)
    assert set(found) == {"features", "labels", "paths", "extractor"}
    names = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(8)] + ["e.png", "f.png"]
    names = [name for name in names if name not in ("cat/2.png", "dog/7.png")]
    assert found["paths"].dtype.kind == "S"
    assert [os.fsdecode(path) for path in found["paths"].tolist()] == names
    assert found["labels"].dtype == np.int64
    assert found["labels"].tolist() == [0] * 7 + [1] * 7 + [-1] * 2
    assert found["features"].dtype == np.float16
    pixels = np.stack([read(images / name) for name in names if name != "dog/3.png"])
    expected = grid(pixels).astype(np.float32).astype(np.float16)
    grey = names.index("dog/3.png")
    np.testing.assert_array_equal(np.delete(found["features"], grey, 0), expected)
    assert 100 < found["features"][grey].mean() < 155
    assert json.loads(str(found["extractor"])) == {
        "name": SPEC.name,
        "weights": "",
        "image_size": SIZE,
        "resize": "crop",
        "decoding": {"background": "white", "max_megapixels": 256.0, "least_side": 1024},
        "views": 0,
        "images": str(images),
    }


def read(path):
    return np.asarray(Image.open(path))


def test_images_are_resized_and_decoded_as_the_settings_say(images, start):
    wide = np.zeros((SIZE, 2 * SIZE, 4), np.uint8)
    wide[:, SIZE // 2 : -SIZE // 2, 3] = 255  # black in the middle, transparent at both ends
    Image.fromarray(wide).save(images / "cat/0.png")
    settings = Settings(DatasetSettings(resize="squash", background="blue"))
    found = np.load(start(settings=settings, dtype="float32"))
    squashed = np.asarray(
        Image.fromarray((wide[..., 3:] == 0) * np.array([0, 0, 255], np.uint8)).resize(
            (SIZE, SIZE), Image.Resampling.BILINEAR
        )
    )
    np.testing.assert_array_equal(found["features"][0], grid(squashed[None])[0].astype(np.float32))
    said = json.loads(str(found["extractor"]))
    assert (said["resize"], said["decoding"]["background"]) == ("squash", "blue")


def test_images_of_no_class_have_no_labels(images, start):
    for name in ("cat", "dog"):
        shutil.rmtree(images / name)
    found = np.load(start(dtype="float32"))
    assert set(found) == {"features", "paths", "extractor"}
    assert found["features"].dtype == np.float32
    assert found["features"].shape == (2, 48)


def test_a_split_and_some_of_the_images(images, start, refused):
    (images / "cat").rename(images / "pets")
    (images / "train").mkdir()
    (images / "pets").rename(images / "train/pets")
    refused("'train' beside others with images .dog.: .* give --images=.*/images/train", start)
    (images / "dog").rename(images / "val")
    settings = Settings(DatasetSettings(train_split="train", max_images=3))
    paths = np.load(start(settings=settings))["paths"].tolist()
    assert 2 <= len(paths) <= 3
    assert all(path.startswith(b"train/pets/") for path in paths)


@pytest.mark.parametrize("kind", ["list", "parquet", "shards"])
def test_images_that_a_file_holds(images, start, tmp_path, kind):
    plain = np.load(start(output="plain.npz"))
    names = [os.fsdecode(path) for path in plain["paths"].tolist()]
    root = tmp_path / kind
    root.mkdir()
    if kind == "list":
        root = images / "list.csv"
        root.write_text("".join(f"{name},{name.split('/')[0]}\n" for name in names))
    else:
        rows = [{"bytes": (images / name).read_bytes(), "path": name} for name in names]
        file = root / "train-00000-of-00001.parquet"
        pq.write_table(pa.table({"image": rows}), file)
        root = file if kind == "parquet" else root
    extract(SPEC, str(root), tmp_path / "out.npz", Settings(), batch_size=BATCH)
    found = np.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(found["features"], plain["features"])
    if kind == "list":  # whose paths begin in its folder
        assert found["paths"].tolist() == plain["paths"].tolist()
        assert json.loads(str(found["extractor"]))["images"] == str(images)
        assert len(set(found["labels"].tolist())) == 4
    else:
        assert [os.fsdecode(p) for p in found["paths"].tolist()] == [f"train/{n}" for n in names]


def test_prepared_images_are_too_small(images, tmp_path, refused):
    settings = Settings(
        DatasetSettings(name="folder", root=str(images), test_split="", image_size=8)
    )
    prepare(settings, data.sources(settings), tmp_path / "ready")
    arguments = SPEC, str(tmp_path / "ready"), tmp_path / "out.npz", Settings()
    refused("--images=.*ready holds prepared images, and an extractor wants", extract, *arguments)


def test_views(images, start):
    plain = np.load(start(output="plain.npz"))
    found = np.load(start(settings=QUICK, views=2))
    assert json.loads(str(found["extractor"]))["views"] == 2
    features = found["features"].astype(np.float32)
    assert features.shape == (3, 16, 48)
    np.testing.assert_array_equal(found["features"][0], plain["features"])
    # The view of row 4, cat/5.png, by the augmentation itself.
    row, image = 4, read(images / "cat/5.png")
    assert found["paths"][row] == b"cat/5.png"
    for view in (1, 2):
        key = view_keys(0, 0, np.array([row]), view)[0]
        seen = np.asarray(jax.jit(Crops(QUICK))(key, image))
        seen = np.round(np.clip((seen + 1) * 127.5, 0, 255)).astype(np.uint8)
        np.testing.assert_allclose(features[view, row], grid(seen[None])[0], atol=0.5)
    assert np.abs(features[1] - features[2]).mean() > 1


def test_a_view_is_that_of_its_row_in_any_batch(rng):
    images = rng.integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8)
    make, rows = Views(QUICK, BATCH), np.array([3, 9, 4, 1])
    views = make(images, rows, 2)
    assert views.dtype == np.uint8
    np.testing.assert_array_equal(make(images[2:], rows[2:], 2), views[2:])
    other = Views(Settings(QUICK[CropSettings], RunSettings(seed=1)), BATCH)
    for others in (make(images, rows + 1, 2), make(images, rows, 1), other(images, rows, 2)):
        assert (others != views).mean() > 0.5


def test_nothing_readable(images, start, tmp_path, refused):
    for path in images.rglob("*.png"):
        path.write_bytes(b"x")
    refused("--images=.*: not one image can be decoded", start)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_places_that_cannot_be_used(images, start, tmp_path, refused):
    for output, message in (
        ("out.npy", "--output=.*out.npy is not the name of a .npz file; give FILE.npz"),
        ("there.npz", "--output=.*there.npz exists; remove it, or choose another"),
        ("there.npz/out.npz", "there.npz is no folder, or one that cannot be written to"),
        ("images/out.npz", "lies inside of --images; choose a place outside of it"),
    ):
        (tmp_path / "there.npz").touch()
        refused(message, start, output=output)
    for folder, message in (("no", "is not a folder; give"), ("bare", "no images; --images must")):
        (tmp_path / "bare").mkdir(exist_ok=True)
        options = SPEC, str(tmp_path / folder), tmp_path / "out.npz", Settings()
        refused(message, extract, *options)


def thousands(images):
    return 1000.0 * grid(images)


def test_numbers_too_large_for_float16(start, refused):
    spec = ExtractorSpec(f"{__name__}:thousands", image_size=SIZE)
    refused("--dtype=float16 cannot hold the features .*; give --dtype=float32$", start, spec)
    features = np.load(start(spec, dtype="float32"))["features"]
    assert features.max() > 1e5


def test_a_spec_is_what_a_file_says(start):
    assert create(ExtractorSpec(SPEC.name)).image_size == 224
    spec = ExtractorSpec("timm:resnet50", "w.safetensors", 96)
    assert ExtractorSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec
    said = json.loads(str(np.load(start())["extractor"]))
    assert ExtractorSpec.from_dict(said) == SPEC


def test_images_given_later_have_the_features_of_the_file(images, start):
    """As ``Model.embed`` gets them: from arrays, and from the files."""
    found = np.load(start(dtype="float32"))
    made_by = json.loads(str(found["extractor"]))
    extractor = create(ExtractorSpec.from_dict(made_by))
    pixels = pixels_of((extractor.image_size, extractor.image_size, 3), made_by)
    paths = [images / os.fsdecode(path) for path in found["paths"].tolist()]
    for ways in (paths, [read(path) for path in paths]):
        features = np.concatenate([extractor(x) for x in given.batches(ways, pixels, 5)])
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, found["features"])


def test_another_augmentation_is_refused(start, refused):
    settings = Settings(AugmentationSettings(name="tests.support.parts:Noise"))
    refused("augmentation.name='tests.support.parts:Noise' cannot be used; --views", start,
            settings=settings, views=1)  # fmt: skip
    start(settings=settings)
