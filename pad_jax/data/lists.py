"""A text or CSV file of images' paths, and of their classes and splits where it has them."""

import logging
import os
import pathlib

from pad_jax.data import classes, csv_files
from pad_jax.data.csv_files import Table
from pad_jax.data.decoding import Decoder
from pad_jax.data.source import WHOLE, DatasetSettings, Example
from pad_jax.errors import InputError
from pad_jax.paths import expanded
from pad_jax.settings import Settings

_log = logging.getLogger(__name__)

SUFFIXES = (".csv", ".tsv", ".txt")
_LOOKED_FOR = 100  # files, before it is said that they are not there


class ListSource:
    """The images that a file lists, in its order.

    ``dataset.root`` is the file: a path a line, or CSV (``csv_files.read``). Relative paths begin
    in the file's folder. Its one split is "train", or those that its column "split" names, and "."
    is all of it; or it is a folder of lists with the names of splits: train.csv, test.csv.
    """

    def __init__(self, settings: Settings, split: str):
        dataset = settings[DatasetSettings]
        self.decoder = Decoder(dataset.decoding)
        file = _file_of(dataset.root, split)
        field = f"dataset.root={file}"
        table = read(file, field)
        if expanded(dataset.root).is_file():
            table = _of_split(table, split, field)
        if not table.images:
            raise InputError(f"{field} lists no images; give a path a line")
        numbers = classes.numbered(table.labels or ())
        self.class_names = tuple(numbers) or None
        self._names = table.images
        self._labels = [numbers.get(name) for name in table.labels or [""] * len(self._names)]
        self.files, self._base = [file], file.absolute().parent
        _log.info("%s, %s: %s%s", file, split, classes.counted(self._labels), self._repeated())
        first = range(min(_LOOKED_FOR, len(self)))
        if not any(self.path(i).exists() for i in first):
            raise InputError(
                f"{field}: {self._names[0]!r} is not there, nor are others; relative paths begin "
                f"in {self._base}"
            )

    def _repeated(self) -> str:
        repeated = len(self._names) - len(set(self._names))
        return f"; {repeated} of them listed before" if repeated else ""

    def __len__(self) -> int:
        return len(self._names)

    def name(self, i: int) -> str:
        return self._names[i]

    def path(self, i: int) -> pathlib.Path:
        return self._base / os.path.expanduser(self._names[i])

    def identity(self, i: int) -> bytes:
        return os.fsencode(self.name(i))

    def shares_images_with(self, other: "ListSource") -> bool:
        own, others = (
            {os.path.normpath(source.path(i)) for i in range(len(source))}
            for source in (self, other)
        )
        return not own.isdisjoint(others)

    def __getitem__(self, i: int) -> Example:
        """Example i, its image uint8 [H, W, 1] if it is grey, else [H, W, 3]."""
        path = self.path(i)
        return Example(self.decoder(path, str(path)), self._labels[i])


def read(path: pathlib.Path, field: str) -> Table:
    """A list of images: of a ``.txt`` file a path a line, and after a tab its class; else CSV.

    Raises:
      InputError: where it cannot be read.
    """
    if path.suffix.lower() != ".txt":
        return csv_files.read(path, field)
    lines = csv_files.read_text(path, field).split("\n")
    cells = [line.removesuffix("\r").split("\t") for line in lines if line.strip()]
    labels = [line[1].strip() if len(line) > 1 else "" for line in cells]
    return Table([line[0] for line in cells], labels if any(labels) else None)


def _file_of(root: str, split: str) -> pathlib.Path:
    if not root:
        raise InputError("dataset.root is not set; give the list of your images")
    path = expanded(root)
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"dataset.root={root} does not exist; give a text or CSV file of paths")
    found = [
        file
        for file in path.iterdir()
        if file.suffix.lower() in SUFFIXES and file.stem.lower() == split.lower()
    ]
    if len(found) != 1:
        raise InputError(
            f"dataset.root={root} has {len(found) or 'no'} lists of split {split!r}; give it "
            f"{split}.csv or {split}.txt"
        )
    return found[0]


def _of_split(table: Table, split: str, field: str) -> Table:
    """The rows of a split, of a file that is the whole data set."""
    if split == WHOLE:
        return table
    if table.splits is None:
        if split == "train":
            return table
        raise InputError(
            f"{field} is one split, train; for {split!r} give it a column split, or give a folder "
            f"with {split}.csv and train.csv"
        )
    rows = [i for i, own in enumerate(table.splits) if own.strip().lower() == split.lower()]
    if not rows:
        found = ", ".join(sorted({own.strip() for own in table.splits}))
        raise InputError(f"{field} has no split {split!r}; it has: {found}")
    return Table([table.images[i] for i in rows], table.labels and [table.labels[i] for i in rows])
