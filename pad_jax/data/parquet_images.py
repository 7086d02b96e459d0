"""Images in Parquet files, as Hugging Face's datasets export them."""

import collections
import hashlib
import json
import logging
import os
import pathlib
import threading
from typing import Any

import numpy as np

from pad_jax.data import classes, reading, tree
from pad_jax.data.decoding import Decoder, UnreadableImage
from pad_jax.data.source import WHOLE, DatasetSettings, Example
from pad_jax.errors import InputError, first_line
from pad_jax.paths import expanded
from pad_jax.settings import Settings

_log = logging.getLogger(__name__)

SUFFIX = ".parquet"
_IMAGE = ("image", "img", "picture", "photo")  # which column, of several
_LABEL = ("label", "labels", "class", "fine_label")
_NAMED = ("train", "test", "val", "valid", "validation", "dev", "eval")
_MOST_KEPT = 2**28  # bytes of files, not decoded, of the row groups read last


class ParquetSource:
    """Rows of Parquet files with a column of images, which are files themselves.

    The column is of bytes, or of structs with the fields bytes and path. Beside it there may be one
    of labels, integers or text. ``dataset.root`` is a file, whose one split is "train"; or a folder
    of files, of which those belong to a split that begin with its name, such as
    train-00000-of-00003.parquet, or lie in a folder of that name. Where none is of a split, all are
    of "train". The split "." is all there are.

    Images are read with the others of their row group, of which the last ones are kept.
    """

    def __init__(self, settings: Settings, split: str):
        import pyarrow  # here, not at the top: most runs do without

        dataset = settings[DatasetSettings]
        self.decoder = Decoder(dataset.decoding)
        is_file = expanded(dataset.root).is_file()  # of one split, whose images are called as ever
        self._prefix = ("train/" if is_file else "") if split == WHOLE else f"{split}/"
        self.files = _files_of(dataset.root, split)
        try:
            self._shards = [_Shard(path) for path in self.files]
            self._labels, self.class_names = _labels(self._shards)
            self._paths = [path for shard in self._shards for path in shard.paths()]
        except (pyarrow.ArrowException, OSError) as error:
            if reading.is_the_systems(error):
                raise
            raise InputError(
                f"dataset.root={dataset.root} cannot be read ({first_line(error)}); make it anew"
            ) from None
        if not self._paths:
            raise InputError(f"dataset.root={dataset.root}: there are no rows; give a file of some")
        # A path says more than a number, but not where it stands for several images.
        self._are_named = len(set(self._paths) - {None}) == len(self._paths)
        self._digests: dict[int, bytes] = {}
        sizes = [size for shard in self._shards for size in shard.group_sizes]
        self._first_rows = np.cumsum([0, *sizes])
        self._places = [
            (shard, group) for shard in self._shards for group in range(len(shard.group_sizes))
        ]
        self._kept: collections.OrderedDict[int, Any] = collections.OrderedDict()
        self._lock = threading.Lock()
        _log.info(
            "%s, %s: %s, in %d file%s",
            *(dataset.root, split, classes.counted(self._labels)),
            *(len(self.files), "s" * (len(self.files) != 1)),
        )

    @staticmethod
    def is_in(folder: pathlib.Path) -> bool:
        """Whether there are Parquet files below a folder."""
        return any(file.suffix.lower() == SUFFIX for file in tree.below(folder).files)

    @staticmethod
    def can_read(file: pathlib.Path) -> bool:
        """Whether a file is of Parquet and its schema says that it holds images.

        Bytes alone may be anything, such as hashes, unless their column is called as images are.
        """
        if file.suffix.lower() != SUFFIX:
            return False
        import pyarrow.parquet

        try:
            columns = _of_images(pyarrow.parquet.read_schema(file))
            known = any(name in columns for name in _IMAGE)
            return known or any(map(pyarrow.types.is_struct, columns.values()))
        except (pyarrow.ArrowException, OSError):
            return False

    def __len__(self) -> int:
        return len(self._labels)

    def name(self, i: int) -> str:
        return f"{self._prefix}{self._paths[i] if self._are_named else i}"

    def identity(self, i: int) -> bytes:
        """Its name, where that is a file's; else what tells the file from others."""
        if self._are_named:
            return os.fsencode(self.name(i))
        if i not in self._digests:  # else it was decoded
            self._digests[i] = hashlib.sha256(self._bytes(i)).digest()
        return self._digests[i]

    def shares_images_with(self, other: "ParquetSource") -> bool:
        return not set(self.files).isdisjoint(other.files)

    def __getitem__(self, i: int) -> Example:
        """Example i, its image uint8 [H, W, 1] if it is grey, else [H, W, 3]."""
        data = self._bytes(i)
        if not self._are_named:
            self._digests[i] = hashlib.sha256(data).digest()
        return Example(self.decoder(data, self.name(i)), self._labels[i])

    def _bytes(self, i: int) -> bytes:
        """The file that is in row i."""
        import pyarrow

        group = int(np.searchsorted(self._first_rows, i, side="right")) - 1
        try:
            data = self._group(group)[i - int(self._first_rows[group])].as_py()
        except (pyarrow.ArrowException, OSError) as error:  # of its bytes, not the system's
            raise UnreadableImage(f"{self.name(i)}: {first_line(error)}") from error
        if not data:
            raise UnreadableImage(f"{self.name(i)}: the row has no image")
        return data

    def _group(self, number: int) -> Any:
        """The files of a row group, as Arrow has them."""
        shard, group = self._places[number]
        with shard.lock:  # who waits for another to read the same finds it read
            with self._lock:
                if number in self._kept:
                    self._kept.move_to_end(number)
                    return self._kept[number]
            data = reading.patiently(lambda: shard.read(group), str(shard.path))
            with self._lock:
                self._kept[number] = data
                # Threads that read rows in order are in two groups at once.
                while (
                    len(self._kept) > 2 and sum(a.nbytes for a in self._kept.values()) > _MOST_KEPT
                ):
                    self._kept.popitem(last=False)
            return data


