"""Images in any of Pillow's modes as 8 bits a channel: L, LA, RGB or RGBA."""

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image

_Note = Callable[[str], None]

_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # of bytes


def in_8_bits(
    image: Image.Image, low_bytes: Callable[[], Image.Image] | None, note: _Note
) -> Image.Image:
    """A loaded image in mode L, LA, RGB or RGBA, with alpha where something may be transparent.

    Args:
      image: in any mode.
      low_bytes: reads it anew with its lower bytes in place of the upper ones (``swap_bytes``);
        None where the file has 8 bits a channel.
      note: called with what a user should know.

    Raises:
      ValueError: for numbers without a range.
    """
    transparent = image.info.get("transparency")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):  # Pillow's own conversion clips
        values = np.asarray(image)
        grey = Image.fromarray(_scaled(values, note))
        return grey if transparent is None else _with_alpha(grey, values != transparent)
    if image.mode == "1":
        grey = image.convert("L")
        if transparent is None:
            return grey
        return _with_alpha(grey, (np.asarray(grey) > 0) != bool(transparent))  # 1 or 255
    if image.mode in ("RGB", "RGBA") and low_bytes:
        image = _scaled_colour(image, low_bytes, note)
    if image.mode in ("LA", "RGBA") or (image.mode in ("L", "RGB") and transparent is None):
        return image
    if image.mode == "L":
        return image.convert("LA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def scale_key(image: Image.Image) -> None:
    """Brings the transparent value of an opened grey image of 2 or 4 bits to the range of 8.

    Pillow does so with its pixels alone.
    """
    key = image.info.get("transparency")
    for bits in (2, 4):
        is_of = any(tile.args == f"L;{bits}" for tile in getattr(image, "tile", ()))
        if is_of and isinstance(key, int) and key < 2**bits:
            image.info["transparency"] = key * 255 // (2**bits - 1)


def has_16_bits(image: Image.Image) -> bool:
    """Whether an opened image, not yet loaded, has 16 bits a channel in its file."""
    return any(";16" in str(tile.args) for tile in image.tile)


def swap_bytes(image: Image.Image) -> None:
    """Makes an opened image of 16 bits a channel load the lower 8 of them, not the upper 8."""

    def swapped(arg):
        is_deep = isinstance(arg, str) and ";16" in arg
        return arg[:-1] + _OTHER_ORDER[arg[-1]] if is_deep else arg

    image.tile = [
        tile._replace(
            args=tuple(map(swapped, tile.args))
            if isinstance(tile.args, tuple)
            else swapped(tile.args)
        )
        for tile in image.tile
    ]


def _scaled(values: np.ndarray, note: _Note) -> np.ndarray:
    """Grey of more than 8 bits in 8: of any type [H, W] -> uint8 [H, W].

    A camera of 12 bits writes files of 16, of which the upper 8 bits are nearly all 0. So values
    are taken to have the smallest even number of bits, from 8 on, that holds the largest of them,
    and the upper 8 of these are kept. That is a function of the file alone: a range of the whole
    data set is not known to who decodes one file later. And it is coarse on purpose: images of one
    camera nearly all get one factor and stay comparable. Stretching each from its least value to
    its largest would make noise of a dark image, and of two exposures one.

    Floating-point numbers from 0 to 1 are scaled by 255.

    Raises:
      ValueError: for values below 0, or not finite: where black and white are nobody knows.
    """
    least, most = values.min(), values.max()
    if not (least >= 0 and np.isfinite(most)):
        raise ValueError(
            f"its pixels reach from {least} to {most}, which says not what is black and what is "
            "white; save it with 8 or 16 bits"
        )
    if values.dtype.kind == "f" and most <= 1:
        note("Grey in numbers from 0 to 1, which become 0 to 255")
        return np.round(values * 255).astype(np.uint8)
    bits = _bits(int(most))
    note(f"More than 8 bits a pixel, of which values of {bits} bits become 0 to 255")
    if values.dtype.kind == "f":
        return (values / 2 ** (bits - 8)).astype(np.uint8)
    return (values >> (bits - 8)).astype(np.uint8)


def _scaled_colour(
    image: Image.Image, low_bytes: Callable[[], Image.Image], note: _Note
) -> Image.Image:
    """As ``_scaled``, for colour, of which Pillow reads the upper 8 of 16 bits."""
    upper, channels = np.asarray(image), len(image.getbands())
    most = int(upper[..., :3].max())
    lower = np.asarray(low_bytes()) if most < 64 else None  # else the upper 8 are the right ones
    if lower is None or lower.shape != upper.shape:  # grey with alpha has no other order of bytes
        note("16 bits a channel, of which the upper 8 are read")
        return image
    values = upper[..., :3].astype(np.uint16) << 8 | lower[..., :3]
    bits = _bits(int(values.max()))
    note(f"More than 8 bits a channel, of which values of {bits} bits become 0 to 255")
    colour = (values >> (bits - 8)).astype(np.uint8)
    if channels == 4:
        colour = np.concatenate([colour, upper[..., 3:]], axis=2)
    scaled = Image.fromarray(colour)
    if (transparent := image.info.get("transparency")) is not None:
        return _with_alpha(scaled, (values != transparent).any(2))
    return scaled


def _bits(most: int) -> int:
    """The smallest even number of bits, from 8 on, that holds a value."""
    return max(8, most.bit_length() + most.bit_length() % 2)


def _with_alpha(image: Image.Image, is_opaque: np.ndarray) -> Image.Image:
    alpha = Image.fromarray(is_opaque.astype(np.uint8) * 255)
    return Image.merge(f"{image.mode}A", (*image.split(), alpha))
