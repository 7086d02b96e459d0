"""What an extractor is: images in, features out, by a network that was trained elsewhere."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pad_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class ExtractorSpec:
    """What makes an extractor anew; a file of features has it as JSON.

    Attributes:
      name: ``timm:MODEL``, or ``package.module:function``.
      weights: timm only: a file with weights, "" for those that timm downloads, or "random":
        untrained, for tests.
      image_size: px, the side of the square images it is given; None for its own.
    """

    name: str
    weights: str = ""
    image_size: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Its fields by name, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ExtractorSpec":
        """The spec that ``as_dict`` gave; other keys are passed over."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})


class Extractor:
    """A function of images, whose features are looked at before they are used.

    Args:
      name: what the user calls it.
      function: uint8 [B, S, S, 3] -> numbers [B, D].
      image_size: S, px.
    """

    def __init__(self, name: str, function: Callable[[np.ndarray], Any], image_size: int):
        self._name, self._function = name, function
        self.image_size = image_size
        self._width: int | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features of images: uint8 [B, S, S, 3] -> float32 [B, D], all finite.

        Raises:
          InputError: where the function returns anything else, or what it needs is missing.
        """
        # A copy: the function may write into its images, and torch warns of those it cannot.
        try:
            returned = self._function(np.array(images))
        except ImportError as error:  # of a function that imports what it needs when it is called
            raise InputError(
                f"--extractor={self._name} cannot run here ({error}); install what it needs, or "
                "give features in place of images"
            ) from error
        try:
            features = np.asarray(returned)
        except (RuntimeError, TypeError, ValueError):  # of torch or JAX, or rows of several lengths
            raise self._refusal(f"{type(returned).__name__}, which is no array", images) from None
        fits = features.ndim == 2 and len(features) == len(images) and features.shape[1] > 0
        if not fits or features.dtype.kind in "cmMOSU":
            raise self._refusal(f"{features.dtype} {list(features.shape)}", images)
        with np.errstate(over="ignore"):
            features = features.astype(np.float32)
        if not np.isfinite(features).all():
            raise self._refusal("nan or infinity", images)
        width = features.shape[1]
        if width != (self._width or width):
            raise self._refusal(f"features of {width} numbers, after some of {self._width}", images)
        self._width = width
        return features

    def _refusal(self, what: str, images: np.ndarray) -> InputError:
        return InputError(
            f"--extractor={self._name} returned {what}; change it to return finite numbers "
            f"[{len(images)}, D] for images uint8 {list(images.shape)}"
        )
