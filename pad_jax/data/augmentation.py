"""Augmentation on the device: crop, flip, colour. Pure functions of a key and an image."""

import copy
import dataclasses
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp

from pad_jax import registry
from pad_jax.data.preparation import PIXELS, Pixels, Preparation
from pad_jax.settings import Settings, named, numbers, refuse, setting, share, yes_or_no

# What augments images, by augmentation.name: f(settings) -> Augmentation.
AUGMENTATIONS = {
    "crops": "pad_jax.data.augmentation:Crops",
    "perturbations": "pad_jax.data.perturbations:Perturbations",
}
_GREY = (0.299, 0.587, 0.114)  # luma weights of ITU-R BT.601


class Augmentation(Protocol):
    """What the encoder sees of an image: random views in training, the image itself elsewhere.

    An entry of AUGMENTATIONS makes one of a run's settings. Its methods are pure, and run on the
    device. Where samples are features of images, these take the images' place. An augmentation may
    say which kind it takes, ``takes = FEATURES``. It may have ``smaller(side)``: the same
    augmentation, but of images that are larger than what the encoder sees, [side, side, C].
    """

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """One augmented view: key, uint8 [H, W, C] -> float32 [H, W, C], as ``plain`` has it."""
        ...

    def plain(self, images: jax.Array) -> jax.Array:
        """Images as they are, for the encoder: uint8 [B, H, W, C] -> float32 [B, H, W, C]."""
        ...


@dataclasses.dataclass(frozen=True)
class AugmentationSettings:
    """Which augmentation."""

    SECTION: ClassVar[str] = "augmentation"

    name: str = setting(
        "crops",
        "crops of images, perturbations of features, or package.module:Augmentation",
        named(AUGMENTATIONS),
    )


@dataclasses.dataclass(frozen=True)
class CropSettings:
    """What happens to a training image; one setting serves all data sets (the flip aside)."""

    SECTION: ClassVar[str] = "augmentation"

    crop_scale: tuple[float, ...] = setting(
        (0.2, 1.0),
        "smallest and largest share of the area that a crop keeps",
        numbers(
            2, lambda v: 0 < v[0] <= v[1] <= 1, "use two shares of the area, such as (0.2, 1.0)"
        ),
    )
    jitter: tuple[float, ...] = setting(
        (0.4, 0.4, 0.4, 0.4),
        "strengths of brightness, contrast, saturation (factors from 1 - s to 1 + s) and hue (a "
        "shift of up to s turns), applied in this order",
        numbers(
            4,
            lambda v: min(v) >= 0,
            "use four strengths of 0 or more, such as (0.4, 0.4, 0.4, 0.4)",
        ),
    )
    grayscale: float = setting(
        0.2, "probability that a colour image turns grey", share("use a probability")
    )
    flip: bool = setting(
        True, "mirror left to right with probability 1/2; not for digits", yes_or_no()
    )


def create(settings: Settings, preparation: Preparation | None = None) -> Augmentation:
    """The augmentation that a run's settings name.

    Args:
      settings: of the run.
      preparation: what its samples went through; None where the encoder sees them whole.

    Raises:
      InputError: where the images are larger than what the encoder sees, and it takes no such.
    """
    name = settings[AugmentationSettings].name
    found = registry.find(AUGMENTATIONS, name, "augmentation.name")(settings)
    side = preparation.view_size if isinstance(preparation, Pixels) else None
    if side is None:
        return found
    if not hasattr(found, "smaller"):
        hint = f"it takes no crops of larger images; give dataset.stored_size={side} with it"
        refuse("augmentation.name", name, hint)
    return found.smaller(side)


def input_shape(augment: Augmentation, preparation: Preparation) -> tuple[int, ...]:
    """The shape in which the encoder sees one sample."""
    samples = jax.ShapeDtypeStruct((1, *preparation.shape), preparation.dtype)
    return jax.eval_shape(augment.plain, samples).shape[1:]


