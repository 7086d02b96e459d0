"""Encoders for two cores that were compared with ``tiny``: their large maps are gone.

    pad-jax --config=cifar10 --config.model.name=tests.studies.small_encoders:strided ...

docs/studies/cifar.md has the commands and what came of them.
"""

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from pad_jax.data.preparation import PIXELS
from pad_jax.models import ModelSettings, layers


class Strided(nn.Module):
    """A convolution of stride 2, pooling, and convolutions in two stages with pooling between.

    Attributes:
      embedding_dim: size of the embedding.
      platform: what it runs on.
      kernel: size of the first convolution's; the others are of 3.
      first, second: channels of the stages' convolutions.
      padding: of the first convolution.
    """

    takes: ClassVar[str] = PIXELS

    embedding_dim: int
    platform: str
    kernel: int = 3
    first: Sequence[int] = (96, 96)
    second: Sequence[int] = (192,)
    padding: Any = "SAME"

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Images, float [B, H, W, C], to "fc" and "embedding"."""
        conv = functools.partial(layers.conv, dtype=jnp.float32, platform=self.platform)
        norm = functools.partial(layers.batch_norm, train, jnp.float32)
        sides = (self.kernel, self.kernel)
        x = nn.relu(norm()(conv(48, sides, (2, 2), self.padding)(images)))
        for stage in (self.first, self.second):
            x = layers.max_pool_2x2(x)
            for width in stage:
                x = nn.relu(norm()(conv(width, (3, 3))(x)))
        x = layers.dense(256, dtype=jnp.float32, platform=self.platform)(x.reshape(len(x), -1))
        x = nn.relu(norm()(x))
        embedding = layers.embedding_head(x, self.embedding_dim, jnp.float32)
        return {"fc": x, "embedding": embedding}


def _encoder(**sizes: Any):
    return lambda settings, platform: Strided(
        settings[ModelSettings].embedding_dim, platform, **sizes
    )


strided = _encoder()
strided_large_kernel = _encoder(kernel=5)
strided_deeper = _encoder(second=(192, 192))
strided_growing = _encoder(first=(64, 96), second=(128, 192), padding=1)
