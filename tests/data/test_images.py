"""Preparation of images, streaming, and what tells a set of images from another."""

import json
import logging

import numpy as np
import pytest
from PIL import Image, ImageOps

from pad_jax import config, data
from pad_jax.data.arrays import ArraySource
from pad_jax.data.decoding import Decoding, decode
from pad_jax.data.folder import FolderSource
from pad_jax.data.images import ResidentImages, StreamedImages, held, prepare
from pad_jax.data.preparation import RESIZINGS, Pixels, fit, recorded
from pad_jax.data.selection import Selection
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.settings import Settings
from tests.support.image_files import save

OPTIONS = {"image_size": None, "channels": None, "strict": False, "max_resident_bytes": 1e9}


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


def fingerprint(source, **options):
    images = prepare(source, **OPTIONS | {"image_size": 24, "channels": 3} | options)
    assert len(images.fingerprint) == 64
    return images.fingerprint


def test_fingerprint_of_arrays(rng):
    images, labels = rng.integers(0, 256, (6, 8, 8, 3), np.uint8), np.arange(6)
    before = fingerprint(ArraySource(images, labels))
    assert fingerprint(ArraySource(images.copy(), labels, "another")) == before
    assert fingerprint(ArraySource(images, None)) == before
    assert fingerprint(ArraySource(images, labels), max_resident_bytes=0) == before
    changed = images.copy()
    changed[5, 7, 7, 2] ^= 1
    others = [changed, images[:5], images[::-1], np.concatenate([images, images[:1]])]
    assert len({before, *(fingerprint(ArraySource(x, None)) for x in others)}) == 5


def test_fingerprint_of_a_folder(folder):
    def now(**options):
        return fingerprint(FolderSource(str(folder), "train"), **options)

    before = now()
    assert now(max_resident_bytes=0) == before
    save(folder / "train/cat/a.jpg", np.zeros((9, 9), np.uint8))
    assert now() == before  # files go by their names
    (folder / "train/cat/a.jpg").rename(folder / "train/cat/aa.jpg")
    renamed = now()
    (folder / "train/cat").rename(folder / "train/cats")
    assert len({before, renamed, now()}) == 3


@pytest.mark.parametrize("max_resident_bytes", [0, 1e9])
def test_fingerprint_is_of_the_images_that_are_used(folder, max_resident_bytes):
    options = {"max_resident_bytes": max_resident_bytes}
    before = fingerprint(FolderSource(str(folder), "train"), **options)
    (folder / "train/cat/c.png").write_bytes(b"no image")
    assert fingerprint(FolderSource(str(folder), "train"), **options) == before


@pytest.mark.parametrize("max_resident_bytes", [0, 1e9])
def test_each_row_knows_its_file(folder, monkeypatch, max_resident_bytes):
    (folder / "train/cat/aa.jpg").write_bytes(b"no image")
    monkeypatch.chdir(folder.parent)
    source = Selection([FolderSource("pets", split) for split in ("train", "val")])
    options = {"image_size": 8, "channels": 1, "max_resident_bytes": max_resident_bytes}
    images = prepare(source, **OPTIONS | options)
    assert [images.path(i) for i in range(4)] == [
        folder / name
        for name in ("train/cat/a.jpg", "train/cat/b.png", "train/dog/c.PNG", "val/cat/z.png")
    ]
    assert prepare(ArraySource(np.zeros((1, 8, 8, 1), np.uint8), None), **OPTIONS).path(0) is None


def bands():
    """A tall image of four bands: uint8 [16, 8, 1]."""
    return np.repeat(np.array([10, 20, 30, 40], np.uint8), 4)[:, None, None] * np.ones(
        (1, 8, 1), np.uint8
    )


def test_crop_cuts_head_and_foot():
    image = fit(bands(), (8, 8, 1), "crop")[..., 0]
    np.testing.assert_array_equal(image, bands()[4:12, :, 0])


@pytest.mark.parametrize("tall", [True, False])
def test_pad_keeps_all_between_the_background(tall):
    image = bands() if tall else bands().transpose(1, 0, 2)
    for channels, colour in ((1, 29), (3, (0, 0, 255))):
        padded = fit(image, (8, 8, channels), "pad", (0, 0, 255))
        padded = padded if tall else padded.transpose(1, 0, 2)
        assert (padded[:, [0, 1, 6, 7]] == colour).all()
        assert (padded[0, 2:6] == 10).all()
        assert (padded[-1, 2:6] == 40).all()


def test_squash_keeps_all_and_changes_the_proportions():
    image = fit(bands(), (8, 8, 1), "squash")
    assert image[0].tolist() == [[10]] * 8
    assert image[-1].tolist() == [[40]] * 8


def test_one_size_and_one_proportion_need_no_background():
    square = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    for resize in RESIZINGS:
        np.testing.assert_array_equal(fit(square, (4, 4, 1), resize), square)
        np.testing.assert_array_equal(
            fit(square, (8, 8, 1), resize), fit(square, (8, 8, 1), "crop")
        )


