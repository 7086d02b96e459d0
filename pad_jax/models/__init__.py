"""Encoders: images in, or features of images, named features out.

An encoder is a Flax module with ``__call__(images, *, train=False)`` that returns features by name,
"embedding" among them: float32 [B, embedding_dim], unit rows. Which others it has, and of what
shapes, is its own to say. Its variables are "params" and, with batch norm, "batch_stats". It may
say which kind of samples it takes, ``takes = PIXELS``.
"""

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from pad_jax import parallel, registry
from pad_jax.models import products
from pad_jax.settings import Settings, at_least, named, one_of, refuse, setting

# Encoders by model.name: f(settings, platform) -> a Flax module.
ENCODERS = {
    "alexnet": "pad_jax.models.alexnet:alexnet",
    "resnet18": "pad_jax.models.resnet:resnet18",
    "resnet50": "pad_jax.models.resnet:resnet50",
    "tiny": "pad_jax.models.alexnet:tiny",
    "linear": "pad_jax.models.vectors:linear",
    "mlp": "pad_jax.models.vectors:mlp",
}


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The encoder."""

    SECTION: ClassVar[str] = "model"

    name: str = setting(
        "alexnet",
        "alexnet, resnet18, resnet50, tiny; linear, mlp for features; or package.module:encoder; "
        "None: tiny on a CPU, alexnet elsewhere, linear for features",
        named(ENCODERS),
        "paper",
        may_be_left=True,
    )
    stem: str = setting(
        "small", "small for 28 to 32 px, standard for 224 px", one_of("small", "standard")
    )
    embedding_dim: int = setting(128, "size of the embedding", at_least(2), "paper")
    dtype: str = setting(
        "float32",
        "of the activations, bfloat16 for an accelerator; on a CPU of the factors of large "
        "products in training; None: bfloat16 on an accelerator, float32 on a CPU",
        one_of("float32", "bfloat16"),
        may_be_left=True,
    )

    def activations(self, platform: str) -> jnp.dtype:
        """Their type on a platform.

        A run in bfloat16 may be used on a CPU, which gains nothing by such activations. There
        jaxlib 0.11.2 makes numbers of 1e38 of pooled bfloat16 maps.
        """
        return jnp.dtype("float32" if platform == "cpu" else self.dtype)

    def factors(self, platform: str) -> jnp.dtype:
        """What the factors of large products are rounded to in training on a CPU.

        What embeds images outside of training computes in float32, whatever the processor.
        """
        rounded = platform == "cpu" and products.cpu_multiplies_bfloat16()
        return jnp.dtype(self.dtype if rounded else "float32")


def create(settings: Settings, platform: str | None = None) -> nn.Module:
    """The encoder that a run's settings name.

    Args:
      settings: of the run.
      platform: "cpu", "gpu" or "tpu", what it will run on; None for the devices at hand.

    Raises:
      InputError: for an unknown name, or a stem that the encoder does not have.
    """
    build = registry.find(ENCODERS, settings[ModelSettings].name, "model.name")
    return build(settings, platform or parallel.platform())


def variables(encoder: nn.Module, image_shape: tuple[int, ...]) -> dict[str, Any]:
    """Shape and dtype of each of an encoder's variables, without computing anything.

    Args:
      encoder: images to named features.
      image_shape: of an image as the encoder sees it.

    Raises:
      InputError: where images are too small for the encoder.
    """
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    try:
        shapes = jax.eval_shape(lambda x: encoder.init(jax.random.key(0), x), images)
        fits = all(x.size for x in jax.tree.leaves(shapes))
    except ZeroDivisionError:  # of an initialiser, for a feature map without a pixel
        fits = False
    if not fits:
        refuse(
            "model.stem",
            getattr(encoder, "stem", None),
            f"it cannot take images of {'x'.join(map(str, image_shape[:2]))}; use "
            "model.stem=small, or a larger dataset.image_size",
        )
    return shapes


def features(encoder: nn.Module, image_shape: tuple[int, ...]) -> dict[str, Any]:
    """Shape and dtype of each feature of one image, (1, ...); likewise."""
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    return jax.eval_shape(encoder.apply, variables(encoder, image_shape), images)
