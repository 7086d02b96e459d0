"""--mode=features: writes a file with the features of images."""

import os

from absl import flags

from pad_jax import config as configs
from pad_jax.errors import InputError
from pad_jax.extractors import ExtractorSpec
from pad_jax.extractors.extraction import DTYPES, extract
from pad_jax.modes.base import Call, Mode

_EXTRACTOR = flags.DEFINE_string(
    "extractor", None, "What extracts them: timm:MODEL, or package.module:function."
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    "",
    "File with weights of the timm model, instead of a download; random: untrained, for tests.",
)
_VIEWS = flags.DEFINE_integer(
    "views", 0, "How many augmented views of each image are extracted, too.", lower_bound=0
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Side of the images that the extractor sees, px; by default the model's own, or 224.",
    lower_bound=1,
)
_DTYPE = flags.DEFINE_enum("dtype", "float16", DTYPES, "What the features are stored as.")

_FLAGS_FOR = {
    "dataset.name": "--images",
    "dataset.root": "--images",
    "dataset.image_size": "--image_size",
}


def _run(call: Call) -> str:
    # JAX would take most of a GPU's memory for itself, and leave the extractor's framework none.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    for name, value, hint in (
        ("images", call.images, "the folder of the images, or a list of them"),
        ("extractor", _EXTRACTOR.value, "one, such as timm:resnet50"),
        ("output", call.output, "the file to write, FILE.npz"),
    ):
        if not value:
            raise InputError(f"--{name} is missing; give {hint}")
    for field, name in _FLAGS_FOR.items():
        if field in call.overrides:
            raise InputError(f"--config.{field} has no meaning for --mode=features; give {name}")
    weights = _WEIGHTS.value
    if weights not in ("", "random"):  # whoever reads the file may be in another folder
        weights = os.path.abspath(os.path.expanduser(weights))
    count, width = extract(
        ExtractorSpec(_EXTRACTOR.value, weights, _IMAGE_SIZE.value),
        str(call.images),
        call.output,
        configs.read(call.config),
        views=_VIEWS.value,
        dtype=_DTYPE.value,
    )
    said = f"{count} x {width} features of {_EXTRACTOR.value}"
    if _VIEWS.value:
        said += f", and of {_VIEWS.value} augmented view{'s' * (_VIEWS.value > 1)} of each image"
    return f"Written: {call.output} ({said})"


MODE = Mode(
    _run, has_run=False, one_process=True, default_config="folder", takes=("images", "output")
)
