"""Encoders: images in, named features out."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from pad_jax.errors import InputError
from pad_jax.models.alexnet import AlexNet
from pad_jax.models.resnet import BasicBlock, Bottleneck, ResNet

# What every encoder returns.
FEATURES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc", "embedding")

_ENCODERS = {
    "alexnet": (AlexNet, {}),
    "resnet18": (ResNet, {"block": BasicBlock, "stage_sizes": (2, 2, 2, 2)}),
    "resnet50": (ResNet, {"block": Bottleneck, "stage_sizes": (3, 4, 6, 3)}),
    "tiny": (AlexNet, {"widths": (32, 64, 64, 64, 128), "kernels": (3,) * 5, "fc_widths": (256,)}),
}
_STEMS = ("small", "standard")
_DTYPES = ("float32", "bfloat16")


def create(
    name: str, *, stem: str = "small", embedding_dim: int = 128, dtype: str = "float32"
) -> nn.Module:
    """Builds an encoder: ``alexnet``, ``resnet18``, ``resnet50`` or ``tiny``.

    Args:
      name: which encoder.
      stem: "small" for images of 28 to 32 px, "standard" for 224 px; ``tiny`` has the small one.
      embedding_dim: size of the embedding.
      dtype: "float32" or "bfloat16", the type of the activations.

    Raises:
      InputError: for an unknown name, stem or dtype.
    """
    if name not in _ENCODERS:
        raise InputError(f"model.name={name!r} is unknown; use one of: {', '.join(_ENCODERS)}")
    for field, value, known in (
        ("stem", stem, ("small",) if name == "tiny" else _STEMS),
        ("dtype", dtype, _DTYPES),
    ):
        if value not in known:
            use = f"use one of: {', '.join(known)}"
            raise InputError(f"model.{field}={value!r} is unknown to {name}; {use}")
    if embedding_dim < 2:
        raise InputError(f"model.embedding_dim={embedding_dim} is too small; use 2 or more")
    encoder, settings = _ENCODERS[name]
    return encoder(embedding_dim=embedding_dim, stem=stem, dtype=jnp.dtype(dtype), **settings)


def check_images(encoder: nn.Module, image_shape: tuple[int, int, int]) -> None:
    """Sees to it that an encoder can take images of a shape, (H, W, C).

    Raises:
      InputError: where they are too small for the encoder's stem.
    """
    images = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    try:
        variables = jax.eval_shape(encoder.init, jax.random.key(0), images)
        fits = all(x.size for x in jax.tree.leaves(variables))
    except ZeroDivisionError:  # of an initialiser, for a feature map without a pixel
        fits = False
    if not fits:
        raise InputError(
            f"model.stem={encoder.stem!r} cannot take images of {image_shape[0]}x{image_shape[1]}; "
            "use model.stem=small, or a larger dataset.image_size"
        )
