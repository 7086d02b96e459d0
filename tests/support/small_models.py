"""Models as they are initialised, in place of trained ones."""

import pathlib

import jax
import numpy as np

import pad_jax
from pad_jax import config as configs
from pad_jax import models
from pad_jax.data import augmentation
from pad_jax.data.preparation import Pixels, Preparation


def untrained(
    preparation: Preparation | None = None, encoder: str = "tiny", **overrides
) -> pad_jax.Model:
    """A model, by default of images of 16 x 16 px in colour, with batch statistics of its own."""
    preparation = preparation or Pixels((16, 16, 3))
    config = configs.default(model__name=encoder, **overrides)
    settings = configs.read(config)
    module = models.create(settings)
    shape = augmentation.input_shape(augmentation.create(settings), preparation)
    variables = jax.jit(module.init)(jax.random.key(0), np.zeros((1, *shape), np.float32))
    rng = np.random.default_rng(0)
    variables = {name: jax.tree.map(np.asarray, tree) for name, tree in variables.items()}
    if "batch_stats" in variables:
        variables["batch_stats"] = jax.tree.map(
            lambda x: x + rng.uniform(0, 0.3, x.shape).astype(np.float32), variables["batch_stats"]
        )
    return pad_jax.Model(settings, module, variables, preparation, 0, pathlib.Path("nowhere"))
