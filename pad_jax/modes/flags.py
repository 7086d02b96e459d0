"""Flags that several modes take; those of one mode alone are defined by its module."""

import pathlib

from absl import flags

from pad_jax.paths import local

IMAGES = flags.DEFINE_string(
    "images",
    None,
    "Folder of images, a list of them, or Parquet; by default the images of the run. With "
    "--features: a text file of the images' paths, one a line, or the folder that the paths in the "
    "file of features begin in.",
)
FEATURES = flags.DEFINE_string(
    "features",
    None,
    "File of features of your own, .npy, .npz or .parquet, in place of a run: nothing is trained.",
)
OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "File or folder to write to. embed and duplicates write into the run's folder without it, and "
    "label sorts into folders with it; sort, export, features and prepare need it.",
)
EPOCH = flags.DEFINE_integer(
    "epoch", None, "After which epoch the encoder is taken; by default the newest.", lower_bound=1
)
COUNT = flags.DEFINE_integer(
    "count",
    None,
    "How many are wanted; by default search finds 10, and label asks for 50.",
    lower_bound=1,
)

NAMES = ("images", "features", "output", "epoch", "count")


def path(flag: flags.FlagHolder) -> pathlib.Path | None:
    """The path that a flag names, ``~`` expanded; None where it is not given, or empty.

    Raises:
      InputError: for the address of a bucket.
    """
    return local(flag.value, f"--{flag.name}") if flag.value else None
