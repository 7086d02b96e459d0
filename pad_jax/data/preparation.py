"""What a sample goes through on the host; a run keeps it for the samples that it sees later."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from PIL import Image, ImageOps

from pad_jax.data.decoding import DEFAULT, Decoding, decode

PIXELS, FEATURES = "pixels", "features"  # kinds of samples
RESIZINGS = ("crop", "pad", "squash")


class Preparation(Protocol):
    """How samples, as a source or a user has them, become those that an augmentation takes.

    Attributes:
      kind: PIXELS or FEATURES.
      shape: of a prepared sample.
      dtype: of its numbers.
      extractor: what made features of images, where that is known.
    """

    kind: ClassVar[str]

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def extractor(self) -> Mapping[str, Any] | None: ...

    def new(self, samples: Iterable[np.ndarray]) -> np.ndarray:
        """A user's samples, prepared: [B, *shape]; raises ValueError for what they cannot be."""
        ...

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """Prepared samples as rows for an evaluator: [B, *shape] -> float32 [B, F]."""
        ...

    def record(self) -> dict[str, Any]:
        """What a run writes down of it, for JSON; ``recorded`` makes it anew."""
        ...

    def statistics(self) -> dict[str, list[float]]:
        """The long part of that, which has a file of its own; empty if there is none."""
        ...


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Images are resized and converted to one shape.

    Attributes:
      shape: (H, W, C).
      resize: one of ``RESIZINGS``, see ``fit``.
      decoding: how files become arrays; its background is also what "pad" fills up with.
      view_size: px, side of what the encoder sees, where that is less than the images': random
        crops in training, the middle elsewhere. None: it sees them whole.
    """

    kind: ClassVar[str] = PIXELS
    dtype: ClassVar[np.dtype] = np.dtype(np.uint8)
    extractor: ClassVar[None] = None

    shape: tuple[int, int, int]
    resize: str = "crop"
    decoding: Decoding = DEFAULT
    view_size: int | None = None

    def fit(self, image: np.ndarray) -> np.ndarray:
        """One image, uint8 [h, w, 1 or 3], in the shape of all."""
        return fit(image, self.shape, self.resize, self.decoding.background_rgb)

    def enlarges(self, image: np.ndarray) -> bool:
        """Whether an image has fewer pixels than it needs, and ``fit`` has to invent some."""
        smaller = [have < need for have, need in zip(image.shape[:2], self.shape[:2], strict=True)]
        return all(smaller) if self.resize == "pad" else any(smaller)

    def read(self, path: str | os.PathLike) -> np.ndarray:
        """The image of a file, decoded and prepared as those of the training: uint8 [H, W, C].

        Raises:
          UnreadableImage: where it cannot be decoded.
        """
        return self.fit(decode(path, self.decoding))

    def new(self, samples: Iterable[np.ndarray]) -> np.ndarray:
        refuse_one_image(samples)
        fitted = [self.fit(as_pixels(image)) for image in samples]
        return np.stack(fitted) if fitted else np.zeros((0, *self.shape), np.uint8)

    def rows(self, samples: np.ndarray) -> np.ndarray:
        return samples.reshape(len(samples), -1).astype(np.float32) / 255

    def record(self) -> dict[str, Any]:
        view = {} if self.view_size is None else {"view_size": self.view_size}
        return {
            "image_shape": list(self.shape),
            "resize": self.resize,
            "decoding": dataclasses.asdict(self.decoding),
        } | view

    def statistics(self) -> dict[str, list[float]]:
        return {}

    def __str__(self) -> str:
        height, width, channels = self.shape
        side = self.view_size
        seen = "" if side is None else f", {side} x {side} of them at a time"
        return f"{height} x {width} {'grey' if channels == 1 else 'colour'} pixels{seen}"


@dataclasses.dataclass(frozen=True, eq=False)
class Standardization:
    """Features are centred and scaled, each by the mean and deviation it has over a run's samples.

    Attributes:
      mean, deviation: float32 [D].
      num_views: V where a sample is V views of an image, float32 [V, D], the image as it is first;
        None where it is one vector, float32 [D].
      extractor: what made the features of images, where that is known.
    """

    kind: ClassVar[str] = FEATURES
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)

    mean: np.ndarray
    deviation: np.ndarray
    num_views: int | None = None
    extractor: Mapping[str, Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        size = len(self.mean)
        return (size,) if self.num_views is None else (self.num_views, size)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Of any float type, [..., D] -> float32 [..., D]."""
        standard = features - self.mean  # float32, for float16 features as well
        standard /= self.deviation
        return standard

    def new(self, samples: Iterable[np.ndarray]) -> np.ndarray:
        samples = samples if isinstance(samples, np.ndarray) else list(samples)
        if not len(samples):
            return np.zeros((0, *self.shape), np.float32)
        features = np.asarray(samples)
        size = len(self.mean)
        if features.dtype.kind != "f" or features.ndim != 2 or features.shape[1] != size:
            raise ValueError(
                f"features are {features.dtype} {list(features.shape)}; give float [B, {size}]"
            )
        with np.errstate(over="ignore"):
            standard = self(features.astype(np.float32))
        if not np.isfinite(standard).all():
            raise ValueError("features are not all finite; leave such rows out")
        if self.num_views is not None:
            standard = np.repeat(standard[:, None], self.num_views, axis=1)
        return standard

    def rows(self, samples: np.ndarray) -> np.ndarray:
        return samples if self.num_views is None else samples[:, 0]

    def record(self) -> dict[str, Any]:
        extractor = {} if self.extractor is None else {"extractor": dict(self.extractor)}
        return {"num_features": len(self.mean), "num_views": self.num_views} | extractor

    def statistics(self) -> dict[str, list[float]]:
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    def __str__(self) -> str:
        views = "" if self.num_views is None else f" in {self.num_views} views"
        return f"{len(self.mean):,} features{views}"


