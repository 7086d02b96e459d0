"""Sources, their preparation, streaming and batches."""

import logging
import struct

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from configs import common
from pad_jax import data
from pad_jax.data import batches
from pad_jax.data.folder import FolderSource
from pad_jax.data.images import ResidentImages, StreamedImages, prepare
from pad_jax.data.sources import ArraySource, Selection, UnreadableImage, digits, npz
from pad_jax.data.tfds import TfdsSource
from pad_jax.errors import InputError

OPTIONS = {"image_size": None, "channels": None, "strict": False, "max_resident_bytes": 1e9}


def dataset_config(**fields):
    config = common.get_config().dataset
    config.update(fields)
    return config


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def folder(tmp_path, rng):
    """train/{cat,dog} of several sizes and modes, val/cat."""
    root = tmp_path / "pets"
    for i, (name, shape) in enumerate(
        [("cat/b.png", (40, 30, 3)), ("cat/a.jpg", (32, 32, 3)), ("dog/c.PNG", (20, 60))]
    ):
        save(root / "train" / name, np.full(shape, 50 + i, np.uint8))
    save(root / "val/cat/z.png", rng.integers(0, 256, (8, 8), np.uint8))
    (root / "train/dog/notes.txt").write_text("not an image")
    return root


def test_digits():
    train, test = digits("train"), digits("test")
    assert (len(train), len(test)) == (1437, 360)
    assert train[0].image.shape == (8, 8, 1)
    assert train[0].image.max() == 255
    assert {test[i].label for i in range(360)} == set(range(10))
    with pytest.raises(InputError, match="no split 'val'"):
        digits("val")


