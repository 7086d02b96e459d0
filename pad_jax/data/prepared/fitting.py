"""What becomes of an image when it is stored, and in which size a run takes stored images."""

import numpy as np

from pad_jax.data.preparation import Pixels, fit
from pad_jax.data.prepared.index import Index, Made
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.settings import refuse

_LONGEST = 4  # times the shorter side: a longer image is cut at both ends


def stored(image: np.ndarray, made: Made) -> np.ndarray:
    """An image as it is stored: uint8 [h, w, 1 or 3] -> uint8 [h', w', 1 or 3].

    Where it is stored in the size that it was asked for, it is the square that a run would make of
    it. Where it is stored larger, nothing of it is cut that a crop may want: the shorter side gets
    ``made.stored_size`` px, or stays as it is where it is smaller. It is enlarged only as far as
    ``made.image_size`` needs it. Padded and squashed images are squares at any size.
    """
    channels = made.channels or image.shape[2]
    if made.image_size is None or made.stored_size is None:
        return fit(image, (*image.shape[:2], channels))
    sides = image.shape[:2]
    side = max(sides) if made.resize == "pad" else min(sides)
    side = min(made.stored_size, max(side, made.image_size))
    if made.resize == "crop" and made.stored_size > made.image_size:
        return _oblong(image, side, channels)
    background = made.decoding.background_rgb
    return fit(image, (side, side, channels), made.resize, background)


def _oblong(image: np.ndarray, side: int, channels: int) -> np.ndarray:
    """An image of its own proportions whose shorter side has ``side`` px.

    The longer side has an even number of pixels more, so that its middle is one of whole pixels.
    """
    height, width = image.shape[:2]
    shorter = min(height, width)
    longest = _LONGEST * shorter
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    image = image[top : top + longest, left : left + longest]
    longer = round(max(image.shape[:2]) * side / shorter)
    longer -= (longer - side) % 2
    size = (side, longer) if height <= width else (longer, side)
    if shorter == side:  # nothing but a line is cut
        return fit(image[: size[0], : size[1]], (*size, channels))
    return fit(image, (*size, channels), "squash")


def preparation(settings: DatasetSettings, index: Index, channels: int) -> Pixels:
    """What stored images go through on their way to a run.

    Args:
      settings: of the run.
      index: of the folder.
      channels: of the first image, which hold where the settings have none.

    Raises:
      InputError: where the images are stored too small, or otherwise than the run wants them.
    """
    made, size, channels = index.made, settings.image_size, settings.channels or channels
    prepared = f"{settings.root} was prepared with"
    for field, value, own in (
        ("resize", settings.resize, made.resize),
        ("background", settings.background, made.decoding.background),
    ):
        if value != own:
            refuse(f"dataset.{field}", value, f"{prepared} {own}; give that, or prepare it anew")
    if made.channels == 1 and channels != 1:
        refuse("dataset.channels", channels, f"{prepared} 1; give that, or prepare it anew")
    if size is None:
        if index.size is None:
            raise InputError("dataset: images are of several sizes; set dataset.image_size")
        return Pixels((*index.size, channels), made.resize, made.decoding)
    most = made.stored_size or size
    wanted = settings.stored_size or (
        most if size == made.image_size else default_stored_size(size, made.resize)
    )
    for field, value in (("image_size", size), ("stored_size", wanted)):
        if value > most and getattr(settings, field):
            hint = f"{prepared} dataset.stored_size={most}; give at most that, or prepare it anew"
            refuse(f"dataset.{field}", value, hint)
    side = max(size, min(wanted, most, index.side))
    view = size if side > size else None
    return Pixels((side, side, channels), made.resize, made.decoding, view)


def default_stored_size(image_size: int, resize: str) -> int:
    """8/7 of the size, as 256 for 224; of small images, and of those not cut, the size itself.

    Small ones are no photographs but symbols and thumbnails, of which a border is a part. So it is
    of what is padded or squashed, lest something be cut.
    """
    is_cut = image_size >= 64 and resize == "crop"
    return -(-image_size * 8 // 7) if is_cut else image_size
