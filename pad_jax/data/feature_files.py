"""Files of features: ``.npy``, ``.npz`` and Parquet, and what stands beside them."""

import json
import os
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pad_jax.data import csv_files, parquet, reading
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


def read(path: pathlib.Path, name: str = "dataset.root") -> FeatureFile:
    """Reads a file of features.

    Args:
      path: the file.
      name: of the field or flag that says where it is, for errors.

    Raises:
      InputError: where the file is none, or is not as described in ``FeatureFile``.
    """
    field = f"{name}={path}"
    if path.suffix.lower() not in _READERS:
        raise InputError(f"{field} is no file of features; give .npz, .npy or .parquet")
    if not path.exists():
        raise InputError(f"{field} does not exist; give a file of features")
    found = _opened(field, _READERS[path.suffix.lower()], path)
    features = found.features
    if features.dtype.kind != "f" or features.ndim not in (2, 3) or 0 in features.shape:
        raise InputError(
            f"{field}: features are {features.dtype} {list(features.shape)}; make them float16 or "
            "float32, [N, D] or, with V views of each image, [V, N, D]"
        )
    check_labels(f"{field}: labels", found)
    check_paths(f"{field}: paths", found)
    return found


def read_labels(path: pathlib.Path) -> np.ndarray:
    """Labels from a file of their own: integers of an ``.npy`` file, or a class a line of text.

    Classes of a text file are numbered by their names, or are the integers that it holds; an empty
    line is an unknown class.

    Raises:
      InputError: where the file cannot be read.
    """
    field = f"dataset.labels={path}"
    if path.suffix.lower() == ".npy":
        return _opened(field, _mapped_npy, path)
    lines = _opened(field, _lines, path)
    classes = sorted(set(lines) - {""})
    try:
        numbers = {name: int(name) for name in classes}
    except ValueError:
        numbers = {name: i for i, name in enumerate(classes)}
    return np.array([numbers.get(line, -1) for line in lines])


def read_paths(path: pathlib.Path, name: str = "dataset.paths") -> list[str]:
    """Paths from a text file, one a line, or those of a CSV file with a column of images.

    ``name`` as in ``read``.

    Raises:
      InputError: where the file cannot be read.
    """
    if csv_files.has_names(path, labels=False):
        return csv_files.images(path, f"{name}={path}")
    return _opened(f"{name}={path}", _lines, path)


def check_labels(field: str, found: FeatureFile) -> None:
    """Raises InputError, naming the field, where labels are not one integer for each row."""
    if found.labels is None:
        return
    labels = found.labels
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.max(initial=0) >= 2**63:
        raise InputError(
            f"{field} are {labels.dtype} {list(labels.shape)}; make them integers [N], below 2^63"
        )
    _check_count(field, len(labels), found)


def check_paths(field: str, found: FeatureFile) -> None:
    """Raises InputError, naming the field, where paths are not one for each row."""
    if found.paths is not None:
        _check_count(field, len(found.paths), found)


def _check_count(field: str, count: int, found: FeatureFile) -> None:
    rows = found.features.shape[-2]
    if count != rows:
        raise InputError(f"{field}: there are {count}, for {rows} rows of features; give one a row")


def _opened(field: str, reader: Callable[[pathlib.Path], Any], path: pathlib.Path) -> Any:
    """What a reader finds in a file; an InputError that names the field if it finds nothing."""
    try:
        return reader(path)
    except InputError as error:
        raise InputError(f"{field}: {error}") from None
    except reading.NO_ARRAYS as error:
        if reading.is_the_systems(error):
            raise reading.NotRead(field, error) from None
        reason = first_line(error) or type(error).__name__
        raise InputError(f"{field} cannot be read ({reason}); make it anew") from None


def _lines(path: pathlib.Path) -> list[str]:
    # File names are bytes, of which not all are UTF-8; some editors begin a file with a mark.
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    if "\0" in text:
        raise ValueError("it is no text")
    return text.removesuffix("\n").split("\n")


def _mapped_npy(path: pathlib.Path) -> np.ndarray:
    return np.lib.format.open_memmap(path, mode="r")  # np.load would take other formats, too


def _read_npy(path: pathlib.Path) -> FeatureFile:
    return FeatureFile(_mapped_npy(path))


def _read_npz(path: pathlib.Path) -> FeatureFile:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no .npz")
    with np.load(path) as arrays:
        if "features" not in arrays:
            raise InputError(f"there is no array features; there are: {', '.join(arrays)}")
        labels, paths = arrays.get("labels"), arrays.get("paths")
        extractor = json.loads(str(arrays["extractor"])) if "extractor" in arrays else None
    if paths is not None:
        if paths.dtype.kind not in "SU":
            raise InputError(f"paths are {paths.dtype}; make them text")
        paths = [os.fsdecode(p) for p in paths.reshape(-1).tolist()]
    if extractor is not None and not (
        isinstance(extractor, dict) and isinstance(extractor.get("images", ""), str)
    ):
        raise InputError("extractor is no description of one; leave it out")
    return FeatureFile(_mapped_member(path, "features.npy"), labels, paths, extractor)


def _mapped_member(path: pathlib.Path, name: str) -> np.ndarray:
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
    return FeatureFile(*parquet.read(path))


_READERS = {".npz": _read_npz, ".npy": _read_npy, ".parquet": _read_parquet}
SUFFIXES = tuple(_READERS)