class _Shard:
    """One file.

    Attributes:
      image: the name of its column of images.
      label: that of its column of labels, or None.
      lock: to be held while it is read.
    """

    def __init__(self, path: pathlib.Path):
        import pyarrow.parquet

        # Not mapped: a file cut short under its reader would end the process without a word.
        self._file = reading.patiently(lambda: pyarrow.parquet.ParquetFile(path), str(path))
        self.path, self.schema = path, self._file.schema_arrow
        self.lock = threading.Lock()

        columns = _of_images(self.schema)
        known = [name for name in _IMAGE if name in columns] or list(columns)
        if len(known) != 1 and not (known and known[0] in _IMAGE):
            raise InputError(
                f"dataset.root={path}: there has to be one column of images, of bytes or of "
                "structs with bytes, or one named image; there are: "
                f"{', '.join(self.schema.names)}. If these are features, give --config=features"
            )
        self.image = known[0]
        self._is_struct = pyarrow.types.is_struct(columns[self.image])
        self.label = next((name for name in _LABEL if name in self.schema.names), None)
        metadata = self._file.metadata
        self.group_sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]

    def read(self, group: int) -> Any:
        """The files of a row group: an array of bytes."""
        column = f"{self.image}.bytes" if self._is_struct else self.image
        table = self._file.read_row_group(group, columns=[column], use_threads=False)
        data = table.column(0).combine_chunks()
        return data.field("bytes") if self._is_struct else data

    def labels(self) -> Any:
        """The column of labels."""
        return self._file.read(columns=[self.label]).column(0)

    def paths(self) -> list[str | None]:
        """Of each row its path; None where there is none."""
        kind = self.schema.field(self.image).type
        fields = [kind.field(i).name for i in range(kind.num_fields)] if self._is_struct else []
        if "path" not in fields:
            return [None] * sum(self.group_sizes)
        column = self._file.read(columns=[f"{self.image}.path"]).column(0).combine_chunks()
        return column.field("path").to_pylist()