def test_npz(tmp_path, rng):
    path = tmp_path / "set.npz"
    images = rng.integers(0, 256, (5, 6, 7), np.uint8)
    labels = np.arange(5)[:, None]
    np.savez(path, x_train=images, y_train=labels, x_test=images[:2])
    train, test = npz(path, "train"), npz(path, "test")
    np.testing.assert_array_equal(train[3].image[..., 0], images[3])
    assert train[3].label == 3
    assert test[0].label is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_test": np.zeros((1, 2, 2), np.uint8)}, "no x_train; the arrays are: x_test"),
        ({"x_train": np.zeros((1, 2, 2))}, r"x_train is float64 \[1, 2, 2, 1\]; make it uint8"),
        ({"x_train": np.zeros((1, 2, 2, 4), np.uint8)}, "C 1 or 3"),
        (
            {"x_train": np.zeros((2, 2, 2), np.uint8), "y_train": np.zeros(3, int)},
            r"integers \[2\]",
        ),
    ],
)
def test_bad_npz(tmp_path, arrays, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        npz(str(path), "train")


def test_npz_that_is_none(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name in ("text.npz", "one.npy"):
        with pytest.raises(InputError, match="cannot be read as an .npz"):
            npz(str(tmp_path / name), "train")
    with pytest.raises(InputError, match="does not exist"):
        npz(str(tmp_path / "none.npz"), "train")


def test_folder_with_splits_and_classes(folder):
    source = FolderSource(str(folder), "train")
    assert [source[i].label for i in range(3)] == [0, 0, 1]
    assert source[0].image.shape == (32, 32, 3)  # cat/a.jpg: paths in order
    assert source[2].image.shape == (20, 60, 1)
    assert len(FolderSource(str(folder), "val")) == 1
    (folder / "val/cat").rename(folder / "val/dog")
    assert FolderSource(str(folder), "val")[0].label == 1  # the same class as in train


def test_hidden_folders_and_circles_of_links_are_passed_over(folder):
    save(folder / "train/.checkpoints/x.png", np.zeros((2, 2), np.uint8))
    (folder / "train/cat/again").symlink_to(folder / "train")
    assert len(FolderSource(str(folder), "train")) == 3


def test_what_a_folder_holds_is_said(folder, caplog):
    caplog.set_level(logging.INFO)
    save(folder / "train/e.jpe", np.zeros((2, 2), np.uint8), format="JPEG")
    for name in ("one.HEIC", "two.heic", "Makefile", ".hidden"):
        (folder / "train" / name).write_bytes(b"")
    FolderSource(str(folder), "train")
    assert caplog.messages == [
        f"{folder}/train: 4 images, 2 classes (1 in none); left out, of other kinds: "
        "2 .heic, 1 without ending, 1 .txt; not in this split: val"
    ]


def test_training_images_are_not_those_of_another_split(folder):
    (folder / "train").rename(folder / "test")
    for splits in (
        {"test_split": "val"},
        {"test_split": "val", "max_images": 1},
        {"train_split": "train+test", "test_split": ""},
    ):
        config = dataset_config(
            name="folder", root=str(folder), image_size=16, channels=3, **splits
        )
        with pytest.raises(InputError, match="no folder 'train'.*move the training images"):
            data.load(config)


def test_splits_may_lie_deeper_and_beside_folders_of_other_use(folder):
    for split in ("train", "val"):
        save(folder / "images" / split / "dog/c.png", np.zeros((2, 2), np.uint8))
    save(folder / "images/train/cat/c.png", np.zeros((2, 2), np.uint8))
    save(folder / "images/.cache/ant/c.png", np.zeros((2, 2), np.uint8))
    train = FolderSource(str(folder), "images/train")
    assert [train[i].label for i in range(2)] == [0, 1]
    assert FolderSource(str(folder), "images/val")[0].label == 1


def test_whatever_is_wrong_with_a_file_it_is_named(folder, monkeypatch):
    def broken(image):
        raise struct.error("unpack requires a buffer")

    monkeypatch.setattr(ImageOps, "exif_transpose", broken)
    with pytest.raises(UnreadableImage, match="a.jpg: unpack requires"):
        FolderSource(str(folder), "train")[0]


def test_a_single_class_is_none(folder):
    (folder / "train/dog/c.PNG").unlink()
    loaded = data.load(
        dataset_config(name="folder", root=str(folder), test_split="", image_size=16)
    )
    assert loaded.train.labels.tolist() == [-1, -1]


def test_folder_without_splits_or_classes(folder):
    classes = FolderSource(str(folder / "train"), "train")
    assert [classes[i].label for i in range(3)] == [0, 0, 1]
    flat = FolderSource(str(folder / "train/cat"), "train")
    assert [flat[i].label for i in range(2)] == [None, None]
    config = dataset_config(
        name="folder", root=str(folder / "train/cat"), test_split="", image_size=16
    )
    loaded = data.load(config)
    assert loaded.test is None
    assert loaded.train.labels.tolist() == [-1, -1]
    assert loaded.train.array.shape == (2, 16, 16, 3)


@pytest.mark.parametrize(
    ("root", "split", "message"),
    [
        ("", "train", "dataset.root is not set"),
        ("nowhere", "train", "is not a folder"),
        (".", "test", "no folder 'test' for that split; it has: train, val"),
        ("empty", "train", "has no images"),
    ],
)
def test_bad_folder(folder, monkeypatch, root, split, message):
    (folder / "train/empty").mkdir()
    monkeypatch.chdir(folder if root == "." else folder / "train")
    with pytest.raises(InputError, match=message):
        FolderSource(root, split)


def test_image_modes(tmp_path):
    grey16 = np.array([[0, 256 * 200]], np.uint16)
    save(tmp_path / "a16.png", grey16)
    rgba = np.zeros((1, 2, 4), np.uint8)
    rgba[..., 0], rgba[..., 3] = 90, 255
    save(tmp_path / "brgba.png", rgba)
    Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P").save(
        tmp_path / "cpalette.png", transparency=0
    )
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "done.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path / "exif.jpg", exif=exif)
    Image.fromarray(np.zeros((4, 8, 4), np.uint8), "CMYK").save(tmp_path / "fcmyk.jpg")
    source = FolderSource(str(tmp_path), "train")
    images = [source[i].image for i in range(len(source))]
    assert images[0][..., 0].tolist() == [[0, 200]]
    assert images[1][0, 0].tolist() == [90, 0, 0]
    assert images[2].shape == (1, 2, 3)
    assert images[3][..., 0].tolist() == [[0, 255]]
    assert images[4].shape == (8, 4, 3)
    assert images[5].shape == (4, 8, 3)


def test_prepare_resizes_crops_and_converts():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20, 0] = 255  # the middle square is red
    images = prepare(ArraySource(wide[None], None), **OPTIONS | {"image_size": 5, "channels": 3})
    assert images.shape == (5, 5, 3)
    assert images.array[0, 2, 2].tolist() == [255, 0, 0]
    assert images.array[0, :, :, 0].mean() > 200
    grey = prepare(ArraySource(wide[None], None), **OPTIONS | {"channels": 1})
    assert grey.array[0, 5, 15, 0] == 76  # luma of red


def test_several_sizes_need_an_image_size(folder):
    source = FolderSource(str(folder), "train")
    with pytest.raises(InputError, match="several sizes.*dataset.image_size"):
        prepare(source, **OPTIONS)
    assert prepare(source, **OPTIONS | {"image_size": 24}).shape == (24, 24, 3)


