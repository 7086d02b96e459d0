"""Augmentation of features: dropout, noise, one of several views. Pure, on the device."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from pad_jax.data.preparation import FEATURES
from pad_jax.settings import Settings, at_least, below_one, setting


@dataclasses.dataclass(frozen=True)
class PerturbationSettings:
    """What happens to a training sample's features."""

    SECTION: ClassVar[str] = "augmentation"

    dropout: float = setting(
        0.3,
        "of features: each becomes 0, its mean, with this probability",
        below_one("use a probability below 1, such as 0.3"),
    )
    noise: float = setting(
        0.0, "of features: deviation of Gaussian noise; they have deviation 1", at_least(0)
    )


class Perturbations:
    """Of several views of an image a random one; then noise, then dropout (Srivastava et al. 2014).

    Features are standardised, so that 0 stands for nothing known of one.
    """

    SETTINGS = (PerturbationSettings,)
    takes = FEATURES

    def __init__(self, settings: Settings):
        self._settings = settings[PerturbationSettings]

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        """One augmented view: key, float32 [D] or [V, D] -> float32 [D]."""
        settings = self._settings
        k_view, k_noise, k_dropout = jax.random.split(key, 3)
        x = image if image.ndim == 1 else jax.random.choice(k_view, image)
        if settings.noise:
            x += settings.noise * jax.random.normal(k_noise, x.shape)
        if settings.dropout:
            kept = jax.random.bernoulli(k_dropout, 1 - settings.dropout, x.shape)
            x = jnp.where(kept, x / (1 - settings.dropout), 0)
        return x

    def plain(self, images: jax.Array) -> jax.Array:
        """Of several views the first, the image as it is: [B, D] or [B, V, D] -> [B, D]."""
        return images if images.ndim == 2 else images[:, 0]
