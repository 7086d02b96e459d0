"""Where images come from: one protocol, what it yields, and the settings of a data set."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from PIL import ImageColor

from pad_jax.data.decoding import DEFAULT, LEAST_SIDE, Decoding
from pad_jax.data.decoding import UnreadableImage as UnreadableImage
from pad_jax.data.preparation import RESIZINGS
from pad_jax.errors import InputError
from pad_jax.settings import (
    NOTHING,
    RESULTS,
    Rule,
    any_text,
    at_least,
    more_than,
    one_of,
    refuse,
    setting,
    yes_or_no,
)

WHOLE = "."  # the split that is all that dataset.root holds


def _is_colour(text: str) -> bool:
    try:
        ImageColor.getrgb(text)
    except ValueError:
        return False
    return True


@dataclasses.dataclass(frozen=True)
class DatasetSettings:
    """Which images there are, and how they are prepared."""

    SECTION: ClassVar[str] = "dataset"

    name: str = setting(
        "digits",
        "digits, npz, folder, list, parquet, prepared, features, a name of TensorFlow Datasets, or "
        "package.module:Source",
        Rule(bool, "give the name of a data set"),
    )
    root: str = setting(
        "",
        "folder: the folder, or what list and parquet take; list, parquet, features: the file, or "
        "a folder with one for each split; npz: the file; TensorFlow Datasets: its data_dir; any "
        "name: a folder made by --mode=prepare",
        any_text(),
        affects=RESULTS,
    )
    labels: str = setting(
        "",
        "classes, for evaluation alone: '' as the images come with them; folder: by the folders "
        "that files lie in; none; or a CSV file with the columns image and label; features: or a "
        "file with one for each row, .npy or a class a line",
        any_text(),
        affects=RESULTS,
    )
    train_split: str = setting(
        "train",
        'several with a +: "train+test"; folder, list, parquet: . for all that dataset.root holds',
        Rule(bool, "give a split, such as train"),
    )
    test_split: str = setting(
        "test",
        "'' for none: kNN then classifies each training image by all others",
        any_text(),
        affects=RESULTS,
    )
    max_images: int | None = setting(
        None, "this many training images, chosen at random; None: all", at_least(1)
    )
    image_size: int | None = setting(
        None,
        "px; images are resized to squares; None: as they are, or by dataset.max_image_size",
        at_least(1),
    )
    max_image_size: int | None = setting(
        None,
        "px; where dataset.image_size is None it becomes this, or the images' own size where that "
        "is smaller; None: it does not",
        at_least(1),
        affects=NOTHING,
    )
    stored_size: int = setting(
        0,
        "px; --mode=prepare stores images with shorter sides of this, and a run takes its crops of "
        "image_size from images of this size; 0: 8/7 of image_size, and image_size itself below 64 "
        "or where resize is not crop",
        at_least(0),
    )
    resize: str = setting(
        "crop",
        "how an image becomes a square: crop cuts its longer side at both ends, pad fills up the "
        "shorter one with dataset.background, squash changes its proportions",
        one_of(*RESIZINGS),
    )
    channels: int | None = setting(
        None,
        "1 grey, 3 RGB; None: as the first image is",
        Rule(lambda v: v in (1, 3), "use 1 (grey), 3 (RGB)"),
    )
    background: str = setting(
        DEFAULT.background,
        "colour that transparent images are laid over, and that pad fills up with: a name, or "
        "'#rrggbb'",
        Rule(_is_colour, "give a colour by its name, such as white, or as '#rrggbb'"),
    )
    max_megapixels: float = setting(
        DEFAULT.max_megapixels,
        "million pixels; larger images of files are left out, they would fill the memory",
        more_than(0, 256.0),
        affects=NOTHING,
    )
    strict: bool = setting(
        False,
        "stop at an image that cannot be decoded, instead of skipping it",
        yes_or_no(),
        affects=NOTHING,
    )
    max_resident_gib: float = setting(
        4.0,
        "GiB; larger sets are streamed, not kept on the devices",
        at_least(0),
        affects=NOTHING,
    )

    @property
    def decoding(self) -> Decoding:
        """How the images of files become arrays."""
        least = None  # they have one size already, and keep it
        if self.image_size is not None:
            least = max(LEAST_SIDE, 2 * self.image_size, 2 * self.stored_size)
        return Decoding(self.background, self.max_megapixels, least)

    def check(self) -> None:
        """Refuses to hold out what is trained on; slices are compared once a source is open."""
        if 0 < self.stored_size < (self.image_size or 0):
            hint = f"dataset.image_size={self.image_size} is larger; give more, or 0"
            refuse("dataset.stored_size", self.stored_size, hint)
        if len(set(self.train_splits)) < len(self.train_splits):
            refuse("dataset.train_split", self.train_split, "it names a split twice")
        for split in self.test_splits:
            if any(_share_images(split, other) for other in self.train_splits):
                refuse_overlap(self)

    @property
    def train_splits(self) -> list[str]:
        """The splits of the training images."""
        return self.train_split.split("+")

    @property
    def test_splits(self) -> list[str]:
        """The splits of the test images; an empty list where there are none."""
        return self.test_split.split("+") if self.test_split else []


class Example(NamedTuple):
    """One sample and its class where it is known.

    The sample is an image, uint8 [H, W, 1 or 3], or its features, float [D], or those of V views of
    it, float [V, D], of the image as it is first.
    """

    image: np.ndarray
    label: int | None


class Source(Protocol):
    """Examples by index, in an order that is a function of the data set alone.

    It may have, besides: ``path``, a function of i, the file of image i, absolute, None where it
    has none; ``files``, those that hold what is in no file of its own, images or their labels;
    ``class_names``, of the labels 0, 1, ...; ``has_folders``, which is true where these
    are names of folders; and ``decoder``, which is asked what there is to say of the files once all
    are read. A source of features has ``kind = FEATURES``, and may have ``take(rows)``, the samples
    of many rows at once, int [B] -> [B, ...]; ``labels``, those of all rows, -1 where the class is
    not known; ``picture``, a function of i, the image of row i; and ``extractor``, what made the
    features (see ``Standardization``). One of a folder of prepared images has ``index``, what that
    holds; ``read(rows)``, the images of many rows at once, int [B] -> B of any shapes; and
    ``place``, a function of i, the file that image i was, also where it is gone.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Example:
        """Example i.

        Raises:
          UnreadableImage: where its image cannot be decoded.
          NotRead: where the system does not give it (``reading.patiently``).
        """
        ...

    def name(self, i: int) -> str:
        """What a user finds image i by: a path, or the split and its number in that."""
        ...

    def identity(self, i: int) -> bytes:
        """What tells image i from others, so that a run does not go on with other images.

        Its name where that is a file's, the pixels where it is a mere number.
        """
        ...

    def shares_images_with(self, other: "Source") -> bool:
        """Whether an image is in this split and in another one of the same data set."""
        ...


@contextlib.contextmanager
def called(name: str) -> Iterator[None]:
    """Around what opens images that are an argument, or a flag, and no setting: errors say so."""
    try:
        yield
    except InputError as error:
        text = str(error).replace("--config.dataset.root", "dataset.root")
        raise InputError(text.replace("dataset.root", name)) from None


def _share_images(one: str, other: str) -> bool:
    """Whether two splits must overlap; slices of one split, such as train[:80%], need not."""
    (name, _, part), (other_name, _, other_part) = one.partition("["), other.partition("[")
    return name == other_name and (one == other or not part or not other_part)


def refuse_overlap(settings: DatasetSettings) -> None:
    """Raises the InputError for test images that are training images."""
    refuse(
        "dataset.test_split",
        settings.test_split,
        f"its images are in dataset.train_split={settings.train_split!r}, kNN would find them; "
        "use another, or '' for none",
    )
