"""Winograd's minimal filtering for convolutions on CPUs (Lavin and Gray, CVPR 2016).

XLA's convolutions on a CPU run at about its matrix products' speed, so what is left is to multiply
less: a tile of 4x4 outputs of a 3x3 kernel takes 36 multiplications instead of 144, of a 5x5 kernel
64 instead of 400. Rounding grows 6 to 18 times, to a few 1e-6 of the result's norm. Accelerators'
libraries choose such algorithms themselves, so they are left alone.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import polynomial

from pad_jax.models import products

# Outputs along each side of a tile.
_TILE = 4

# Where the polynomials are evaluated, and at infinity; in this order the first five and the first
# seven round least (Barabasz et al., ACM TOMS 2020).
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0, 2.0, -0.5)

# Fewer channels than this don't repay the transformation of tiles (measured, 2 cores).
_MIN_CHANNELS = 96


def conv_general_dilated(
    x: jax.Array,
    kernel: jax.Array,
    strides: Any,
    padding: Any,
    *,
    platform: str,
    factors: Any = jnp.float32,
    **options: Any,
) -> jax.Array:
    """``jax.lax.conv_general_dilated`` with a faster way for large 3x3 and 5x5 kernels on a CPU.

    Args:
      x: [B, H, W, C].
      kernel: [R, R, C, O].
      strides, padding, **options: as Flax hands them over.
      platform: what the program is for; only on a CPU is there a faster way.
      factors: see ``convolve``.

    Returns:
      [B, H', W', O].
    """
    size, width, *channels = kernel.shape
    dilations = [options.get(name) or (1, 1) for name in ("lhs_dilation", "rhs_dilation")]
    plain = (
        size == width
        and size in (3, 5)
        and tuple(strides) == (1, 1)
        and tuple(map(tuple, padding)) == ((size // 2, size // 2),) * 2
        and all(tuple(dilation) == (1, 1) for dilation in dilations)
        and options.get("feature_group_count", 1) == 1
    )
    if platform == "cpu" and x.dtype == jnp.float32 and min(channels) >= _MIN_CHANNELS and plain:
        return convolve(x, kernel, factors)
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, **options)


def convolve(x: jax.Array, kernel: jax.Array, factors: Any = jnp.float32) -> jax.Array:
    """Convolution of stride 1 that keeps the size of the map: Y = A [(G g G') * (B x B')] A'.

    Its gradient is that of the formula, so both passes multiply less.

    Args:
      x: float32 [B, H, W, C].
      kernel: float32 [R, R, C, O], R = 3 or 5.
      factors: what the factors of its products are rounded to (``products.multiply``). bfloat16
        leaves an error of about 2 % (R = 3) or 5 % (R = 5) of the result's norm.

    Returns:
      float32 [B, H, W, O].
    """
    size, _, channels, width = kernel.shape
    batch, height, wide, _ = x.shape
    rows, columns = -(-height // _TILE), -(-wide // _TILE)
    to_outputs, from_kernel, from_tile = _matrices(_TILE, size)
    side = _TILE + size - 1

    tiles = _tiles(x, rows, columns, side, size // 2).reshape(side**2, -1)
    tiles = (from_tile @ tiles).reshape(side**2, -1, channels)
    kernel = (from_kernel @ kernel.reshape(size**2, -1)).reshape(side**2, channels, width)
    y = to_outputs @ products.multiply(tiles, kernel, factors).reshape(side**2, -1)
    y = y.reshape(_TILE, _TILE, batch, rows, columns, width).transpose(2, 3, 0, 4, 1, 5)
    return y.reshape(batch, rows * _TILE, columns * _TILE, width)[:, :height, :wide]


def _tiles(x: jax.Array, rows: int, columns: int, side: int, before: int) -> jax.Array:
    # Overlapping tiles, [side, side, B, rows, columns, C]: a tile is its own block of 4x4 pixels
    # and the first few of the next blocks. Two concatenations of blocks, since slices by pixels and
    # gathers (and their gradients) take several times as long.
    batch, height, wide, channels = x.shape
    ends = [(before, (n + 1) * _TILE - before - m) for n, m in ((rows, height), (columns, wide))]
    x = jnp.pad(x, ((0, 0), *ends, (0, 0)))
    x = x.reshape(batch, rows + 1, _TILE, columns + 1, _TILE, channels).transpose(2, 4, 0, 1, 3, 5)
    more = side - _TILE
    x = jnp.concatenate([x[:, :, :, :-1], x[:more, :, :, 1:]], axis=0)
    return jnp.concatenate([x[:, :, :, :, :-1], x[:, :more, :, :, 1:]], axis=1)


def _matrices(outputs: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Toom and Cook's A, G and B for both axes at once: [m^2, n^2], [n^2, r^2], [n^2, n^2].
    points = _POINTS[: outputs + size - 2]
    n = len(points) + 1
    others = [[b for b in points if b != a] for a in points]
    scale = np.array([np.prod(np.subtract(a, b)) for a, b in zip(points, others, strict=True)])
    a, g, b = np.zeros((outputs, n)), np.zeros((n, size)), np.zeros((n, n))
    a[:, :-1] = np.vander(points, outputs, increasing=True).T
    g[:-1] = np.vander(points, size, increasing=True) / scale[:, None]
    b[:-1, :-1] = [polynomial.polyfromroots(roots) for roots in others]
    a[-1, -1] = g[-1, -1] = 1  # the point at infinity
    b[-1] = polynomial.polyfromroots(points)
    return tuple(np.kron(m, m).astype(np.float32) for m in (a, g, b))
