"""Features of whole sets of images, without augmentation and with batch norm in inference mode."""

from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from pad_jax import parallel, steps
from pad_jax.data.batches import ordered_plan, own_part
from pad_jax.data.images import Images


class Embedder:
    """Runs an encoder over sets of images, on all devices.

    Args:
      encoder: images to named features.
      names: the features wanted.
      batch_size: images at a time, over all devices together; does not change the result.
      plain: images as the encoder takes them (see ``Augmentation``).
    """

    def __init__(
        self, encoder: nn.Module, names: tuple[str, ...], batch_size: int, plain: Callable
    ):
        devices = jax.device_count()
        self._batch_size = -(-batch_size // devices) * devices
        self._step = steps.pmap_embed_step(encoder, names, plain)

    def __call__(self, variables: Any, images: Images) -> dict[str, np.ndarray]:
        """Features by name, float32 [N, ...] each, in the order of the rows."""
        features = {}
        for i, batch in enumerate(self._batches(variables, images)):
            for name, x in batch.items():
                x = x.reshape(-1, *x.shape[2:])  # [devices, b, ...] -> [batch, ...]
                if i == 0:
                    features[name] = np.empty((len(images), *x.shape[1:]), x.dtype)
                rows = features[name][i * len(x) : (i + 1) * len(x)]
                rows[:] = x[: len(rows)]  # the last batch is padded
        return features

    def _batches(self, variables: Any, images: Images) -> Iterator[dict[str, np.ndarray]]:
        """Each batch's features, [devices, b, ...]."""
        own = own_part(ordered_plan(len(images), self._batch_size))
        waiting = None
        for batch in images.batches(own.reshape(len(own), -1)):
            # One batch ahead: the devices work while the host fetches the last one's features.
            features = self._step(variables, batch.reshape(*own.shape[1:], *images.shape))
            if waiting is not None:
                yield parallel.fetch_shards(waiting)
            waiting = features
        yield parallel.fetch_shards(waiting)
