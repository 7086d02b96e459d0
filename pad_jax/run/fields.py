"""What the JSON files of a run hold: the kind of each field that is read."""

import pathlib
from collections.abc import Mapping
from typing import Any

from pad_jax import config as configs
from pad_jax.data.preparation import RESIZINGS
from pad_jax.errors import InputError
from pad_jax.run import files
from pad_jax.run.files import Kind, are_numbers, is_number, is_text, is_whole
from pad_jax.settings import declarations, flatten

_TEXT = Kind(is_text, "text")
_COUNT = Kind(lambda v: is_whole(v, 1), "a whole number from 1 on")
_RECORD = Kind(lambda v: isinstance(v, dict), "an object")
_NUMBERS = Kind(are_numbers, "a list of numbers", needed=True)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(is_whole(v, 0) for v in value)


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(is_whole(v, 1) for v in value)


def _is_decoding(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    kinds = {
        "background": is_text,
        "max_megapixels": is_number,
        "least_side": lambda v: v is None or is_whole(v, 1),
    }
    return value.keys() <= kinds.keys() and all(kinds[k](v) for k, v in value.items())


def _is_extractor(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and is_text(value.get("name"))
        and is_text(value.get("weights", ""))
        and (value.get("image_size") is None or is_whole(value["image_size"], 1))
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_text, value.values()))


# What every run ever has written, and no foreign file is likely to have.
CONFIG = {
    "num_epochs": _COUNT._replace(needed=True),
    "batch_size": _COUNT._replace(needed=True),
    "dataset": _RECORD._replace(needed=True),
    "model": _RECORD._replace(needed=True),
}
RUN = {
    "num_images": _COUNT._replace(needed=True),
    "fingerprint": _TEXT,
    "sizes": Kind(_are_sizes, "a list of sizes"),
    "images_sha256": _TEXT,
    "folder": _TEXT,
    "image_shape": Kind(_is_shape, "a shape [H, W, C]"),
    "resize": Kind(lambda v: v in RESIZINGS, f"one of: {', '.join(RESIZINGS)}"),
    "decoding": Kind(_is_decoding, "what images are decoded by"),
    "view_size": _COUNT,
    "num_features": _COUNT,
    "num_views": Kind(lambda v: v is None or is_whole(v, 1), "a whole number or null"),
    "extractor": Kind(_is_extractor, "the name of an extractor, with what it takes"),
    "python": _TEXT,
    "platform": _TEXT,
    "device_kind": _TEXT,
    "device_count": _COUNT,
    "packages": Kind(_is_texts, "versions by package"),
}
STATISTICS = {"mean": _NUMBERS, "deviation": _NUMBERS}


def check_config(path: pathlib.Path, recorded: Mapping[str, Any]) -> None:
    """Sees to it that a recorded config has sections where it should, and values that can be used.

    What it lacks, being older, has its default.

    Raises:
      InputError: naming the file and the field.
    """
    files.check(path, recorded, CONFIG)
    try:
        for declared in declarations(configs.parts(dict(flatten(recorded)))):
            section, _, field = declared.name.rpartition(".")
            fields = recorded.get(section, {}) if section else recorded
            # Either would be passed over, and the default taken for what was recorded.
            if not isinstance(fields, dict):
                raise files.damaged(path, f"{section} is no object")
            if isinstance(fields.get(field), dict):
                raise files.damaged(path, f"{declared.name} is an object")
        configs.read(recorded)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from None
