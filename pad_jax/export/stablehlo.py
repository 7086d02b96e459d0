"""A program in StableHLO, by jax.export: from prepared images to their embeddings."""

from typing import TYPE_CHECKING, Any

import jax
import jax.export
import jax.numpy as jnp

from pad_jax import models
from pad_jax.data import augmentation
from pad_jax.data.preparation import Standardization

if TYPE_CHECKING:
    from pad_jax.model import Model

# What the program runs on, as jax.export has it, and what models.create calls that.
PLATFORMS = {"cpu": "cpu", "cuda": "gpu", "tpu": "tpu"}


def program(model: "Model") -> bytes:
    """The program, serialised: see ``Model.export``."""
    return bytes(exported(model).serialize())


def exported(model: "Model", platforms: tuple[str, ...] = tuple(PLATFORMS)) -> jax.export.Exported:
    """The program: uint8 [b, H, W, C], or features float32 [b, F] -> float32 [b, D], for any b.

    The parameters are constants of it. An encoder may compute in another way on each platform: the
    program has all ways, and takes the one for the platform it runs on.
    """
    preparation = model.preparation
    plain = augmentation.create(model.settings, preparation).plain
    encoders = {name: models.create(model.settings, PLATFORMS[name]) for name in platforms}

    def embed(samples: jax.Array) -> jax.Array:
        if isinstance(preparation, Standardization):
            samples = (samples - preparation.mean) / preparation.deviation
            if preparation.num_views is not None:
                samples = jnp.repeat(samples[:, None], preparation.num_views, axis=1)
        ways = {name: _embedding_by(encoder) for name, encoder in encoders.items()}
        return jax.lax.platform_dependent(model.variables, plain(samples), **ways)

    (b,) = jax.export.symbolic_shape("b")
    if isinstance(preparation, Standardization):
        samples = jax.ShapeDtypeStruct((b, len(preparation.mean)), jnp.float32)
    else:
        samples = jax.ShapeDtypeStruct((b, *preparation.shape), jnp.uint8)
    return jax.export.export(jax.jit(embed), platforms=platforms)(samples)


def _embedding_by(encoder: Any) -> Any:
    return lambda variables, samples: encoder.apply(variables, samples)["embedding"]
