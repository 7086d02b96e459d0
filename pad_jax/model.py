"""A trained encoder, ready to embed images."""

import contextlib
import functools
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import flax.linen as nn
import numpy as np

from pad_jax import config as configs
from pad_jax import models, parallel
from pad_jax.data import augmentation
from pad_jax.data.images import ResidentImages
from pad_jax.data.preparation import Preparation, refuse_one_image
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
      preparation: what the images, or the features, it was trained on went through.
      epoch: how many epochs it was trained.
    """

    def __init__(
        self,
        settings: Settings,
        encoder: nn.Module,
        variables: Any,
        preparation: Preparation,
        epoch: int,
    ):
        self.settings, self.encoder, self.variables = settings, encoder, variables
        self.preparation, self.epoch = preparation, epoch
        self._augment = augmentation.create(settings)
        self._embed = Embedder(encoder, ("embedding",), 256, self._augment.plain)
        self._on_devices = parallel.replicate(variables)

    def embed(self, images: np.ndarray | Iterable[np.ndarray]) -> np.ndarray:
        """Embeddings, float32 [B, D], unit rows.

        Args:
          images: uint8 [B, H, W] or [B, H, W, C] with C 1 or 3, or one by one, of any sizes; other
            sizes and channels than those trained on are resized, cropped and converted as the
            training images were. A model of features takes those, float [B, F], as they are in its
            file; where it knows their extractor, it takes images as well.

        Raises:
          ValueError: for arrays of another type or shape.
        """
        samples = self.preparation.new(self._extracted(images))
        if not len(samples):
            shape = augmentation.input_shape(self._augment, self.preparation)
            (embedding,) = models.features(self.encoder, shape)["embedding"].shape[1:]
            return np.zeros((0, embedding), np.float32)
        unlabelled = np.full(len(samples), -1)
        names = [""] * len(samples)
        resident = ResidentImages(samples, unlabelled, names, preparation=self.preparation)
        return self._embed(self._on_devices, resident)["embedding"]

    def _extracted(self, images: Any) -> Any:
        """Features of images, where the model takes features and knows their extractor."""
        if self.preparation.extractor is None:
            return images
        refuse_one_image(images)
        images = iter(images)
        first = next(images, None)
        if first is None:
            return []
        images = itertools.chain([first], images)
        if np.asarray(first).dtype != np.uint8:
            return list(images)
        return self._extract(images)

    @functools.cached_property
    def _extract(self) -> Callable[[Iterable[np.ndarray]], np.ndarray]:
        """Images to their features, as those of the run were made."""
        from pad_jax import extractors  # not at the top: most models do without
        from pad_jax.extractors.extraction import extract_arrays

        made_by = self.preparation.extractor
        assert made_by is not None  # else nobody asks
        spec = extractors.ExtractorSpec.from_dict(made_by)
        return functools.partial(extract_arrays, extractors.create(spec))


def load(workdir: str | os.PathLike) -> Model:
    """The encoder of the newest checkpoint in a run's folder.

    Raises:
      InputError: where there is no run or no checkpoint.
    """
    workdir = pathlib.Path(workdir)
    settings = configs.read(folder.read_config(workdir))
    preparation = folder.read_preparation(workdir)
    with contextlib.closing(Checkpoints(workdir)) as checkpoints:
        epoch = checkpoints.newest_epoch()
        state = checkpoints.restore(epoch)
    variables = {name: state[name] or {} for name in ("params", "batch_stats")}
    encoder = models.create(settings)
    return Model(settings, encoder, variables, preparation, epoch)
