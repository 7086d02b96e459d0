"""A trained encoder as a file that other programs read."""

import os
import pathlib
from typing import TYPE_CHECKING

from pad_jax import registry
from pad_jax.errors import InputError

if TYPE_CHECKING:
    from pad_jax.model import Model

# What makes the bytes of a file, by its ending: f(model) -> bytes.
FORMATS = {
    ".stablehlo": "pad_jax.export.stablehlo:program",
    ".safetensors": "pad_jax.export.parameters:parameters",
}


def write(model: "Model", path: str | os.PathLike) -> None:
    """Writes a file as a whole or not at all; one that exists is replaced. See ``Model.export``."""
    path = pathlib.Path(path).expanduser()
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: an encoder is exported to FILE{' or FILE'.join(FORMATS)}")
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise InputError(f"{path} cannot be written; give a file in a folder that exists")
    content = registry.find(FORMATS, path.suffix, "the ending")(model)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another") from None
