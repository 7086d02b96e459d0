"""A small extractor, and images for it."""

import numpy as np

from pad_jax.data.augmentation import CropSettings
from pad_jax.extractors import ExtractorSpec
from pad_jax.settings import Settings
from tests.support.image_files import save

SIZE = 16
BATCH = 4
QUICK = Settings(CropSettings(jitter=(0.0, 0.0, 0.0, 0.0)))  # views that are quick to compile


def grid(images):
    """An extractor: mean colours of 4 x 4 parts, each with a weight of its own."""
    b, s, _, c = images.shape
    parts = images.reshape(b, 4, s // 4, 4, s // 4, c).mean((2, 4), dtype=np.float64)
    return parts.reshape(b, -1) * np.linspace(0.5, 1.5, 16 * c)


def grid_or_stop(images):
    """The same; tests have it stop."""
    return grid(images)


SPEC = ExtractorSpec(f"{__name__}:grid", image_size=SIZE)
STOPPABLE = ExtractorSpec(f"{__name__}:grid_or_stop", image_size=SIZE)


def make_images(root):
    """18 images in two classes and in none, two of which cannot be decoded, one of another size."""
    rng = np.random.default_rng(3)
    for name in [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(8)] + ["e.png", "f.png"]:
        save(root / name, rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8))
    save(root / "dog/3.png", rng.integers(0, 256, (20, 40), np.uint8))
    for name in ("cat/2.png", "dog/7.png"):
        (root / name).write_bytes((root / name).read_bytes()[:60])
    return root
