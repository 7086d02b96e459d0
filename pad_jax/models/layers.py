"""Layers the encoders share."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from pad_jax.models import products, winograd
from pad_jax.parallel import AXIS, is_pmapped

# PyTorch's 0.1 in Flax's convention: short runs need statistics that follow quickly.
BATCH_NORM_MOMENTUM = 0.9


def batch_norm(train: bool, dtype: Any, **kwargs) -> Callable[[jax.Array], jax.Array]:
    """Batch norm, in training over all devices of a pmap, so that their count changes nothing.

    All of it is in float32, and its gradient is rounded to ``dtype`` once: Flax would round the
    parts that come of the statistics and of the rows before it adds them.
    """
    norm = nn.BatchNorm(
        use_running_average=not train,
        momentum=BATCH_NORM_MOMENTUM,
        axis_name=AXIS if train and is_pmapped() else None,
        use_fast_variance=False,  # E[x^2] - E[x]^2 would magnify rounding
        dtype=jnp.float32,
        **kwargs,
    )
    return lambda x: norm(x.astype(jnp.float32)).astype(dtype)


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """Max over non-overlapping 2x2 windows: [B, H, W, C] -> [B, ceil(H/2), ceil(W/2), C].

    The same as ``nn.max_pool`` with padding "SAME", whose gradient (select-and-scatter) is slow.
    """
    b, h, w, c = x.shape
    x = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), constant_values=-jnp.inf)
    return x.reshape(b, (h + 1) // 2, 2, (w + 1) // 2, 2, c).max((2, 4))


def max_pool_3x3(x: jax.Array, padding: str | tuple = "VALID") -> jax.Array:
    """Overlapping 3x3 max-pool of stride 2, as in the original AlexNet."""
    return nn.max_pool(x, (3, 3), (2, 2), padding)


def l2_normalize(x: jax.Array, epsilon: float = 1e-12) -> jax.Array:
    """Rows of unit length: [..., D] -> [..., D]. A zero row stays zero, with a finite gradient."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), epsilon))


def embedding_head(x: jax.Array, embedding_dim: int, dtype: Any) -> jax.Array:
    """Linear map, L2-normalised in float32: [B, F] -> float32 [B, embedding_dim]."""
    x = nn.Dense(embedding_dim, dtype=dtype, name="embedding")(x)
    return l2_normalize(x.astype(jnp.float32))


def arithmetic(encoder: Any, train: bool) -> dict[str, Any]:
    """How an encoder's ``conv`` and ``dense`` compute: factors are rounded in training alone."""
    return {
        "dtype": encoder.dtype,
        "platform": encoder.platform,
        "factors": encoder.factors if train else jnp.float32,
    }


def conv(*args: Any, platform: str, factors: Any = jnp.float32, **kwargs: Any) -> nn.Conv:
    """A convolution without a bias, since every one is followed by batch norm."""
    convolve = functools.partial(winograd.conv_general_dilated, platform=platform, factors=factors)
    return nn.Conv(*args, use_bias=False, conv_general_dilated_cls=lambda: convolve, **kwargs)


def dense(*args: Any, platform: str, factors: Any = jnp.float32, **kwargs: Any) -> nn.Dense:
    """A fully connected layer without a bias, since every one is followed by batch norm."""
    multiply = functools.partial(products.dot_general, platform=platform, factors=factors)
    return nn.Dense(*args, use_bias=False, dot_general_cls=lambda: multiply, **kwargs)
