"""Features as samples: statistics, standardisation, views, and what tells sets apart."""

import dataclasses
import logging

import numpy as np
import pytest

from pad_jax.data import vectors
from pad_jax.data.images import ResidentImages
from pad_jax.data.preparation import FEATURES, Standardization, recorded
from pad_jax.data.selection import Selection
from pad_jax.data.source import Example
from pad_jax.errors import InputError


@dataclasses.dataclass
class Source:
    """A source from outside the package, by the protocol alone."""

    features: np.ndarray
    kind = FEATURES

    def __len__(self):
        return len(self.features)

    def __getitem__(self, i):
        return Example(self.features[i], i % 3 if i % 2 else None)

    def name(self, i):
        return f"row {i}"


def prepare(features, like=None, max_images=None, max_resident_bytes=1e9):
    sources = features if isinstance(features, list) else [features]
    selection = Selection([Source(x) for x in sources], max_images)
    return vectors.prepare(selection, like, max_resident_bytes=max_resident_bytes)


def all_of(images):
    return next(images.batches(np.arange(len(images))[None]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_statistics_are_those_of_float64(rng, dtype, monkeypatch):
    """Far from zero, where a sum of squares has no digits left; in blocks of three rows."""
    monkeypatch.setattr(vectors, "_BLOCK", 24)
    features = (rng.standard_normal((50, 8)) * rng.uniform(0.1, 3, 8) + 1000).astype(dtype)
    exact = features.astype(np.float64)
    images = prepare(features)
    np.testing.assert_allclose(images.preparation.mean, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(images.preparation.deviation, exact.std(0), rtol=1e-6)
    expected = (exact - exact.mean(0)) / exact.std(0)
    np.testing.assert_allclose(images.array, expected, atol=1e-3)
    assert images.array.dtype == np.float32
    assert images.labels[:4].tolist() == [-1, 1, -1, 0]
    assert images.names[49] == "row 49"
    assert images.picture(0) is None


@pytest.mark.parametrize("shape", [(40, 6), (40, 3, 6)])
def test_streamed_features_equal_resident_ones(rng, shape):
    features = rng.standard_normal(shape).astype(np.float16)
    resident = prepare(features)
    streamed = prepare(features, max_resident_bytes=40 * 3 * 6 * 4 - 1 if shape[1:] != (6,) else 1)
    assert isinstance(resident, ResidentImages)
    assert isinstance(streamed, vectors.Vectors)
    assert resident.shape == streamed.shape == shape[1:]
    rows = rng.integers(0, 40, (4, 7))
    for a, b in zip(resident.batches(rows), streamed.batches(rows), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(resident.labels, streamed.labels)
    assert resident.fingerprint == streamed.fingerprint


def test_statistics_of_views_are_those_of_the_first(rng):
    views = rng.standard_normal((30, 2, 4)).astype(np.float32)
    views[:, 1] += 5
    images = prepare(views)
    assert images.shape == (2, 4)
    np.testing.assert_allclose(images.array[:, 0].mean(0), 0, atol=1e-6)
    assert images.array[:, 1].mean() > 3
    np.testing.assert_array_equal(images.preparation.rows(images.array), images.array[:, 0])
    assert str(images.preparation) == "4 features in 2 views"


def test_a_test_set_is_standardised_as_the_training_set(rng):
    train, test = (rng.standard_normal((20, 4)).astype(np.float32) for _ in range(2))
    like = prepare(train).preparation
    images = prepare(test, like)
    np.testing.assert_array_equal(images.array, (test - like.mean) / like.deviation)
    with pytest.raises(InputError, match="has 3 features; it has to have 4, as in training"):
        prepare(test[:, :3], like)
    # Views are for training alone.
    views = prepare(np.stack([test, test + 1], 1), like)
    assert views.shape == (2, 4)
    np.testing.assert_array_equal(views.array[:, 0], images.array)
    of_views = prepare(np.stack([train, train + 1], 1)).preparation
    np.testing.assert_array_equal(prepare(test, of_views).array, images.array)


def test_several_sources_and_a_part_of_them(rng):
    features = rng.standard_normal((30, 4)).astype(np.float32)
    whole = prepare([features[:10], features[10:]])
    np.testing.assert_array_equal(whole.array, prepare(features).array)
    assert whole.fingerprint == prepare(features).fingerprint
    part = prepare([features[:10], features[10:]], max_images=7)
    names = [int(name.split()[1]) for name in part.names]
    assert len(set(names)) <= 7
    np.testing.assert_allclose(part.array.mean(0), 0, atol=1e-6)
    selection = Selection([Source(features[:10]), Source(features[10:])])
    rows = np.array([25, 3, 11, 3, 9, 10])
    np.testing.assert_array_equal(selection.take(rows), features[rows])


def test_splits_that_differ(rng):
    features = rng.standard_normal((10, 4)).astype(np.float32)
    with pytest.raises(InputError, match="splits have samples of several shapes"):
        prepare([features, features[:, :3]])
    made_by = [{"name": "a:b", "image_size": size, "images": str(size)} for size in (224, 224, 96)]
    sources = [Source(features), Source(features + 1)]
    sources[0].extractor, sources[1].extractor = made_by[:2]
    images = vectors.prepare(Selection(sources), None, max_resident_bytes=1e9)
    assert images.preparation.extractor == made_by[0]
    sources[1].extractor = made_by[2]
    message = "several extractors .image_size is 224 and 96.; extract all of them in one way"
    with pytest.raises(InputError, match=message):
        vectors.prepare(Selection(sources), None, max_resident_bytes=1e9)
    with pytest.raises(InputError, match=message):
        vectors.prepare(Selection(sources[1:]), images.preparation, max_resident_bytes=1e9)


def test_units_of_a_network_may_be_dead(rng, caplog):
    features = rng.standard_normal((10, 4)).astype(np.float32)
    features[:, 2] = 0.1
    source = Source(features)
    source.extractor = {"name": "a:b"}
    with caplog.at_level(logging.INFO):
        images = vectors.prepare(Selection([source]), None, max_resident_bytes=1e9)
    assert "Ignored: 1 of 4 features" in caplog.text
    np.testing.assert_allclose(images.array[:, 2], 0, atol=1e-7)


def test_what_is_refused(rng):
    features = rng.standard_normal((10, 4)).astype(np.float32)
    for value in (np.nan, np.inf):
        changed = features.copy()
        changed[7, 2] = value
        with pytest.raises(InputError, match="features of row 7 are not all finite; leave"):
            prepare(changed)
    changed = features.copy()
    changed[:, [1, 3]] = 2
    with pytest.raises(InputError, match="2 of 4 features are the same in every row, .* column 1"):
        prepare(changed)


def test_a_feature_that_is_constant_in_a_part_is_kept(rng):
    """Rectified features are often zero but for a few images."""
    features = rng.standard_normal((50, 4)).astype(np.float32)
    features[:, 1] = 0
    features[49, 1] = 9
    images = prepare(features, max_images=3)
    assert "row 49" not in images.names
    assert images.array[:, 1].tolist() == [0, 0, 0]


def test_fingerprint(rng):
    features = rng.standard_normal((10, 4)).astype(np.float32)
    changed = features.copy()
    changed[9, 3] += 1
    others = [changed, features[::-1], features[:9], features.astype(np.float16)]
    fingerprints = {prepare(x).fingerprint for x in (features, features.copy(), *others)}
    assert len(fingerprints) == 5
    assert {len(f) for f in fingerprints} == {64}


def test_a_users_features():
    preparation = Standardization(np.float32([1, 2]), np.float32([2, 4]))
    new = preparation.new(np.array([[3, 2], [1, 6]], np.float16))
    np.testing.assert_array_equal(new, [[1, 0], [0, 1]])
    assert new.dtype == np.float32
    np.testing.assert_array_equal(preparation.new([np.array([3.0, 2.0])]), [[1, 0]])
    assert preparation.new([]).shape == (0, 2)
    views = dataclasses.replace(preparation, num_views=3)
    np.testing.assert_array_equal(views.new(np.float32([[3, 6]])), [[[1, 1]] * 3])
    for wrong in (np.zeros((3, 2), np.uint8), np.zeros((3, 4)), np.zeros(2)):
        with pytest.raises(ValueError, match=r"give float \[B, 2\]"):
            preparation.new(wrong)
    for value in (np.nan, 1e300):
        with pytest.raises(ValueError, match="not all finite"):
            preparation.new(np.array([[value, 0]]))


def test_what_a_run_keeps_of_it():
    made_by = {"name": "a:b"}
    for preparation in (
        Standardization(np.float32([0.1, 2]), np.float32([2, 1e-9]), None, made_by),
        Standardization(np.float32([1]), np.float32([3]), 4),
    ):
        again = recorded(preparation.record(), preparation.statistics())
        np.testing.assert_array_equal(again.mean, preparation.mean)
        np.testing.assert_array_equal(again.deviation, preparation.deviation)
        assert again.mean.dtype == np.float32
        assert (again.shape, again.extractor) == (preparation.shape, preparation.extractor)