class Crops:
    """Random resized crops, flips, and jitter of colour."""

    SETTINGS = (CropSettings,)
    takes = PIXELS

    def __init__(self, settings: Settings):
        self._settings = settings[CropSettings]
        self._side: int | None = None

    def smaller(self, side: int) -> "Crops":
        """The same, to [side, side, C] of larger images: ``plain`` takes their middle."""
        crops = copy.copy(self)
        crops._side = side
        return crops

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        settings = self._settings
        keys = jax.random.split(key, 4)
        x = image.astype(jnp.float32) / 255
        size = image.shape[:2] if self._side is None else (self._side, self._side)
        x = _random_resized_crop(keys[0], x, settings.crop_scale, settings.flip, size)
        x = _color_jitter(keys[1], x, settings.jitter)
        if settings.grayscale and x.shape[-1] == 3:
            gray = jax.random.bernoulli(keys[2], settings.grayscale)
            x = jnp.where(gray, _luma(x), x)
        return 2 * x - 1

    def plain(self, images: jax.Array) -> jax.Array:
        """uint8 [B, H, W, C] -> float32 [B, H, W, C] in [-1, 1]; see ``smaller``."""
        if self._side is not None:
            side = self._side
            top, left = ((length - side) // 2 for length in images.shape[-3:-1])
            images = images[..., top : top + side, left : left + side, :]
        return images.astype(jnp.float32) / 127.5 - 1


def view_keys(seed: int, epoch: jax.Array, index: jax.Array, view: int) -> jax.Array:
    """Augmentation keys, a function of (seed, epoch, sample, view) alone: int32 [B] -> keys [B]."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), epoch), view)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


def _random_resized_crop(key, image, scale, flip, size):
    """Random area in ``scale``, random aspect ratio in 3/4 to 4/3, resized to ``size``."""
    height, width = image.shape[:2]
    k_area, k_ratio, k_y, k_x, k_flip = jax.random.split(key, 5)
    area = jax.random.uniform(k_area, minval=scale[0], maxval=scale[1]) * (height * width)
    ratio = jnp.exp(jax.random.uniform(k_ratio, minval=jnp.log(3 / 4), maxval=jnp.log(4 / 3)))
    h = jnp.minimum(jnp.sqrt(area / ratio), height)
    w = jnp.minimum(jnp.sqrt(area * ratio), width)
    y = jax.random.uniform(k_y) * (height - h)
    x = jax.random.uniform(k_x) * (width - w)
    mirrored = jax.random.bernoulli(k_flip) if flip else jnp.zeros((), bool)
    rows = _resize_weights(y, h, height, size[0])
    columns = _resize_weights(x, w, width, size[1])
    columns = jnp.where(mirrored, columns[::-1], columns)
    # Output pixel (a, b) = sum_{i, j} rows[a, i] columns[b, j] image[i, j].
    image = jnp.tensordot(rows, image, 1)
    return jnp.einsum("bj,ajc->abc", columns, image)


def _resize_weights(start, length, size, out):
    """Weights [out, size] that resize [start, start + length) linearly to ``out`` pixels.

    Where that may make the crop smaller, a pixel is the mean of what it covers.
    """
    center = start + jnp.arange(0.5, out) * (length / out) - 0.5
    distance = jnp.abs(center[:, None] - jnp.arange(0.0, size))
    if out < size:
        distance = distance / jnp.maximum(1.0, length / out)
    weights = jnp.maximum(0.0, 1.0 - distance)
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def _color_jitter(key, x, strengths):
    keys = jax.random.split(key, 4)
    factors = [
        jax.random.uniform(k, minval=max(0.0, 1 - s), maxval=1 + s)
        for k, s in zip(keys[:3], strengths[:3], strict=True)
    ]
    brightness, contrast, saturation = factors
    x = jnp.clip(x * brightness, 0, 1)
    mean = jnp.mean(_luma(x))
    x = jnp.clip(mean + (x - mean) * contrast, 0, 1)
    if x.shape[-1] == 3:
        luma = _luma(x)
        x = jnp.clip(luma + (x - luma) * saturation, 0, 1)
        if strengths[3]:
            shift = jax.random.uniform(keys[3], minval=-strengths[3], maxval=strengths[3])
            x = _shift_hue(x, shift)
    return x


def _luma(x):
    """[H, W, C] -> [H, W, 1]; a grey image is its own luma."""
    return x @ jnp.asarray(_GREY)[:, None] if x.shape[-1] == 3 else x


def _shift_hue(x, shift):
    """Turns the hue of an RGB image by ``shift`` turns; value and saturation (HSV) stay."""
    value = jnp.max(x, axis=-1, keepdims=True)
    chroma = value - jnp.min(x, axis=-1, keepdims=True)
    safe = jnp.where(chroma > 0, chroma, 1)
    r, g, b = x[..., :1], x[..., 1:2], x[..., 2:]
    hue = jnp.where(
        value == r, (g - b) / safe, jnp.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe)
    )
    # Of the hue in sixths of a turn, channel n falls and rises around its own third of the circle.
    position = (jnp.asarray([5.0, 3.0, 1.0]) + hue + 6 * shift) % 6
    return value - chroma * jnp.clip(jnp.minimum(position, 4 - position), 0, 1)