@pytest.mark.parametrize("max_resident_bytes", [0, 1e9])
def test_unreadable_images_are_named_and_skipped_or_stop(folder, caplog, max_resident_bytes):
    options = OPTIONS | {
        "image_size": 24, "channels": 3, "max_resident_bytes": max_resident_bytes
    }  # fmt: skip
    bad = folder / "train/cat/aa.jpg"
    bad.write_bytes((folder / "train/cat/a.jpg").read_bytes()[:200])  # cut off
    (folder / "train/dog/d.png").write_bytes(b"")
    source = FolderSource(str(folder), "train")
    with caplog.at_level(logging.WARNING):
        images = prepare(source, **options)
    assert len(images) == 3
    assert images.labels.tolist() == [0, 0, 1]
    assert images.shape == (24, 24, 3)
    assert str(bad) in caplog.text
    assert "Skipped 2 of 5 images" in caplog.text
    batch = next(images.batches(np.array([[0, 1, 2]])))
    assert [int(x.mean().round()) for x in batch] == [51, 50, 52]
    with pytest.raises(InputError, match="aa.jpg.*dataset.strict=False"):
        prepare(source, **options | {"strict": True})


def test_nothing_readable(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    for options in (OPTIONS, OPTIONS | {"image_size": 8, "channels": 3}):
        with pytest.raises(InputError, match="not one of the images"):
            prepare(FolderSource(str(tmp_path), "train"), **options)


def test_streamed_images_equal_resident_ones(rng):
    source = ArraySource(rng.integers(0, 256, (30, 8, 8, 3), np.uint8), np.arange(30))
    options = OPTIONS | {"image_size": 12}
    resident = prepare(source, **options)
    streamed = prepare(source, **options | {"max_resident_bytes": 100})
    assert isinstance(resident, ResidentImages)
    assert isinstance(streamed, StreamedImages)
    rows = rng.integers(0, 30, (4, 7))
    for a, b in zip(resident.batches(rows), streamed.batches(rows), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(resident.labels, streamed.labels)


def test_selection_is_the_same_in_every_run_and_keeps_the_order():
    images = np.zeros((50, 1, 1, 1), np.uint8)
    sources = [ArraySource(images, np.arange(50) + k, split) for split, k in (("a", 0), ("b", 50))]
    chosen = Selection(sources, 20)
    labels = [chosen[i].label for i in range(20)]
    assert labels == sorted(set(labels))
    assert max(labels) >= 50
    assert len(Selection(sources, 500)) == 100
    assert [Selection(sources).name(i) for i in (7, 57)] == ["a/7", "b/7"]


def test_load_joins_splits_and_limits_training_images():
    config = dataset_config(train_split="train+test", max_images=1500, image_size=10)
    dataset = data.load(config)
    assert dataset.train.array.shape == (1500, 10, 10, 1)
    assert len(dataset.test) == 360


@pytest.mark.parametrize(("name", "shape"), [("cifar10", (32, 32, 3)), ("imagenet2012", None)])
def test_tfds(tmp_path, name, shape):
    with tfds.testing.mock_data(num_examples=6, data_dir=str(tmp_path)):
        source = TfdsSource(name, "train", str(tmp_path))
        assert len(source) == 6
        image = source[2].image
        assert image.dtype == np.uint8
        assert shape is None or image.shape == shape
        expected = tfds.data_source(name, split="train", data_dir=str(tmp_path))[2]
        np.testing.assert_array_equal(image, expected["image"])
        assert source[2].label == expected["label"]
        config = dataset_config(
            name=name, root=str(tmp_path), test_split="", image_size=16, channels=3
        )
        assert data.load(config).train.array.shape == (6, 16, 16, 3)


def test_unknown_names(tmp_path):
    with pytest.raises(InputError, match="dataset.name='no_such_set' is unknown"):
        TfdsSource("no_such_set", "train", str(tmp_path))


def test_epoch_plan():
    plan = batches.epoch_plan(103, 10, seed=1, epoch=2)
    assert plan.shape == (10, 10)
    assert len(np.unique(plan)) == 100
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert not np.array_equal(plan, batches.epoch_plan(103, 10, **other))


def test_ordered_plan():
    assert batches.ordered_plan(5, 3).tolist() == [[0, 1, 2], [3, 4, 0]]


def test_split_over_devices():
    x = np.arange(12).reshape(2, 6)
    assert batches.split_over_devices(x, axis=1).shape == (1, 2, 6)
