"""A trained encoder, ready to embed images."""

import contextlib
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import flax.linen as nn
import numpy as np

from pad_jax import config as configs
from pad_jax import models, parallel
from pad_jax.data import augmentation
from pad_jax.data.images import ResidentImages, fit
from pad_jax.embedding import Embedder
from pad_jax.run import folder
from pad_jax.run.checkpoints import Checkpoints
from pad_jax.settings import Settings


class Model:
    """An encoder with its variables.

    Attributes:
      settings: of the run.
      encoder: the Flax module; ``encoder.apply(variables, images)`` gives all named features.
      variables: its parameters and batch statistics, NumPy.
      image_shape: (H, W, C) of the images it was trained on.
      epoch: how many epochs it was trained.
    """

    def __init__(
        self,
        settings: Settings,
        encoder: nn.Module,
        variables: Any,
        image_shape: tuple[int, int, int],
        epoch: int,
    ):
        self.settings, self.encoder, self.variables = settings, encoder, variables
        self.image_shape, self.epoch = image_shape, epoch
        plain = augmentation.create(settings).plain
        self._embed = Embedder(encoder, ("embedding",), batch_size=256, plain=plain)
        self._on_devices = parallel.replicate(variables)

    def embed(self, images: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Embeddings, float32 [B, D], unit rows.

        Args:
          images: uint8 [B, H, W] or [B, H, W, C] with C 1 or 3, or one by one, of any sizes; other
            sizes and channels than those trained on are resized, cropped and converted as the
            training images were.

        Raises:
          ValueError: for arrays of another type or shape.
        """
        if isinstance(images, np.ndarray) and images.ndim == 3 and images.shape[-1] in (1, 3):
            raise ValueError(f"images are {list(images.shape)}: of one image, give image[None]")
        fitted = [self._fit(image) for image in images]
        if not fitted:
            (embedding,) = models.features(self.encoder, self.image_shape)["embedding"].shape[1:]
            return np.zeros((0, embedding), np.float32)
        unlabelled = ResidentImages(np.stack(fitted), np.full(len(fitted), -1), [""] * len(fitted))
        return self._embed(self._on_devices, unlabelled)["embedding"]

    def _fit(self, image: np.ndarray) -> np.ndarray:
        image = np.asarray(image)
        pixels = image[..., None] if image.ndim == 2 else image
        if image.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
            raise ValueError(
                f"an image is {image.dtype} {list(image.shape)}; "
                "give uint8 [H, W] or [H, W, 1 or 3]"
            )
        return fit(pixels, self.image_shape)


def load(workdir: str | os.PathLike) -> Model:
    """The encoder of the newest checkpoint in a run's folder.

    Raises:
      InputError: where there is no run or no checkpoint.
    """
    workdir = pathlib.Path(workdir)
    settings, run = configs.read(folder.read_config(workdir)), folder.read_run(workdir)
    with contextlib.closing(Checkpoints(workdir)) as checkpoints:
        epoch = checkpoints.newest_epoch()
        state = checkpoints.restore(epoch)
    variables = {name: state[name] for name in ("params", "batch_stats")}
    encoder = models.create(settings)
    return Model(settings, encoder, variables, tuple(run["image_shape"]), epoch)
