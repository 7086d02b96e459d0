"""A source whose images take their time: 600 of them, two milliseconds each."""

import time

import numpy as np

from pad_jax.data.arrays import ArraySource


class SlowImages(ArraySource):
    def __init__(self, settings, split):
        rng = np.random.default_rng(0)
        super().__init__(rng.integers(0, 256, (600, 4, 4, 1), np.uint8), np.arange(600), split)

    def __getitem__(self, i):
        time.sleep(0.002)
        return super().__getitem__(i)
