"""Augmentation: keys, geometry against jax.image, colour against colorsys."""

import colorsys
import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax import config
from pad_jax.data import augmentation
from pad_jax.data.augmentation import Crops, CropSettings, view_keys
from pad_jax.data.preparation import Pixels
from pad_jax.errors import InputError
from pad_jax.settings import Settings, at_least, setting


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (20, 28, 3), np.uint8)


def augment(image, seed=0, **settings):
    return np.asarray(Crops(Settings(CropSettings(**settings)))(jax.random.key(seed), image))


def plain(images):
    return Crops(Settings()).plain(images)


def test_images_as_they_are():
    np.testing.assert_allclose(plain(np.array([0, 255], np.uint8)), [-1, 1], atol=1e-6)


def test_a_flat_image_stays_flat_however_it_is_cropped():
    flat = np.full((8, 8, 1), 51, np.uint8)
    view = augment(flat, jitter=(0, 0, 0, 0))
    np.testing.assert_allclose(view, plain(flat), atol=1e-5)


@pytest.mark.parametrize("out", [28, 20])
@pytest.mark.parametrize(("start", "length"), [(0.0, 28.0), (3.7, 11.2), (16.0, 12.0)])
def test_resize_weights_equal_jax_image(rng, start, length, out):
    x = rng.standard_normal((28, 1)).astype(np.float32)
    weights = augmentation._resize_weights(start, length, 28, out)
    scale = out / length
    expected = jax.image.scale_and_translate(
        x, (out, 1), (0,), jnp.array([scale]), jnp.array([-start * scale]), "linear"
    )
    np.testing.assert_allclose(weights @ x, expected, atol=1e-5)


def test_crops_keep_the_share_of_the_area_that_is_asked_for(rng):
    # A ramp along x: the range of the crop tells its width, a ramp along y its height.
    ramp = np.zeros((64, 64, 2), np.float32)
    ramp[..., 0], ramp[..., 1] = np.arange(64)[:, None], np.arange(64)
    areas = []
    for seed in range(200):
        crop = augmentation._random_resized_crop(
            jax.random.key(seed), ramp, (0.2, 0.6), False, (64, 64)
        )
        spans = [np.ptp(np.asarray(crop[..., c])) * 64 / 63 for c in (0, 1)]
        areas.append(spans[0] * spans[1] / 64**2)
    assert 0.19 < min(areas) < 0.25
    assert 0.5 < max(areas) < 0.61


def test_crops_of_larger_images(image):
    """What the encoder sees is the middle, and in training crops that reach to the borders."""
    crops = augmentation.create(Settings(), Pixels((20, 20, 3), view_size=14))
    np.testing.assert_array_equal(crops.plain(image[None, :, :20]), plain(image[None, 3:17, 3:17]))
    ramp = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None] * 10, (20, 20, 1))
    calm = Crops(Settings(CropSettings(jitter=(0, 0, 0, 0), flip=False))).smaller(14)
    views = np.stack([calm(jax.random.key(i), ramp) for i in range(50)])
    assert views.shape == (50, 14, 14, 1)
    values = (views + 1) * 127.5
    assert values.min() < 5
    assert values.max() > 185
    whole = Crops(Settings(CropSettings(crop_scale=(1, 1), jitter=(0, 0, 0, 0), flip=False)))
    spans = [np.ptp(whole.smaller(14)(jax.random.key(i), ramp)) for i in range(20)]
    assert max(spans) > 180 / 127.5  # of 190: the first and the last pixel are means of some


def test_an_augmentation_that_takes_no_larger_images_says_so():
    settings = config.read(config.default(augmentation__name=f"{__name__}:Noise"))
    with pytest.raises(InputError, match="no crops of larger images.*stored_size=14"):
        augmentation.create(settings, Pixels((20, 20, 3), view_size=14))