def test_a_run_writes_down_how_images_were_prepared():
    preparation = Pixels((8, 8, 3), "pad", Decoding("#102030", 99.0, None))
    record = json.loads(json.dumps(preparation.record()))
    assert recorded(record, {}) == preparation
    old = recorded({"image_shape": [8, 8, 3]}, {})
    assert old == Pixels((8, 8, 3), "crop")


@pytest.mark.parametrize("resize", RESIZINGS)
@pytest.mark.parametrize("max_resident_bytes", [0, 1e9])
def test_files_are_prepared_alike_in_training_and_after(tmp_path, rng, resize, max_resident_bytes):
    save(tmp_path / "a.png", rng.integers(0, 256, (40, 15, 4), np.uint8))
    save(tmp_path / "b.png", rng.integers(0, 65536, (20, 30), np.uint16))
    save(tmp_path / "c.jpg", rng.integers(0, 256, (30, 30, 3), np.uint8))
    settings = DatasetSettings(
        name="folder", root=str(tmp_path), test_split="", image_size=16, channels=3, resize=resize,
        background="red", max_resident_gib=max_resident_bytes / 2**30,
    )  # fmt: skip
    images = data.load(Settings(settings)).train
    (trained_on,) = images.batches(np.arange(3)[None])
    assert images.preparation == Pixels((16, 16, 3), resize, settings.decoding)
    preparation = recorded(json.loads(json.dumps(images.preparation.record())), {})
    paths = [images.path(i) for i in range(3)]
    np.testing.assert_array_equal(np.stack([preparation.read(p) for p in paths]), trained_on)
    decoded = [decode(path, settings.decoding) for path in paths]
    np.testing.assert_array_equal(preparation.new(decoded), trained_on)
    np.testing.assert_array_equal([images.picture(i) for i in range(3)], trained_on)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"background": "whitish"}, "dataset.background='whitish'.*as '#rrggbb'"),
        ({"resize": "stretch"}, "dataset.resize='stretch'.*crop, pad, squash"),
        ({"max_megapixels": 0}, "dataset.max_megapixels=0"),
    ],
)
def test_settings_that_cannot_be_used(fields, message):
    with pytest.raises(InputError, match=message):
        config.read({"dataset": fields})


def test_larger_images_than_usual_are_decoded_in_more_detail():
    assert DatasetSettings(image_size=32).decoding.least_side == 1024
    assert DatasetSettings(image_size=600).decoding.least_side == 1200
    assert DatasetSettings().decoding.least_side is None  # they keep the size they have


def test_exact_copies_are_said(folder, caplog):
    caplog.set_level(logging.INFO, logger="pad_jax")
    (folder / "train/cat/again.jpg").write_bytes((folder / "train/cat/a.jpg").read_bytes())
    prepare(FolderSource(str(folder), "train"), **OPTIONS | {"image_size": 8, "channels": 1})
    assert "1 of 4 images have the very same pixels as an earlier one" in caplog.text
    caplog.clear()
    prepare(FolderSource(str(folder), "val"), **OPTIONS | {"image_size": 8, "channels": 1})
    assert "the very same pixels" not in caplog.text


@pytest.mark.parametrize("shape", [(1, 100), (100, 1), (1, 1), (3, 200)])
def test_thin_images_are_padded(shape):
    padded = fit(np.full((*shape, 1), 200, np.uint8), (32, 32, 1), "pad", (0, 0, 0))
    assert padded.shape == (32, 32, 1)
    assert set(np.unique(padded)) <= {0, 200}
    assert (padded == 200).any()


def test_pad_has_the_sizes_of_pillow():
    rng = np.random.default_rng(0)
    for width, height in rng.integers(20, 500, (200, 2)).tolist():
        image = np.full((height, width, 1), 255, np.uint8)
        inner = ImageOps.contain(Image.fromarray(image[..., 0]), (32, 48))
        padded = fit(image, (48, 32, 1), "pad", (0, 0, 0))[..., 0] > 0
        assert (padded.any(0).sum(), padded.any(1).sum()) == inner.size


def test_some_of_the_images_keep_the_names_of_their_classes(folder):
    images = prepare(
        FolderSource(str(folder), "train"), **OPTIONS | {"image_size": 8, "channels": 1}
    )
    assert images.class_names is not None
    assert held(images, np.arange(2)).class_names == images.class_names


def test_files_are_told_by_their_sizes_where_they_are_decoded(folder):
    source = Selection([FolderSource(str(folder), "train")])
    before = source.sizes(np.arange(len(source)))
    file = source.path(0)
    assert before[0] == len(file.read_bytes())
    file.write_bytes(file.read_bytes() + b"0")
    assert source.sizes(np.arange(len(source)))[0] == before[0] + 1
    file.unlink()
    assert source.sizes(np.arange(len(source))) == []
    assert ResidentImages(np.zeros((1, 8, 8, 1), np.uint8), np.zeros(1), ["a"]).sizes == ()
