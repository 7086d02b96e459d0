"""Which images a folder is made of: it is told from others, and has all that they had."""

import contextlib
import shutil

import numpy as np
import pytest

from pad_jax import data
from pad_jax.data import reading
from pad_jax.data.images import ResidentImages
from pad_jax.data.prepared import making
from pad_jax.errors import InputError
from tests.data.prepared.conftest import load, prepare, settings_of
from tests.support.image_files import save
from tests.support.limits import few_handles

NUMBERED = {"name": "tests.support.numbered_images:NumberedImages", "test_split": ""}


def test_images_that_are_mere_numbers_are_told_apart_by_their_pixels(tmp_path):
    index = prepare("7", tmp_path / "out", **NUMBERED)
    assert index.splits["train"].labels == [0, 1, 2] * 4
    with pytest.raises(InputError, match="out has other images"):
        prepare("200", tmp_path / "out", **NUMBERED)
    assert load(tmp_path / "out", test_split="").train.array.max() == 7


def test_a_file_that_came_and_went_while_they_were_prepared(photos, tmp_path):
    root = shutil.copytree(photos, tmp_path / "photos")
    settings = settings_of(root, image_size=16, channels=3, test_split="")
    sources = data.sources(settings)
    shutil.copy(root / "train/cat/0.png", root / "train/cat/00.png")
    with pytest.raises(InputError, match="'train' changed while"):
        making.prepare(settings, sources, tmp_path / "out")
    (root / "train/cat/00.png").unlink()
    index = making.prepare(settings, sources, tmp_path / "out")
    assert len(index.splits["train"].names) == 7


def test_of_padded_images_nothing_is_cut(tmp_path, rng):
    for i, shape in enumerate([(200, 50, 3), (90, 90, 3), (80, 180, 3)]):
        save(tmp_path / f"images/train/a/{i}.png", rng.integers(0, 256, shape, np.uint8))
    fields = {"image_size": 64, "channels": 3, "resize": "pad", "test_split": ""}
    prepare(tmp_path / "images", tmp_path / "out", **fields)
    expected, found = (load(tmp_path / root, **fields).train for root in ("images", "out"))
    assert isinstance(found, ResidentImages)
    assert found.preparation == expected.preparation
    np.testing.assert_array_equal(found.array, expected.array)


def test_grey_and_colour_of_one_size_are_of_one_size(tmp_path, rng):
    for i, shape in enumerate([(12, 12, 3), (12, 12)]):
        save(tmp_path / f"images/train/a/{i}.png", rng.integers(0, 256, shape, np.uint8))
    prepare(tmp_path / "images", tmp_path / "out", test_split="")
    expected, found = (load(tmp_path / x, test_split="").train.array for x in ("images", "out"))
    assert found.shape == (2, 12, 12, 3)
    np.testing.assert_array_equal(found, expected)


def test_large_images_are_decoded_as_a_run_will_decode_others(tmp_path, rng):
    save(tmp_path / "images/train/a/0.png", rng.integers(0, 256, (9, 9, 3), np.uint8))
    fields = {"image_size": 512, "test_split": ""}
    index = prepare(tmp_path / "images", tmp_path / "out", **fields)
    assert index.made.decoding == load(tmp_path / "images", **fields).train.preparation.decoding


def test_folders_are_classes_where_the_first_original_alone_is_left(photos, tmp_path):
    root = shutil.copytree(photos, tmp_path / "photos")
    files = sorted(root.glob("train/*/*.png"))
    (tmp_path / "files.txt").write_text("".join(f"{file}\n" for file in files))
    fields = {"image_size": 16, "channels": 3, "test_split": ""}
    prepare(tmp_path / "files.txt", tmp_path / "out", name="list", **fields)
    for file in files[1:]:
        file.unlink()
    images = load(tmp_path / "out", labels="folder", **fields).train
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [file.parent.name == "dog" for file in files]


@pytest.mark.parametrize("free", [0, 1])
def test_few_file_handles_are_no_damage(made, monkeypatch, free):
    monkeypatch.setattr(reading, "PAUSES", ())
    source = data.opened(settings_of(made.small, image_size=32, channels=3), "train")
    refused = pytest.raises(reading.NotRead, match="allow more open files")
    with few_handles(free), refused if free == 0 else contextlib.nullcontext():
        source[0]
    assert source[0].image.shape == (32, 32, 3)
