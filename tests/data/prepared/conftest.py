"""Photographs in a folder, and what is prepared of them."""

import types

import numpy as np
import pytest

from pad_jax import config as configs
from pad_jax import data
from pad_jax.data.prepared import making
from tests.support.image_files import save

SHAPES = [(40, 30, 3), (32, 32, 3), (90, 200, 3), (20, 60), (12, 9, 3), (100, 97, 3), (8, 300, 3)]


def settings_of(root, **fields):
    config = configs.default(
        dataset__name="folder", dataset__root=str(root), dataset__test_split="val"
    )
    config.update_from_flattened_dict({f"dataset.{name}": v for name, v in fields.items()})
    return configs.read(config)


def prepare(root, output, **fields):
    settings = settings_of(root, **fields)
    return making.prepare(settings, data.sources(settings), output)


def load(root, **fields):
    return data.load(settings_of(root, **fields))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """train/{cat,dog} of several sizes and modes, one of them unreadable; and val/cat."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for i, shape in enumerate(SHAPES):
        save(root / f"train/{('cat', 'dog')[i % 2]}/{i}.png", rng.integers(0, 256, shape, np.uint8))
    (root / "train/dog/torn.jpg").write_bytes(b"\xff\xd8 no more")
    save(root / "val/cat/v.png", rng.integers(0, 256, (50, 60, 3), np.uint8))
    return root


@pytest.fixture(scope="session")
def made(photos, tmp_path_factory):
    """Folders of the photographs at 32 px, and at 64 px: with 8/7 of that stored."""
    output = tmp_path_factory.mktemp("prepared")
    small, large = (
        prepare(photos, output / str(size), image_size=size, channels=3) for size in (32, 64)
    )
    return types.SimpleNamespace(
        small=output / "32", small_index=small, large=output / "64", large_index=large
    )
