"""AlexNet with batch norm (Krizhevsky, Sutskever and Hinton 2012), the paper's encoder.

The tiny encoder for laptops and tests is the same network, thinner.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from pad_jax.data.preparation import PIXELS
from pad_jax.models import ModelSettings, layers
from pad_jax.settings import Settings, refuse

# Pooling follows these convolutions.
_POOLED = (1, 2, 5)


def alexnet(settings: Settings, platform: str) -> nn.Module:
    """The paper's encoder."""
    return _build(settings[ModelSettings], platform)


def tiny(settings: Settings, platform: str) -> nn.Module:
    """The thin one, for images of 28 to 64 px: it has the small stem alone."""
    model_settings = settings[ModelSettings]
    if model_settings.stem != "small":
        refuse("model.stem", model_settings.stem, "tiny has another; use one of: small")
    return _build(
        model_settings, platform, widths=(32, 64, 64, 64, 128), kernels=(3,) * 5, fc_widths=(256,)
    )


def _build(settings: ModelSettings, platform: str, **sizes: Any) -> nn.Module:
    return AlexNet(
        embedding_dim=settings.embedding_dim,
        stem=settings.stem,
        dtype=settings.activations(platform),
        platform=platform,
        factors=settings.factors(platform),
        **sizes,
    )


class AlexNet(nn.Module):
    """Five convolutions and two fully connected layers, each with batch norm and ReLU.

    Attributes:
      embedding_dim: size of the embedding.
      stem: "small" for images of 28 to 32 px (stride 1, so that conv5 keeps a 4x4 map) or
        "standard" for 224 px (an 11x11 convolution of stride 4; conv5 is 6x6).
      widths: channels of conv1 to conv5.
      kernels: kernel sizes of conv1 to conv5; None takes the stem's own.
      fc_widths: widths of the fully connected layers; the last one is the feature "fc".
      dtype: type of the activations; parameters and the embedding are float32.
      platform: what it runs on; on a "cpu" convolutions and products are done another way.
      factors: on a CPU, what the factors of large products are rounded to in training.
    """

    takes: ClassVar[str] = PIXELS

    embedding_dim: int = 128
    stem: str = "small"
    widths: Sequence[int] = (96, 256, 384, 384, 256)
    kernels: Sequence[int] | None = None
    fc_widths: Sequence[int] = (4096, 4096)
    dtype: Any = jnp.float32
    platform: str = ""
    factors: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Maps images, float [B, H, W, C], to features by name.

        Returns:
          "conv1" ... "conv5": [B, h, w, c], after ReLU and, where the layer has one, pooling;
          "fc": [B, fc_widths[-1]]; "embedding": float32 [B, embedding_dim], unit rows.
        """
        small = self.stem == "small"
        kernels = self.kernels or ((5, 5, 3, 3, 3) if small else (11, 5, 3, 3, 3))
        pool = layers.max_pool_2x2 if small else layers.max_pool_3x3
        how = layers.arithmetic(self, train)
        features = {}
        x = images.astype(self.dtype)
        for i, (width, kernel) in enumerate(zip(self.widths, kernels, strict=True), start=1):
            strides, padding = ((4, 4), 2) if i == 1 and not small else ((1, 1), kernel // 2)
            x = layers.conv(width, (kernel, kernel), strides, padding, name=f"conv{i}", **how)(x)
            x = nn.relu(layers.batch_norm(train, self.dtype, name=f"conv{i}_bn")(x))
            if i in _POOLED:
                x = pool(x)
            features[f"conv{i}"] = x
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.fc_widths, start=1):
            x = layers.dense(width, name=f"fc{i}", **how)(x)
            x = nn.relu(layers.batch_norm(train, self.dtype, name=f"fc{i}_bn")(x))
        features["fc"] = x
        features["embedding"] = layers.embedding_head(x, self.embedding_dim, self.dtype)
        return features