def test_flip_mirrors_half_of_the_images(image):
    mirrored = 0
    for seed in range(100):
        settings = {"jitter": (0, 0, 0, 0), "grayscale": 0}
        never = augment(image, seed, flip=False, **settings)
        maybe = augment(image, seed, flip=True, **settings)
        is_mirrored = np.allclose(maybe, never[:, ::-1], atol=1e-5)
        assert is_mirrored != np.allclose(maybe, never, atol=1e-5)
        mirrored += is_mirrored
    assert 30 < mirrored < 70


@pytest.mark.parametrize("shift", [-0.4, 0.0, 0.1, 0.33])
def test_hue_equals_colorsys(rng, shift):
    pixels = rng.uniform(0, 1, (50, 3)).astype(np.float32)
    pixels[0] = 0.3  # grey has no hue
    expected = []
    for r, g, b in pixels.tolist():
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        expected.append(colorsys.hsv_to_rgb((h + shift) % 1, s, v))
    ours = augmentation._shift_hue(pixels[None], shift)[0]
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_grayscale_share_and_grey_images(image):
    grey = sum(
        np.allclose(np.ptp(augment(image, seed, jitter=(0, 0, 0, 0)), axis=-1), 0, atol=1e-5)
        for seed in range(200)
    )
    assert 20 < grey < 60  # of 200, p = 0.2
    one_channel = augment(image[..., :1])
    assert one_channel.shape == (20, 28, 1)


def test_values_stay_in_range_and_vary(image):
    views = np.stack([augment(image, seed) for seed in range(20)])
    assert views.min() >= -1 - 1e-5
    assert views.max() <= 1 + 1e-5
    assert np.ptp(views.mean((1, 2, 3))) > 0.2  # brightness


def test_keys_depend_on_seed_epoch_sample_and_view_alone():
    index = np.arange(5, dtype=np.int32)

    def data(seed, epoch, index, view):
        keys = view_keys(seed, np.int32(epoch), index, view)
        return [tuple(k) for k in np.asarray(jax.random.key_data(keys)).tolist()]

    base = data(0, 0, index, 0)
    assert data(0, 0, index[::-1], 0) == base[::-1]
    every = base + data(1, 0, index, 0) + data(0, 1, index, 0) + data(0, 0, index, 1)
    assert len(set(every)) == 20


@dataclasses.dataclass(frozen=True)
class NoiseSettings:
    """How strong the noise is."""

    SECTION: ClassVar[str] = "noise"

    strength: float = setting(0.1, "its standard deviation", at_least(0))


class Noise:
    """An augmentation from outside of the package: images of another range, with noise."""

    SETTINGS = (NoiseSettings,)

    def __init__(self, settings):
        self._strength = settings[NoiseSettings].strength

    def __call__(self, key, image):
        return self.plain(image) + self._strength * jax.random.normal(key, image.shape)

    def plain(self, images):
        return images.astype(jnp.float32) / 255


def test_an_augmentation_from_outside_has_a_name_and_settings_of_its_own(image):
    chosen = config.default(augmentation__name=f"{__name__}:Noise")
    chosen.noise.strength = 0.0
    silent = augmentation.create(config.read(chosen))
    np.testing.assert_array_equal(silent(jax.random.key(0), image), silent.plain(image))
    assert silent.plain(image).max() <= 1
    chosen.noise.strength = 0.5
    loud = augmentation.create(config.read(chosen))
    assert 0.4 < np.std(loud(jax.random.key(0), image) - loud.plain(image)) < 0.6
    chosen.noise.strength = -1.0
    with pytest.raises(InputError, match="noise.strength=-1.0"):
        config.read(chosen)


def test_the_augmentation_of_the_package_is_the_default():
    assert isinstance(augmentation.create(config.read(config.default())), Crops)


@pytest.mark.parametrize("name", ["cutout", "no.such_module:Crops", "pad_jax.train:Crops"])
def test_unknown_augmentations(name):
    with pytest.raises(InputError, match=f"augmentation.name='{name}'"):
        config.read({"augmentation": {"name": name}})
