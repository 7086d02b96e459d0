"""Products with the weights of fully connected layers and of Winograd convolutions on CPUs.

XLA's products on a CPU are four times slower where the second factor, such as [4096, 4096], is read
by rows that the product sums over, as the gradient of a layer's input does. Transposing it first
costs a tenth of that. Accelerators' libraries read both ways, so they are left alone.

Where the factors are rounded to bfloat16 neither holds, and a processor that multiplies bfloat16
takes half the time. The gradient of the weights gains nothing by that, and stays float32.
"""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# Smaller kernels of fully connected layers are not rounded: they take hardly a part of a step.
_MIN_WIDTH = 1024


@functools.cache
def cpu_multiplies_bfloat16() -> bool:
    """Whether this machine's CPU has instructions for it; where not, XLA would emulate them."""
    try:
        return "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:  # not on Linux
        return False


def dot_general(
    x: jax.Array,
    kernel: jax.Array,
    dimension_numbers: Any,
    *,
    platform: str,
    factors: Any = jnp.float32,
    **options: Any,
) -> jax.Array:
    """``jax.lax.dot_general`` with a faster gradient of a layer's input on a CPU.

    Args:
      x: [B, F].
      kernel: [F, O].
      dimension_numbers, **options: as Flax hands them over.
      platform: what the program is for; only on a CPU is there a faster way.
      factors: see ``multiply``; of large kernels.

    Returns:
      [B, O].
    """
    if platform == "cpu" and x.ndim == 2:
        return multiply(x, kernel, factors if min(kernel.shape) >= _MIN_WIDTH else jnp.float32)
    return lax.dot_general(x, kernel, dimension_numbers, **options)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def multiply(x: jax.Array, kernel: jax.Array, factors: Any = jnp.float32) -> jax.Array:
    """The product of [..., B, F] and [..., F, O]: [..., B, O].

    Args:
      x: float32.
      kernel: float32.
      factors: what both are rounded to, and those of the gradient of x; sums are float32.
    """
    return _product("...bf,...fo->...bo", x, kernel, factors)


def _forward(
    x: jax.Array, kernel: jax.Array, factors: Any
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return multiply(x, kernel, factors), (x, kernel)


def _backward(
    factors: Any, kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    if factors == jnp.float32:
        # The barrier keeps XLA from making one product of both again.
        dx = gradient @ lax.optimization_barrier(kernel.mT)
    else:
        dx = _product("...bo,...fo->...bf", gradient, kernel, factors)
    return dx, x.mT @ gradient


def _product(subscripts: str, x: jax.Array, y: jax.Array, factors: Any) -> jax.Array:
    x, y = x.astype(factors), y.astype(factors)
    return jnp.einsum(subscripts, x, y, preferred_element_type=jnp.float32)


multiply.defvjp(_forward, _backward)
