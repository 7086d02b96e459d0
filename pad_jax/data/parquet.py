"""Features in a Parquet file."""

import pathlib
from typing import Any

import numpy as np

from pad_jax.errors import InputError, first_line


def read(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray | None, list[str] | None]:
    """The column of lists of floats, and the columns label(s) and path(s) where there are any.

    Returns:
      Features [N, D] of the column's own type; labels int64 [N], -1 where one is empty, or None;
      paths [N], "" where one is empty, or None.

    Raises:
      InputError: where there are no such columns, or the file is none of Parquet.
    """
    import pyarrow.parquet  # here, not at the top: most runs do without

    try:
        file = pyarrow.parquet.ParquetFile(path)
        features = _features(file)
        return features, _labels(file), _paths(file)
    except pyarrow.ArrowException as error:
        raise InputError(f"it cannot be read ({first_line(error)}); make it anew") from None


def _features(file: Any) -> np.ndarray:
    import pyarrow.types as kinds

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
            "there has to be one column of lists of floats, or one named features; there are: "
            + ", ".join(schema.names)
        )
    features, row = None, 0
    for batch in file.iter_batches(columns=[name]):
        column = batch.column(0)
        if column.null_count:
            raise InputError(f"rows of {name} are empty; leave them out")
        if not len(column):
            continue
        values = column.flatten().to_numpy(zero_copy_only=False)
        if features is None:  # of the type and length of the first rows
            features = np.empty((total, len(column[0])), values.dtype)
        lengths = column.value_lengths().to_numpy(zero_copy_only=False)
        if (lengths != features.shape[1]).any():
            raise InputError(f"rows of {name} are of several lengths; make them one")
        features[row : row + len(column)] = values.reshape(len(column), -1)
        row += len(column)
    return np.empty((0, 0), np.float32) if features is None else features


def _column(file: Any, word: str) -> Any:
    """The column of that name, or of its plural; None where there is neither."""
    names = [name for name in (word, f"{word}s") if name in file.schema_arrow.names]
    return file.read(names[:1]).column(0) if names else None


def _labels(file: Any) -> np.ndarray | None:
    import pyarrow
    import pyarrow.types as kinds

    column = _column(file, "label")
    if column is None:
        return None
    if not kinds.is_integer(column.type):
        raise InputError(f"labels are {column.type}; make them integers")
    return column.cast(pyarrow.int64()).fill_null(-1).to_numpy()


def _paths(file: Any) -> list[str] | None:
    import pyarrow.types as kinds

    def is_text(kind: Any) -> bool:
        return kinds.is_string(kind) or kinds.is_large_string(kind)

    column = _column(file, "path")
    if column is None:
        column = _column(file, "image")  # as --mode=embed writes it
        if column is None or not is_text(column.type):
            return None
    if not is_text(column.type):
        raise InputError(f"paths are {column.type}; make them text")
    return column.fill_null("").to_pylist()
