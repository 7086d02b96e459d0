"""Features of images by networks that were trained elsewhere, for a run to learn from."""

from pad_jax import registry
from pad_jax.errors import InputError
from pad_jax.extractors.base import Extractor, ExtractorSpec

# What makes extractors of models, by what stands before the colon of --extractor:
# f(model, spec) -> a function uint8 [B, S, S, 3] -> [B, D], with S as its ``image_size``.
EXTRACTORS = {"timm": "pad_jax.extractors.timm_model:timm_model"}

_IMAGE_SIZE = 224  # px, of a user's own function


def create(spec: ExtractorSpec) -> Extractor:
    """The extractor that a spec describes: uint8 [B, S, S, 3] -> float32 [B, D].

    Raises:
      InputError: where its name stands for nothing, or it cannot be made.
    """
    kind, _, model = spec.name.partition(":")
    if kind in EXTRACTORS:
        if not model:
            raise InputError(f"--extractor={spec.name} names no model; give {kind}:MODEL")
        made = registry.find(EXTRACTORS, kind, "--extractor")(model, spec)
        return Extractor(spec.name, made, made.image_size)
    if not registry.is_location(spec.name):
        raise InputError(
            f"--extractor={spec.name!r} cannot be used; give timm:MODEL, such as timm:resnet50, or "
            "package.module:function"
        )
    if spec.weights:
        raise InputError(
            f"--weights={spec.weights} is for timm:MODEL; --extractor={spec.name} has to load its "
            "own, so leave --weights out"
        )
    function = registry.find({}, spec.name, "--extractor")
    if not callable(function):
        raise InputError(
            f"--extractor={spec.name} is a {type(function).__name__}; give a function of images"
        )
    return Extractor(spec.name, function, spec.image_size or _IMAGE_SIZE)
