"""Exact copies among images, noticed while they are read."""

import hashlib
import logging

import numpy as np

_log = logging.getLogger(__name__)


def digest(image: np.ndarray) -> bytes:
    """Tells an image from others by its pixels: uint8 [H, W, C] -> 16 bytes."""
    shape = np.array(image.shape, np.int64)
    return hashlib.blake2b(shape.tobytes() + image.tobytes(), digest_size=16).digest()


def tell(digests: list[bytes]) -> None:
    """Says in the log how many images are copies of others, pixel by pixel."""
    copies = len(digests) - len(set(digests))
    if copies:
        _log.info(
            "%d of %d images have the very same pixels as an earlier one, as they are read; "
            "--mode=duplicates lists them.",
            copies,
            len(digests),
        )
