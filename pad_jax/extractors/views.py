"""Augmented views of images, as an extractor takes them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from pad_jax.data.augmentation import AugmentationSettings, Crops, CropSettings, view_keys
from pad_jax.settings import RunSettings, Settings, refuse


class Views:
    """Random views: crops, flips and colours as the settings have them.

    Args:
      settings: of ``augmentation``, and the seed.
      batch_size: the most images at a time.

    Raises:
      InputError: for another augmentation than crops, which may not give views as colours.
    """

    def __init__(self, settings: Settings, batch_size: int):
        name = settings[AugmentationSettings].name
        if name != "crops":
            refuse("augmentation.name", name, "--views are made by crops; leave one of the two out")
        self._batch_size = batch_size
        self._of = {"crops": settings[CropSettings], "seed": settings[RunSettings].seed}

    def __call__(self, images: np.ndarray, rows: np.ndarray, view: int) -> np.ndarray:
        """One view of each image, a function of (seed, row, view) and the image alone.

        Args:
          images: uint8 [B, S, S, 3].
          rows: int [B], the number of each image.
          view: which, from 1.

        Returns:
          uint8 [B, S, S, 3].
        """
        padding = self._batch_size - len(images)  # so that it is compiled once
        padded = np.pad(images, [(0, padding), (0, 0), (0, 0), (0, 0)])
        numbers = np.pad(rows, (0, padding)).astype(np.int32)
        return np.asarray(_augmented(padded, numbers, view, **self._of))[: len(images)]


@functools.partial(jax.jit, static_argnames=("crops", "seed"))
def _augmented(images, rows, view, *, crops, seed):
    keys = view_keys(seed, 0, rows, view)
    views = jax.vmap(Crops(Settings(crops)))(keys, images)  # in [-1, 1]
    return jnp.clip(jnp.round((views + 1) * 127.5), 0, 255).astype(jnp.uint8)