def recorded(record: Mapping[str, Any], statistics: Mapping[str, Any]) -> Preparation:
    """The preparation that a run has written down, by what ``record`` and ``statistics`` gave.

    Raises:
      KeyError, TypeError: where that is not complete.
    """
    if "image_shape" in record:
        return pixels_of(tuple(record["image_shape"]), record)
    mean, deviation = (np.array(statistics[name], np.float32) for name in ("mean", "deviation"))
    return Standardization(mean, deviation, record["num_views"], record.get("extractor"))


def pixels_of(shape: tuple[int, int, int], record: Mapping[str, Any]) -> Pixels:
    """How images were prepared, by what ``Pixels.record`` gave; those of old were cropped."""
    decoding = Decoding(**record.get("decoding", {}))
    return Pixels(shape, record.get("resize", "crop"), decoding, record.get("view_size"))


def fit(
    image: np.ndarray,
    shape: tuple[int, int, int],
    resize: str = "crop",
    background: tuple[int, ...] = DEFAULT.background_rgb,
) -> np.ndarray:
    """Resizes and converts one image, uint8 [h, w, 1 or 3], to ``shape``.

    Args:
      image: of any size.
      shape: (H, W, C).
      resize: what becomes of an image of other proportions. "crop" cuts its longer side at both
        ends, "pad" fills up the shorter one with ``background``, "squash" changes the proportions.
      background: RGB, 0 to 255.
    """
    if image.shape == shape:
        return image
    pixels = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    pixels = pixels.convert("L" if shape[2] == 1 else "RGB")
    size, how = (shape[1], shape[0]), Image.Resampling.BILINEAR
    if pixels.size == size:
        pass
    elif resize == "crop":
        pixels = ImageOps.fit(pixels, size, how)
    elif resize == "pad":
        inner = pixels.resize(_inner(pixels.size, size), how)
        pixels = Image.new("RGB", size, background).convert(pixels.mode)
        pixels.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    else:
        pixels = pixels.resize(size, how)
    return np.asarray(pixels).reshape(shape)


def _inner(size: tuple[int, int], most: tuple[int, int]) -> tuple[int, int]:
    """The largest size of an image's own proportions inside of another; no side is 0."""
    (width, height), (most_width, most_height) = size, most
    if width * most_height > height * most_width:
        return most_width, max(1, round(height / width * most_width))
    return max(1, round(width / height * most_height)), most_height


def refuse_one_image(images: Any, name: str = "images") -> None:
    """Raises ValueError for an array that is one image, where there should be several."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        return
    if images.ndim == 2 or (images.ndim == 3 and images.shape[-1] in (1, 3)):
        raise ValueError(f"{name} are {list(images.shape)}: of one image, give image[None]")


def as_pixels(image: np.ndarray) -> np.ndarray:
    """A user's image, uint8 [H, W] or [H, W, 1 or 3], as uint8 [H, W, 1 or 3].

    Raises:
      ValueError: for an array of another type or shape.
    """
    image = np.asarray(image)
    pixels = image[..., None] if image.ndim == 2 else image
    if (
        image.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[-1] not in (1, 3)
        or not pixels.size
    ):
        raise ValueError(
            f"an image is {image.dtype} {list(image.shape)}; give uint8 [H, W] or [H, W, 1 or 3]"
        )
    return pixels
