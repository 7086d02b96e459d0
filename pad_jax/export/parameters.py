"""The parameters alone, as a file of safetensors."""

import dataclasses
import json
from typing import TYPE_CHECKING

import flax.traverse_util
import numpy as np
from safetensors.numpy import save

import pad_jax
from pad_jax.models import ModelSettings

if TYPE_CHECKING:
    from pad_jax.model import Model


def parameters(model: "Model") -> bytes:
    """The bytes of the file: see ``Model.export``."""
    arrays = flax.traverse_util.flatten_dict(model.variables, sep=".")
    for name, values in model.preparation.statistics().items():
        arrays[f"statistics.{name}"] = np.array(values, np.float32)
    shapes = {name: list(x.shape[1:]) for name, x in model.features.items()}
    metadata = {
        "format": "flax",
        "model": json.dumps(dataclasses.asdict(model.settings[ModelSettings])),
        "preparation": json.dumps(model.preparation.record()),
        "features": json.dumps(shapes),
        "version": pad_jax.__version__,
    }
    return save(arrays, metadata)
