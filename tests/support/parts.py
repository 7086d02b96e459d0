"""Parts from outside the package, each as small as it can be."""

from collections.abc import Iterator, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from pad_jax.data.arrays import ArraySource
from pad_jax.data.augmentation import Crops
from pad_jax.evaluators.base import Evaluator, Features, Occasion
from pad_jax.graph.search import search
from pad_jax.models import ModelSettings, layers
from pad_jax.modes.base import Call, Mode


def stripes(settings, split):
    """A source: noisy stripes, upright or level, 160 to train and 40 to test."""
    rng = np.random.default_rng(split == "test")
    count = {"train": 160, "test": 40}[split]
    labels = np.arange(count) % 2
    wave = 128 + 80 * np.sin(np.arange(12) * 2 * np.pi / rng.uniform(3, 6, (count, 1)))
    images = np.repeat(wave[:, None], 12, axis=1) + rng.normal(0, 20, (count, 12, 12))
    images[labels == 1] = images[labels == 1].transpose(0, 2, 1)
    return ArraySource(images.clip(0, 255).astype(np.uint8)[..., None], labels, split)


class Linear(nn.Module):
    """An encoder: one layer, with batch norm before it."""

    embedding_dim: int

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        flat = layers.batch_norm(train, jnp.float32)(images.reshape(images.shape[0], -1))
        return {"flat": flat, "embedding": layers.embedding_head(flat, self.embedding_dim, None)}


def linear(settings, platform):
    """The encoder, by the run's settings."""
    return Linear(settings[ModelSettings].embedding_dim)


class Noise(Crops):
    """An augmentation: no crops, but noise; and images half as bright as others have them."""

    def plain(self, images: jax.Array) -> jax.Array:
        return super().plain(images) / 2

    def __call__(self, key: jax.Array, image: jax.Array) -> jax.Array:
        return self.plain(image) + 0.1 * jax.random.normal(key, image.shape)


class WhileTraining(Evaluator):
    """An evaluator: counts rows, of fc while training; in NumPy's numbers."""

    needs_labels = False
    early = ("fc",)

    def features(self, occasion: Occasion) -> Sequence[str]:
        return ("embedding",) if occasion.final else self.early

    def run(self, features: Features) -> Iterator[tuple[str, np.integer]]:
        yield f"rows{features.suffix}", np.int64(len(features.train))


class WhileTrainingWrongly(WhileTraining):
    """One that asks, for a while, for what there is not."""

    early = ("fc9",)


def blocked(features, k, *, platform):
    """A neighbour search: the plain one, a block of rows at a time."""
    return search(features, features, k, leave_one_out=True)


def _say(call: Call) -> str:
    return f"{call.config_name} has {call.config.num_epochs} epochs"


SAY = Mode(_say)
