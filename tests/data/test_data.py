"""Sources of images, and data sets made of them."""

import logging
import struct

import numpy as np
import pytest
from PIL import Image

from pad_jax import config, data
from pad_jax.data import arrays, image_kinds
from pad_jax.data.arrays import ArraySource
from pad_jax.data.folder import FolderSource
from pad_jax.data.selection import Selection
from pad_jax.data.source import DatasetSettings, Example, UnreadableImage
from pad_jax.errors import InputError
from pad_jax.settings import Settings
from tests.support.image_files import save


def load(**fields):
    return data.load(Settings(DatasetSettings(**fields)))


def digits(split):
    return arrays.digits(Settings(), split)


def npz(path, split):
    return arrays.npz(Settings(DatasetSettings(name="npz", root=str(path))), split)


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


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 3, 3, 1)), np.zeros((2, 1, 4, 4), np.uint8), np.zeros((2, 3), np.uint8), None],
)
def test_an_array_of_no_images(images):
    with pytest.raises(InputError, match="dataset: the array of images is .*; make it uint8"):
        ArraySource(images, None)


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


def test_what_a_folder_holds_is_said(folder, caplog, monkeypatch):
    monkeypatch.setattr(image_kinds, "has_heif", lambda: False)
    caplog.set_level(logging.INFO)
    save(folder / "train/e.jpe", np.zeros((2, 2), np.uint8), format="JPEG")
    for name in ("one.HEIC", "two.heic", "Makefile", ".hidden", "three.nef", "four.CR2"):
        (folder / "train" / name).write_bytes(b"")
    FolderSource(str(folder), "train")
    assert caplog.messages == [
        f"{folder}/train: 4 images, 2 classes (1 in none); left out, of other kinds: "
        "1 without ending, 1 .txt; not readable here: 2 .heic (pip install pillow-heif); not "
        "readable here: 1 .cr2, 1 .nef (raw files of cameras: save them as JPEG or TIFF, with "
        "darktable-cli for example); not in this split: val"
    ]
    assert caplog.records[0].levelname == "INFO"
    monkeypatch.setattr(image_kinds, "has_heif", lambda: True)
    assert len(FolderSource(str(folder), "train")) == 6


def test_a_folder_of_what_cannot_be_read_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(image_kinds, "has_heif", lambda: False)
    (tmp_path / "a.heic").write_bytes(b"")
    with pytest.raises(InputError, match="no images.*1 .heic .pip install pillow-heif.$"):
        FolderSource(str(tmp_path), "train")


def test_training_images_are_not_those_of_another_split(folder):
    (folder / "train").rename(folder / "test")
    for splits in (
        {"test_split": "val"},
        {"test_split": "val", "max_images": 1},
        {"train_split": "train+test", "test_split": ""},
    ):
        with pytest.raises(InputError, match="no folder 'train'.*move the training images"):
            load(name="folder", root=str(folder), image_size=16, channels=3, **splits)


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

    monkeypatch.setattr(Image.Image, "load", broken)
    with pytest.raises(UnreadableImage, match="a.jpg: unpack requires"):
        FolderSource(str(folder), "train")[0]


def test_a_single_class_is_none(folder):
    (folder / "train/dog/c.PNG").unlink()
    loaded = load(name="folder", root=str(folder), test_split="", image_size=16)
    assert loaded.train.labels.tolist() == [-1, -1]


def test_folder_without_splits_or_classes(folder):
    classes = FolderSource(str(folder / "train"), "train")
    assert [classes[i].label for i in range(3)] == [0, 0, 1]
    flat = FolderSource(str(folder / "train/cat"), "train")
    assert [flat[i].label for i in range(2)] == [None, None]
    root = str(folder / "train/cat")
    loaded = load(name="folder", root=root, test_split="", image_size=16)
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
    dataset = load(train_split="train+test", max_images=1500, image_size=10)
    assert dataset.train.array.shape == (1500, 10, 10, 1)
    assert len(dataset.test) == 360


def test_a_split_is_not_trained_on_and_held_out():
    with pytest.raises(InputError, match="test_split='test'.*train_split='train.test'"):
        config.read({"dataset": {"train_split": "train+test"}})


class Stripes:
    """A source from outside of the package: a few images of stripes, as wide as the split says."""

    def __init__(self, settings, split):
        self._width = int(split)

    def __len__(self):
        return 3

    def __getitem__(self, i):
        image = (np.arange(8) // self._width % 2 * 255).astype(np.uint8)
        return Example(np.broadcast_to(image[:, None, None], (8, 8, 1)), i)

    def name(self, i):
        return f"{self._width}/{i}"

    def identity(self, i):
        return self.name(i).encode()

    def shares_images_with(self, other):
        return self._width == other._width


def test_a_source_from_outside_has_a_name():
    name = f"{__name__}:Stripes"
    dataset = load(name=name, train_split="1+2", test_split="4")
    assert dataset.train.names == ["1/0", "1/1", "1/2", "2/0", "2/1", "2/2"]
    assert dataset.test.array[0, :, 0, 0].tolist() == [0] * 4 + [255] * 4
    with pytest.raises(InputError, match="test_split='1'"):
        load(name=name, train_split="2+1", test_split="1")
    with pytest.raises(InputError, match="train_split='1.1'.* in two of its splits"):
        load(name=name, train_split="1+1", test_split="")


def test_a_root_that_nobody_reads_is_refused():
    """Who forgets dataset.name would train on the digits."""
    settings = Settings(DatasetSettings(root="photographs"))
    with pytest.raises(InputError, match="dataset.root='photographs' .* set dataset.name"):
        data.load(settings)


def test_kinds_that_need_something_say_what():
    assert image_kinds.advice([".avif", ".xyz", ".hif"]) == {
        "pip install pillow-heif": [".hif"],
        "pip install 'pillow>=11.3'": [".avif"],
    }
