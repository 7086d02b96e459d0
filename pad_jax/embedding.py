"""Features of whole sets of images, without augmentation and with batch norm in inference mode."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from pad_jax import parallel, progress, steps
from pad_jax.data.batches import ordered_plan, own_part, split_over_devices
from pad_jax.data.images import Images
from pad_jax.errors import InputError

Features = dict[str, np.ndarray]


class Embedder:
    """Runs an encoder over sets of images, on all devices.

    Args:
      encoder: images to named features.
      names: the features computed.
      batch_size: images at a time, over all devices together; does not change the result.
      plain: images as the encoder takes them (see ``Augmentation``).
    """

    def __init__(
        self, encoder: nn.Module, names: tuple[str, ...], batch_size: int, plain: Callable
    ):
        devices = jax.device_count()
        self.batch_size = -(-batch_size // devices) * devices
        self._names, self._step = names, steps.pmap_embed_step(encoder, names, plain)

    def __call__(
        self, variables: Any, images: Images, names: Collection[str] | None = None
    ) -> Features:
        """Features by name, float32 [N, ...] each, in the order of the rows.

        Args:
          variables: of the encoder, on the devices.
          images: N samples.
          names: those wanted of the features computed, by one program for all; None: all of them.
        """
        n, size = len(images), self.batch_size
        own = own_part(ordered_plan(n, size))
        batches = images.batches(own.reshape(len(own), -1))
        batches = (batch.reshape(*own.shape[1:], *images.shape) for batch in batches)
        counts = (min(size, n - first) for first in range(0, n, size))  # the last one is padded
        features: Features = {}
        found = self._run(variables, zip(batches, counts, strict=True), names)
        for i, batch in enumerate(progress.bar(found, n, "embedding", each=size)):
            for name, x in batch.items():
                if i == 0:
                    features[name] = np.empty((n, *x.shape[1:]), x.dtype)
                features[name][i * size : i * size + len(x)] = x
        return features

    def stream(self, variables: Any, batches: Iterable[np.ndarray]) -> Iterator[Features]:
        """Features of batches as they come.

        A batch is padded to a power of two on each device: one image costs one image, and at most
        nine programs are compiled.

        Args:
          variables: of the encoder, on the devices.
          batches: prepared samples, [b, ...], b at most ``batch_size``.

        Yields:
          Features by name, float32 [b, ...] each.
        """
        padded = ((self._padded(batch), len(batch)) for batch in batches)
        return self._run(variables, padded)

    def _padded(self, batch: np.ndarray) -> np.ndarray:
        """A batch as this process's devices take it, [own devices, b, ...]."""
        devices = jax.device_count()
        each = -(-len(batch) // devices)
        size = devices * min(1 << (each - 1).bit_length(), self.batch_size // devices)
        if len(batch) < size:
            rest = np.zeros((size - len(batch), *batch.shape[1:]), batch.dtype)
            batch = np.concatenate([batch, rest])
        return parallel.own_slices(split_over_devices(batch))

    def _run(
        self,
        variables: Any,
        batches: Iterable[tuple[np.ndarray, int]],
        names: Collection[str] | None = None,
    ) -> Iterator[Features]:
        """Of batches, [own devices, b, ...] each, the features of their first so many samples.

        Raises:
          InputError: for a feature that is not finite, of which all figures would be wrong.
        """
        waiting = None
        for batch, count in batches:
            # One batch ahead: the devices work while the host fetches the last one's features.
            features = self._step(variables, batch)
            features = {name: features[name] for name in names or self._names}
            if waiting is not None:
                yield _fetch(*waiting)
            waiting = features, count
        if waiting is not None:
            yield _fetch(*waiting)


def _fetch(features: Any, count: int) -> Features:
    """[devices, b, ...] -> NumPy [count, ...]."""
    fetched = parallel.fetch_shards(features)
    fetched = {name: x.reshape(-1, *x.shape[2:])[:count] for name, x in fetched.items()}
    for name, x in fetched.items():
        if not np.isfinite(x).all():
            raise InputError(
                f"the encoder's {name} is not finite: its samples are not (leave those out), or "
                "its training has gone bad (lower optimizer.learning_rate in another --workdir)"
            )
    return fetched


def collected(parts: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Rows one after the other: parts float32 [b, *shape], of an unknown number -> [N, *shape]."""
    rows, count = np.empty((0, *shape), np.float32), 0
    for part in parts:
        end = count + len(part)
        if end > len(rows):
            # In place: parts that are joined in the end would take twice the memory.
            rows.resize((max(end, len(rows) * 5 // 4), *shape), refcheck=False)
        rows[count:end] = part
        count = end
    rows.resize((count, *shape), refcheck=False)
    return rows
