"""A run's images from a prepared folder: those of the originals where small, larger otherwise."""

from types import SimpleNamespace

import numpy as np
import pytest

from pad_jax.data.batches import crop_places
from pad_jax.data.images import ResidentImages
from pad_jax.data.preparation import RESIZINGS, Pixels, recorded
from pad_jax.data.prepared.fitting import default_stored_size, stored
from pad_jax.data.prepared.index import Made
from pad_jax.data.prepared.source import PreparedSource
from pad_jax.epoch import EpochRunner
from pad_jax.errors import InputError
from tests.data.prepared.conftest import SHAPES, load, prepare, settings_of


@pytest.mark.parametrize("max_resident_gib", [0.0, 4.0])
def test_small_images_are_those_of_the_folder_itself(photos, made, max_resident_gib):
    fields = {"image_size": 32, "channels": 3}
    for ready, expected in zip(
        load(made.small, **fields, max_resident_gib=max_resident_gib),
        load(photos, **fields),
        strict=True,
    ):
        assert isinstance(ready, ResidentImages) == bool(max_resident_gib)
        rows = np.arange(len(expected))[None, ::-1]
        [batch], [wanted] = ready.batches(rows), expected.batches(rows)
        np.testing.assert_array_equal(batch, wanted)
        np.testing.assert_array_equal(ready.picture(0), expected.picture(0))
        np.testing.assert_array_equal(ready.labels, expected.labels)
        assert ready.names == expected.names
        assert ready.class_names == expected.class_names
        assert ready.preparation == expected.preparation
        assert ready.path(0) == expected.path(0)
        assert ready.fingerprint != expected.fingerprint


def test_unreadable_images_are_listed(made):
    split = made.small_index.splits["train"]
    assert len(split.names) == len(SHAPES)
    [(name, reason)] = split.unreadable
    assert name == "train/dog/torn.jpg"
    assert "cannot identify" in reason


@pytest.mark.parametrize("resize", RESIZINGS)
def test_stored_sizes(resize):
    """No image is enlarged beyond what the run needs; of oblong ones no border is lost."""
    made, shapes = Made(64, 74, resize, None, Pixels((1, 1, 1)).decoding), []
    for shape in SHAPES:
        shape = (*shape[:2], 3) if len(shape) == 3 else (*shape, 1)
        shapes.append(stored(np.zeros(shape, np.uint8), made).shape)
    assert shapes == {
        "crop": [(84, 64, 3), (64, 64, 3), (74, 164, 3), (64, 192, 1), (84, 64, 3), (76, 74, 3),
                 (64, 256, 3)],
        "pad": [(64, 64, 3), (64, 64, 3), (74, 74, 3), (64, 64, 1), (64, 64, 3), (74, 74, 3),
                (74, 74, 3)],
        "squash": [(64, 64, 3), (64, 64, 3), (74, 74, 3), (64, 64, 1), (64, 64, 3), (74, 74, 3),
                   (64, 64, 3)],
    }[resize]  # fmt: skip
    assert [default_stored_size(size, "crop") for size in (32, 64, 224)] == [32, 74, 256]
    assert default_stored_size(224, "pad") == 224


def test_large_images_keep_their_proportions_until_they_are_batched(made):
    fields = {"image_size": 64, "channels": 3, "max_resident_gib": 0.0}
    images = load(made.large, **fields).train
    source = PreparedSource(settings_of(made.large, **fields), "train")
    assert images.preparation == recorded(images.preparation.record(), {})
    assert images.shape == (74, 74, 3)
    assert images.preparation.view_size == 64
    rows = np.arange(len(images))
    stored_images = source.read(rows)
    [middle] = images.batches(rows[None])
    for image, batched in zip(stored_images, middle, strict=True):
        np.testing.assert_array_equal(batched, images.preparation.fit(image))
    [row] = [i for i in rows if stored_images[i].shape == (74, 164, 3)]
    ends = np.array([[0.0, 1.0, 0.25]])
    [cut] = images.batches(np.full((1, 3), row), ends)
    whole = stored_images[row]
    for square, left in zip(cut, (0, 90, 22), strict=True):
        np.testing.assert_array_equal(square, whole[:, left : left + 74])
    # Wherever they would fit: else a run would depend on it.
    assert not isinstance(load(made.large, image_size=64, channels=3).train, ResidentImages)


def test_a_run_may_want_smaller_images_than_are_stored(made):
    pixels = load(made.large, image_size=32, channels=3).train.preparation
    assert (pixels.shape, pixels.view_size) == ((32, 32, 3), None)
    pixels = load(made.large, image_size=64, channels=1, stored_size=70).train.preparation
    assert (pixels.shape, pixels.view_size) == ((70, 70, 1), 64)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image_size": 96}, "image_size=96 .*stored_size=74"),
        ({"image_size": 64, "stored_size": 80}, "stored_size=80 .*stored_size=74"),
        ({"image_size": 64, "resize": "pad"}, "resize='pad' .* prepared with crop"),
        ({"image_size": 64, "background": "red"}, "background='red' .* prepared with white"),
        ({}, "several sizes.*image_size"),
        ({"image_size": 64, "test_split": "test"}, "without split 'test'; it has: train, val"),
    ],
)
def test_what_a_folder_cannot_give_is_refused(made, fields, said):
    with pytest.raises(InputError, match=said):
        load(made.large, **fields)


def test_other_images_are_stored_in_no_size(photos):
    with pytest.raises(InputError, match="stored_size=40 .*--mode=prepare"):
        load(photos, image_size=32, stored_size=40)


def test_a_prepared_folder_can_be_prepared_smaller(made, tmp_path):
    index = prepare(made.large, tmp_path / "small", image_size=16, channels=1)
    assert index.size == (16, 16)
    assert index.splits["train"].names == made.large_index.splits["train"].names


def test_where_originals_are_gone_the_stored_images_are_left(photos, made, tmp_path):
    away = photos.rename(tmp_path / "away")
    try:
        images = load(made.small, image_size=32, channels=3).train
        assert images.path(0) is None
        assert images.picture(0).shape == (32, 32, 3)
    finally:
        away.rename(photos)


def test_places_of_crops_are_a_function_of_seed_epoch_and_view():
    plan = np.zeros((10, 5), np.int32)  # an image as often as that has as many places
    places = crop_places(plan, 1, 2, 0)
    np.testing.assert_array_equal(places, crop_places(plan, 1, 2, 0))
    assert ((places >= 0) & (places < 1)).all()
    assert len(np.unique(places)) == plan.size
    for other in ((2, 2, 0), (1, 3, 0), (1, 2, 1)):
        assert (places != crop_places(plan, *other)).all()


def test_an_epoch_that_goes_on_has_the_crops_of_the_whole(rng):
    seen = []

    def batches(rows, places):
        seen.append(places)
        return [np.zeros((row.size, 1)) for row in rows]

    images = SimpleNamespace(preparation=SimpleNamespace(view_size=8), shape=(1,), batches=batches)
    runner = SimpleNamespace(
        _images=images,
        _objective=SimpleNamespace(hard_positives=True),
        _run_settings=SimpleNamespace(seed=0),
    )
    plan, groups = rng.integers(0, 50, (6, 8)), SimpleNamespace(hard_positive=np.arange(50))
    for first in (0, 2):
        list(EpochRunner._batches(runner, plan, groups, 0, slice(first, None)))
    np.testing.assert_array_equal(seen[0][2:], seen[1])
