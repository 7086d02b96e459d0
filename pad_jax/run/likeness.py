"""How alike images are to an encoder: by a few of them, the same after every epoch."""

import numpy as np

from pad_jax.data.images import Images, ResidentImages, held

_COUNT = 256  # one batch of embedding, by default


def few(images: Images) -> ResidentImages:
    """Up to 256 of the images, held; which ones depends on nothing but their number."""
    return held(images, np.sort(np.random.default_rng(0).permutation(len(images))[:_COUNT]))