def _of_images(schema: Any) -> dict[str, Any]:
    """The columns that may be of images, and their types: of bytes, or structs of some."""
    import pyarrow.types as kinds

    def is_bytes(kind: Any) -> bool:
        return kinds.is_binary(kind) or kinds.is_large_binary(kind)

    def has_bytes(kind: Any) -> bool:
        return kinds.is_struct(kind) and any(
            kind.field(i).name == "bytes" and is_bytes(kind.field(i).type)
            for i in range(kind.num_fields)
        )

    return {c.name: c.type for c in schema if is_bytes(c.type) or has_bytes(c.type)}


def _labels(shards: list[_Shard]) -> tuple[list[int | None], tuple[str, ...] | None]:
    """The labels of all rows, None where one is not known, and the names of the classes."""
    import pyarrow
    import pyarrow.types as kinds

    first = shards[0]
    if first.label is None:
        return [None] * sum(sum(shard.group_sizes) for shard in shards), None
    columns = []
    for shard in shards:
        if shard.label != first.label or not shard.schema.field(shard.label).type.equals(
            first.schema.field(first.label).type
        ):
            raise InputError(
                f"{shard.path} has other labels than {first.path}; make them one column everywhere"
            )
        columns.append(shard.labels())
    column = pyarrow.chunked_array([chunk for part in columns for chunk in part.chunks])
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if kinds.is_integer(column.type):
        labels = [None if k is None or k < 0 else k for k in column.to_pylist()]
        names = _class_names(first)
        most = max((k for k in labels if k is not None), default=-1)
        return labels, names if names and most < len(names) else None
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        texts = [text or "" for text in column.to_pylist()]
        numbers = classes.numbered(texts)
        return [numbers.get(text) for text in texts], tuple(numbers) or None
    raise InputError(
        f"{first.path}: the column {first.label} is {column.type}; make it integers or text"
    )


def _class_names(shard: _Shard) -> tuple[str, ...] | None:
    """The names that datasets writes down of a column of class labels."""
    try:
        described = json.loads(shard.schema.metadata[b"huggingface"])
        return tuple(map(str, described["info"]["features"][shard.label]["names"]))
    except (KeyError, RecursionError, TypeError, ValueError):
        return None


def _files_of(root: str, split: str) -> list[pathlib.Path]:
    """The files of a split, in the order of their paths."""
    if not root:
        raise InputError("dataset.root is not set; give the Parquet file with your images")
    path = expanded(root)
    if path.is_file():
        if split in ("train", WHOLE):
            return [path]
        raise InputError(
            f"dataset.root={root} is one split, train; for {split!r} give the folder with the "
            f"files of all splits, {split}.parquet among them"
        )
    files = [file for file in tree.below(path).files if file.suffix.lower() == SUFFIX]
    found = [f for f in files if split == WHOLE or _is_of(f.relative_to(path), split)]
    if found:
        return found
    if split == "train" and not any(_is_of(f.relative_to(path), s) for f in files for s in _NAMED):
        found = files
    if not found:
        names = ", ".join(str(file.relative_to(path)) for file in files[:5]) or "none"
        raise InputError(
            f"dataset.root={root} has no Parquet file of split {split!r}, such as "
            f"{split}-00000-of-00001.parquet; it has: {names}"
        )
    return found


def _is_of(file: pathlib.Path, split: str) -> bool:
    """Whether a file, relative to the root, is one of a split, by its name or its folder's."""
    split, stem = split.lower(), file.stem.lower()
    return (
        stem == split
        or stem.startswith((f"{split}-", f"{split}.", f"{split}_"))
        or split in [part.lower() for part in file.parts[:-1]]
    )
