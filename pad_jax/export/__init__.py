"""A trained encoder as a file that other programs read."""

import os
from typing import TYPE_CHECKING

from pad_jax import outputs, registry
from pad_jax.errors import InputError
from pad_jax.paths import expanded

if TYPE_CHECKING:
    from pad_jax.model import Model

# What makes the bytes of a file, by its ending: f(model) -> bytes.
FORMATS = {
    ".stablehlo": "pad_jax.export.stablehlo:program",
    ".safetensors": "pad_jax.export.parameters:parameters",
}


def write(model: "Model", path: str | os.PathLike) -> None:
    """Writes a file as a whole or not at all; one that exists is replaced. See ``Model.export``."""
    path = expanded(path)
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: an encoder is exported to FILE{' or FILE'.join(FORMATS)}")
    content = registry.find(FORMATS, path.suffix, "the ending")(model)
    with outputs.whole(path) as part:
        part.write_bytes(content)
