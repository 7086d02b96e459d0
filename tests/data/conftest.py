"""A folder of images."""

import numpy as np
import pytest

from tests.support.image_files import save


@pytest.fixture
def folder(tmp_path, rng):
    """train/{cat,dog} of several sizes and modes, val/cat."""
    root = tmp_path / "pets"
    for i, (name, shape) in enumerate(
        [("cat/b.png", (40, 30, 3)), ("cat/a.jpg", (32, 32, 3)), ("dog/c.PNG", (20, 60))]
    ):
        save(root / "train" / name, np.full(shape, 50 + i, np.uint8))
    save(root / "val/cat/z.png", rng.integers(0, 256, (8, 8), np.uint8))
    (root / "train/dog/notes.txt").write_text("not an image")
    return root
