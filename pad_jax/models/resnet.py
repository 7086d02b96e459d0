"""ResNet-18 and ResNet-50 (He et al. 2016)."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from pad_jax.data.preparation import PIXELS
from pad_jax.models import ModelSettings, layers
from pad_jax.settings import Settings


def resnet18(settings: Settings, platform: str) -> nn.Module:
    """ResNet-18."""
    return _build(settings[ModelSettings], platform, BasicBlock, (2, 2, 2, 2))


def resnet50(settings: Settings, platform: str) -> nn.Module:
    """ResNet-50."""
    return _build(settings[ModelSettings], platform, Bottleneck, (3, 4, 6, 3))


def _build(
    settings: ModelSettings, platform: str, block: type[nn.Module], stage_sizes: Sequence[int]
) -> nn.Module:
    return ResNet(
        block=block,
        stage_sizes=stage_sizes,
        embedding_dim=settings.embedding_dim,
        stem=settings.stem,
        dtype=settings.activations(platform),
        platform=platform,
        factors=settings.factors(platform),
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: [B, h, w, c] -> [B, h/stride, w/stride, width]."""

    width: int
    stride: int
    how: Mapping[str, Any]  # layers.arithmetic
    expansion = 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        conv = functools.partial(layers.conv, **self.how)
        y = conv(self.width, (3, 3), self.stride, 1)(x)
        y = nn.relu(layers.batch_norm(train, y.dtype)(y))
        y = conv(self.width, (3, 3), 1, 1)(y)
        return _add_shortcut(x, y, self.stride, train, self.how)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions, shortcut: [B, h, w, c] -> [B, h/stride, w/stride, 4 width]."""

    width: int
    stride: int
    how: Mapping[str, Any]  # layers.arithmetic
    expansion = 4

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        conv = functools.partial(layers.conv, **self.how)
        y = conv(self.width, (1, 1))(x)
        y = nn.relu(layers.batch_norm(train, y.dtype)(y))
        y = conv(self.width, (3, 3), self.stride, 1)(y)
        y = nn.relu(layers.batch_norm(train, y.dtype)(y))
        y = conv(self.width * self.expansion, (1, 1))(y)
        return _add_shortcut(x, y, self.stride, train, self.how)


def _add_shortcut(
    x: jax.Array, y: jax.Array, stride: int, train: bool, how: Mapping[str, Any]
) -> jax.Array:
    # The last scale starts at zero: every block begins as the identity (Goyal et al. 2017).
    y = layers.batch_norm(train, y.dtype, scale_init=nn.initializers.zeros)(y)
    if x.shape != y.shape:
        x = layers.conv(y.shape[-1], (1, 1), stride, name="shortcut", **how)(x)
        x = layers.batch_norm(train, y.dtype, name="shortcut_bn")(x)
    return nn.relu(x + y)


class ResNet(nn.Module):
    """Residual network of four stages.

    Attributes:
      block: BasicBlock or Bottleneck.
      stage_sizes: number of blocks in each stage.
      embedding_dim: size of the embedding.
      stem: "small" (a 3x3 convolution, for images of 28 to 32 px) or "standard" (7x7 of stride 2
        and a max-pool, for 224 px).
      dtype: type of the activations; parameters and the embedding are float32.
      platform: what it runs on; on a "cpu" convolutions are done another way.
      factors: on a CPU, what the factors of large products are rounded to in training.
    """

    takes: ClassVar[str] = PIXELS

    block: type[nn.Module]
    stage_sizes: Sequence[int]
    embedding_dim: int = 128
    stem: str = "small"
    dtype: Any = jnp.float32
    platform: str = ""
    factors: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Maps images, float [B, H, W, C], to features by name.

        Returns:
          "conv1" (the stem) and "conv2" ... "conv5" (the four stages): [B, h, w, c];
          "fc": [B, c], conv5 averaged over its map; "embedding": float32 [B, embedding_dim], unit
          rows.
        """
        how = layers.arithmetic(self, train)
        conv = functools.partial(layers.conv, **how)
        x = images.astype(self.dtype)
        if self.stem == "small":
            x = conv(64, (3, 3), 1, 1, name="conv1")(x)
        else:
            x = conv(64, (7, 7), 2, 3, name="conv1")(x)
        x = nn.relu(layers.batch_norm(train, self.dtype, name="conv1_bn")(x))
        if self.stem != "small":
            x = layers.max_pool_3x3(x, ((1, 1), (1, 1)))
        features = {"conv1": x}
        for stage, blocks in enumerate(self.stage_sizes):
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                name = f"conv{stage + 2}_{i + 1}"
                block = self.block(64 * 2**stage, stride, how, name=name)
                x = block(x, train=train)
            features[f"conv{stage + 2}"] = x
        x = x.mean((1, 2))
        features["fc"] = x
        features["embedding"] = layers.embedding_head(x, self.embedding_dim, self.dtype)
        return features
