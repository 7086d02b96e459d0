"""CSV files of images' names, which may be any bytes and hold line breaks."""

import csv
import io
import pathlib
import re
from typing import Any, NamedTuple

from pad_jax.errors import InputError

IMAGE = ("image", "path", "file", "filename", "file_name")  # names of the columns
LABEL = ("label", "class")
_SPLIT = ("split",)


class Table(NamedTuple):
    """What a file says of images.

    Attributes:
      images: paths or names, [N].
      labels: of each its class, "" where that is not known; None where there is no such column.
      splits: of each its split; None where there is no such column.
    """

    images: list[str]
    labels: list[str] | None = None
    splits: list[str] | None = None


def read(path: pathlib.Path, field: str) -> Table:
    """Reads a CSV file whose columns have names; or without names, an image and perhaps its label.

    Columns are called image, path, file, filename or file_name; label or class; and split. Commas,
    semicolons and tabs divide them.

    Args:
      path: the file.
      field: what a message names it by: "dataset.root=FILE".

    Raises:
      InputError: where it cannot be read, or has no such columns.
    """
    rows = [row for row in _rows(path, field) if any(row)]
    header = words(rows[0]) if rows else []
    image, label, split = (place(header, names) for names in (IMAGE, LABEL, _SPLIT))
    if image is not None:
        rows = rows[1:]
    elif label is not None or split is not None or len(header) > 2:
        raise InputError(
            f"{field} has the columns {', '.join(rows[0])}; call the one with the images' paths "
            "image, and the one with their classes label"
        )
    else:
        image, label = 0, 1 if len(header) == 2 else None
    width = max((column for column in (image, label, split) if column is not None), default=0)
    for number, row in enumerate(rows, 1):
        if len(row) <= width:
            raise InputError(f"{field}: row {number} has {len(row)} columns; make it {width + 1}")
        if width == image and any(row[len(header) :]):
            raise InputError(
                f"{field}: row {number} has {len(row)} columns, and the first line {len(header)}; "
                "put names with commas into quotation marks"
            )
    return Table(
        [row[image] for row in rows],
        None if label is None else [row[label].strip() for row in rows],
        None if split is None else [row[split] for row in rows],
    )


def images(path: pathlib.Path, field: str) -> list[str]:
    """The column of images, "" where a row has none: each stands for a row of something else."""
    header, *rows = _rows(path, field)
    column = place(words(header), IMAGE)
    return [row[column] if column is not None and column < len(row) else "" for row in rows]


def has_names(path: pathlib.Path, *, labels: bool = True) -> bool:
    """Whether a file's first line names a column of images and, if wanted, one of labels."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            first = file.readline(2**16)
        header = words(next(reader(first), []))
    except (OSError, csv.Error):
        return False
    has_labels = not labels or place(header, LABEL) is not None
    return place(header, IMAGE) is not None and has_labels


def read_text(path: pathlib.Path, field: str) -> str:
    """A text file as it is: line ends are kept, and bytes that are no UTF-8 stay what they are.

    Raises:
      InputError: where it cannot be read.
    """
    try:
        # Some editors begin a file with a mark.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            text = file.read()
    except OSError as error:
        raise InputError(f"{field} cannot be read ({error.strerror}); give another") from None
    if "\0" in text:
        raise InputError(f"{field} is no text; give a text or CSV file, in UTF-8")
    return text


def reader(text: str) -> Any:
    """A ``csv.reader`` of a table, whatever divides its columns."""
    return csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)


def _rows(path: pathlib.Path, field: str) -> list[list[str]]:
    try:
        return list(reader(read_text(path, field)))
    except csv.Error as error:
        raise InputError(f"{field} cannot be read ({error}); write it as CSV") from None


def _separator(text: str) -> str:
    """What divides the columns, by the first line with something in it.

    Where that is a heading, what divides the names we know; else what makes two columns, an image
    and its class, or the most. A tab goes before a comma, which names may have.
    """
    first = re.search(r"^.*\S.*$", text, re.MULTILINE)
    bare = re.sub(r'"[^"]*"', "", first[0]) if first else ""

    def rank(mark: str) -> tuple[bool, bool, int]:
        cells = bare.split(mark)
        return place(words(cells), IMAGE) is not None, len(cells) == 2, len(cells)

    return max(",\t;" if "\t" not in bare else "\t,;", key=rank)


def words(cells: list[str]) -> list[str]:
    """A heading's cells, to be compared with names of columns."""
    return [cell.strip().lower() for cell in cells]


def place(header: list[str], names: tuple[str, ...]) -> int | None:
    """Which column has one of these names; None for none."""
    return next((header.index(name) for name in names if name in header), None)
