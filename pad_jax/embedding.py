"""Features of whole sets of images, without augmentation and with batch norm in inference mode."""

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
    """

    def __init__(self, encoder: nn.Module, names: tuple[str, ...], batch_size: int):
        devices = jax.device_count()
        self._batch_size = -(-batch_size // devices) * devices
        self._step = steps.pmap_embed_step(encoder, names)

    def __call__(self, variables: Any, images: Images) -> dict[str, np.ndarray]:
        """Features by name, float32 [N, ...] each, in the order of the rows."""
        own = own_part(ordered_plan(len(images), self._batch_size))
        batches = images.batches(own.reshape(len(own), -1))
        rows, waiting = [], None
        for batch in batches:
            # One batch ahead: the devices work while the host fetches the last one's features.
            batch = batch.reshape(*own.shape[1:], *images.shape)
            features = self._step(variables, batch)
            if waiting is not None:
                rows.append(parallel.fetch_shards(waiting))
            waiting = features
        rows.append(parallel.fetch_shards(waiting))
        return jax.tree.map(
            lambda *x: np.concatenate([v.reshape(-1, *v.shape[2:]) for v in x])[: len(images)],
            *rows,
        )
