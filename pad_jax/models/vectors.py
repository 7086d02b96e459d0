"""Encoders of features: a linear map, and one with a hidden layer."""

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from pad_jax.data.preparation import FEATURES
from pad_jax.models import ModelSettings, layers
from pad_jax.settings import Settings, at_least, setting


@dataclasses.dataclass(frozen=True)
class MlpSettings:
    """The hidden layer."""

    SECTION: ClassVar[str] = "model"

    hidden_dim: int = setting(512, "mlp: size of its hidden layer", at_least(1))


class VectorEncoder(nn.Module):
    """Nothing, or one hidden layer with batch norm and ReLU, below the embedding.

    Attributes:
      embedding_dim: size of the embedding.
      hidden_dim: size of the hidden layer; None for none.
      dtype: type of the activations; parameters and the embedding are float32.
    """

    takes: ClassVar[str] = FEATURES

    embedding_dim: int = 128
    hidden_dim: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> dict[str, jax.Array]:
        """Maps features, float [B, F], to features by name.

        Returns:
          "embedding": float32 [B, embedding_dim], unit rows; with a hidden layer "fc":
          [B, hidden_dim], after ReLU.
        """
        x, features = images.astype(self.dtype), {}
        if self.hidden_dim is not None:
            x = nn.Dense(self.hidden_dim, use_bias=False, dtype=self.dtype, name="fc1")(x)
            x = nn.relu(layers.batch_norm(train, self.dtype, name="fc1_bn")(x))
            features["fc"] = x
        features["embedding"] = layers.embedding_head(x, self.embedding_dim, self.dtype)
        return features


def linear(settings: Settings, platform: str) -> nn.Module:
    """One linear map: features that suit the images are only weighted anew."""
    model_settings = settings[ModelSettings]
    return VectorEncoder(model_settings.embedding_dim, None, model_settings.activations(platform))


def mlp(settings: Settings, platform: str) -> nn.Module:
    """A hidden layer between features and embedding."""
    model_settings, mlp_settings = settings[ModelSettings], settings[MlpSettings]
    return VectorEncoder(
        model_settings.embedding_dim, mlp_settings.hidden_dim, model_settings.activations(platform)
    )


mlp.SETTINGS = (MlpSettings,)
