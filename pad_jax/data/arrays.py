"""Sources that hold whole arrays: scikit-learn's digits, and .npz files."""

import hashlib

import numpy as np

from pad_jax.data import reading
from pad_jax.data.source import DatasetSettings, Example
from pad_jax.errors import InputError
from pad_jax.paths import expanded
from pad_jax.settings import Settings, refuse


class ArraySource:
    """Images and labels held as arrays.

    Args:
      images: uint8 [N, H, W] or [N, H, W, C] with C 1 or 3.
      labels: integers [N], or None.
      split: what they are of the data set.
      name: what errors call the images.

    Raises:
      InputError: for images of another type or shape.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None,
        split: str = "train",
        name: str = "dataset: the array of images",
    ):
        images = np.asarray(images)
        if images.ndim == 3:
            images = images[..., None]
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
            raise InputError(
                f"{name} is {images.dtype} {list(images.shape)}; "
                "make it uint8 [N, H, W] or [N, H, W, C] with C 1 or 3"
            )
        self._images, self._labels, self._split = images, labels, split

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> Example:
        return Example(self._images[i], None if self._labels is None else int(self._labels[i]))

    def name(self, i: int) -> str:
        return f"{self._split}/{i}"

    def identity(self, i: int) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(self._images[i])).digest()

    def shares_images_with(self, other: "ArraySource") -> bool:
        return False  # splits of two names are two arrays


def digits(settings: Settings, split: str) -> ArraySource:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels: 1,437 for "train", 360 for "test"."""
    root = settings[DatasetSettings].root
    if root:
        refuse("dataset.root", root, "digits have no files; set dataset.name, such as folder")
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.round(data.images * (255 / 16)).astype(np.uint8)[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    rows = {"train": order[:1437], "test": order[1437:]}
    if split not in rows:
        raise InputError(f"dataset: digits has no split {split!r}; use train, test or train+test")
    return ArraySource(images[rows[split]], data.target[rows[split]], split)


def npz(settings: Settings, split: str) -> ArraySource:
    """An ``.npz`` file in the convention of Keras: x_train, y_train, x_test, y_test.

    ``x_*`` is uint8 [N, H, W] or [N, H, W, C]; ``y_*``, integers [N] or [N, 1], may be absent.
    """
    path = settings[DatasetSettings].root
    try:
        with np.load(expanded(path)) as arrays:
            names, images, labels = list(arrays), arrays.get(f"x_{split}"), arrays.get(f"y_{split}")
    except FileNotFoundError:
        raise InputError(f"dataset.root={path!r} does not exist; give an .npz file") from None
    except reading.NO_ARRAYS as error:
        if reading.is_the_systems(error):
            raise
        raise InputError(
            f"dataset.root={path!r} cannot be read as an .npz file of numbers; "
            "make it with numpy.savez"
        ) from None
    if images is None:
        raise InputError(f"{path}: there is no x_{split}; the arrays are: {', '.join(names)}")
    if labels is not None:
        labels = labels.reshape(-1)
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(
                f"{path}: y_{split} is {labels.dtype} {list(labels.shape)}; "
                f"make it integers [{len(images)}]"
            )
    return ArraySource(images, labels, split, f"{path}: x_{split}")
