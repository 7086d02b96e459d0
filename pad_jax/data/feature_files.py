"""Files of features: ``.npy``, ``.npz`` and Parquet."""

import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pad_jax.errors import InputError, first_line


class FeatureFile(NamedTuple):
    """What a file of features holds.

    Attributes:
      features: float [N, D], or [V, N, D] with V views of each image, of the image as it is first;
        mapped into memory where the file allows that.
      labels: integers [N], -1 where the class is not known, or None.
      paths: of the images, [N], or None.
      extractor: what made them (see ``Standardization``), or None.
    """

    features: np.ndarray
    labels: np.ndarray | None = None
    paths: list[str] | None = None
    extractor: Mapping[str, Any] | None = None


SUFFIXES = (".npz", ".npy", ".parquet")
# What NumPy, zipfile and pyarrow raise for files that are not what they seem; pyarrow's own errors
# are ValueErrors and OSErrors.
_UNREADABLE = (
    AttributeError,
    EOFError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read(path: pathlib.Path) -> FeatureFile:
    """Reads a file of features.

    Raises:
      InputError: where the file is none, or is not as described in ``FeatureFile``.
    """
    readers = {".npy": _read_npy, ".npz": _read_npz, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise InputError(f"dataset.root={path} is no file of features; give {_some_of(SUFFIXES)}")
    try:
        found = readers[path.suffix](path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"dataset.root={path} does not exist; give a file of features") from None
    except _UNREADABLE as error:
        reason = first_line(error) or type(error).__name__
        raise InputError(f"dataset.root={path} cannot be read ({reason}); make it anew") from None
    return _checked(path, found)


def read_labels(path: pathlib.Path) -> np.ndarray:
    """Labels from a file of their own: integers of an ``.npy`` file, or a class a line of text.

    Classes of a text file are numbered by their names, or are the integers that it holds; an empty
    line is an unknown class.

    Raises:
      InputError: where the file cannot be read.
    """
    try:
        if path.suffix == ".npy":
            return np.load(path)
        lines = _lines(path)
    except (OSError, ValueError) as error:
        raise InputError(f"dataset.labels={path} cannot be read ({first_line(error)})") from None
    classes = sorted(set(lines) - {""})
    try:
        numbers = {name: int(name) for name in classes}
    except ValueError:
        numbers = {name: i for i, name in enumerate(classes)}
    return np.array([numbers.get(line, -1) for line in lines])


def read_paths(path: pathlib.Path) -> list[str]:
    """Paths from a text file, one a line.

    Raises:
      InputError: where the file cannot be read.
    """
    try:
        return _lines(path)
    except OSError as error:
        raise InputError(f"dataset.paths={path} cannot be read ({first_line(error)})") from None


def check_labels(field: str, found: FeatureFile) -> None:
    """Raises InputError, naming the field, where labels are not one integer for each row."""
    if found.labels is None:
        return
    labels = found.labels
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(f"{field}: it is {labels.dtype} {list(labels.shape)}; give integers [N]")
    _check_count(field, len(labels), found)


def check_paths(field: str, found: FeatureFile) -> None:
    """Raises InputError, naming the field, where paths are not one for each row."""
    if found.paths is not None:
        _check_count(field, len(found.paths), found)


def _check_count(field: str, count: int, found: FeatureFile) -> None:
    rows = found.features.shape[-2]
    if count != rows:
        raise InputError(f"{field}: there are {count}, for {rows} rows of features; give one a row")


def _lines(path: pathlib.Path) -> list[str]:
    # File names are bytes, of which not all are UTF-8.
    return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()


def _read_npy(path: pathlib.Path) -> FeatureFile:
    return FeatureFile(np.load(path, mmap_mode="r"))


def _read_npz(path: pathlib.Path) -> FeatureFile:
    with np.load(path) as arrays:
        if "features" not in arrays:
            raise InputError(f"{path}: there is no array features; there are: {', '.join(arrays)}")
        labels, paths = arrays.get("labels"), arrays.get("paths")
        extractor = json.loads(str(arrays["extractor"])) if "extractor" in arrays else None
    if paths is not None:
        paths = [os.fsdecode(p) for p in paths.tolist()]
    return FeatureFile(_mapped(path, "features.npy"), labels, paths, extractor)


def _mapped(path: pathlib.Path, name: str) -> np.ndarray:
    """An array of an .npz file, mapped into memory where it is not compressed."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name)
        with archive.open(info) as member:
            if info.compress_type != zipfile.ZIP_STORED:
                return np.lib.format.read_array(member)
            version = np.lib.format.read_magic(member)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, is_fortran, dtype = read_header(member)
            header = member.tell()
    with path.open("rb") as file:  # the entry's own header, of no fixed length, comes before it
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
    start = info.header_offset + 30 + int(lengths.sum()) + header
    return np.memmap(path, dtype, "r", start, shape, "F" if is_fortran else "C")


def _read_parquet(path: pathlib.Path) -> FeatureFile:
    """The column of lists of floats, and the columns label(s) and path(s) where there are any."""
    import pyarrow.parquet  # here, not at the top: most runs do without
    import pyarrow.types as kinds

    file = pyarrow.parquet.ParquetFile(path, memory_map=True)
    schema, total = file.schema_arrow, file.metadata.num_rows
    lists = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    columns = [
        c.name
        for c in schema
        if any(f(c.type) for f in lists) and kinds.is_floating(c.type.value_type)
    ]
    name = "features" if "features" in columns else next(iter(columns), None)
    if name is None or (len(columns) > 1 and name != "features"):
        raise InputError(
            f"{path}: there has to be one column of lists of floats, or one named features; "
            f"there are: {', '.join(schema.names)}"
        )
    features, row = None, 0
    for batch in file.iter_batches(columns=[name]):
        column = batch.column(0)
        size = len(column[0])
        if column.null_count or any(n != size for n in column.value_lengths().to_pylist()):
            raise InputError(f"{path}: rows of {name} are of several lengths; make them one")
        values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), size)
        if features is None:
            features = np.empty((total, size), values.dtype)
        if size != features.shape[1]:
            raise InputError(f"{path}: rows of {name} are of several lengths; make them one")
        features[row : row + len(values)] = values
        row += len(values)
    if features is None:
        features = np.empty((0, 0), np.float32)
    labels, paths = (
        next((file.read([c]).column(0) for c in (word, f"{word}s") if c in schema.names), None)
        for word in ("label", "path")
    )
    return FeatureFile(
        features,
        None if labels is None else labels.fill_null(-1).to_numpy(),
        None if paths is None else paths.to_pylist(),
    )


def _checked(path: pathlib.Path, found: FeatureFile) -> FeatureFile:
    features = found.features
    if features.dtype.kind != "f" or features.ndim not in (2, 3) or 0 in features.shape:
        raise InputError(
            f"{path}: features are {features.dtype} {list(features.shape)}; make them float16 or "
            "float32, [N, D] or, with V views of each image, [V, N, D]"
        )
    check_labels(f"{path}: labels", found)
    check_paths(f"{path}: paths", found)
    return found


def _some_of(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
