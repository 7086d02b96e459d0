"""A source whose images are mere numbers, as those of TensorFlow Datasets are; all of one shade."""

import numpy as np

from pad_jax.data.source import DatasetSettings, Example


class NumberedImages:
    """Twelve images, each of the shade that ``dataset.root`` is, with labels of NumPy."""

    def __init__(self, settings, split):
        self._shade, self._split = int(settings[DatasetSettings].root), split

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return Example(np.full((8, 8, 1), self._shade, np.uint8), np.int64(i % 3))

    def name(self, i):
        return f"{self._split}/{i}"

    def identity(self, i):
        return self.name(i).encode()

    def shares_images_with(self, other):
        return False
