"""Files of labels: names by hand or by ``browse``, labels of all images, what is to be named."""

import collections
import csv
import logging
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pad_jax import outputs
from pad_jax.collection import Collection
from pad_jax.data import csv_files
from pad_jax.errors import InputError, first_line
from pad_jax.labelling.naming import ToName
from pad_jax.labelling.spreading import Spread

_log = logging.getLogger(__name__)

_ORDER = "order"
LABELLED = ("image", "label", "confidence")
TO_NAME = (_ORDER, "group", "image")
_LONGEST = 200  # bytes of a folder's name; systems take 255


class Names(NamedTuple):
    """What a file of labels says of a collection.

    Attributes:
      rows: int64 [N], the name of each image as its place in ``names``, -1 for none.
      names: in alphabetical order.
      order: int64 [N], equal for images that the file's column ``order`` says were named together,
        -1 where there is none.
    """

    rows: np.ndarray
    names: list[str]
    order: np.ndarray


class _Line(NamedTuple):
    number: int
    image: str
    label: str
    order: str


def read(path: pathlib.Path, collection: Collection) -> Names:
    """Reads a file of labels: a table, comma-separated, with the columns ``image`` and ``label``.

    These may have the other names that ``csv_files.read`` knows. A file of two columns needs no
    heading. Semicolons and tabs separate as well; other columns do not matter, except for ``order``
    of ``to_name.csv``. An image is given as the collection names it, or by its path, seen from here
    or from the file's folder. Lines without a label, and images that the collection has not, are
    left out, and the log says so.

    Args:
      path: the file.
      collection: N images.

    Raises:
      InputError: where the file cannot be read, names no image of the collection, or gives an image
        two labels.
    """
    field = f"--labels={path}"
    lines = _lines(path, field)
    rows = _rows_of([line.image for line in lines], collection, path.parent)
    if not lines[0].number and not rows[0]:
        _log.warning("%s: the first line names no image here, and is taken for a heading", path)
        lines, rows = lines[1:], rows[1:]
    empty = [line for line in lines if not line.label]
    if empty:
        _log.warning(
            "%s: lines without a label, left out: %d (the first is line %d)",
            path,
            len(empty),
            empty[0].number or 1,
        )
    known = [(line, own) for line, own in zip(lines, rows, strict=True) if line.label and own]
    unknown = [line for line, own in zip(lines, rows, strict=True) if line.label and not own]
    if not known:
        example = f", such as {shown(unknown[0].image)}" if unknown else ""
        raise InputError(
            f"{field} names none of the {len(collection):,} images{example}; write a line "
            f"image,label for some, with images as in {shown(collection.names[0])}"
        )
    if unknown:
        _log.warning(
            "%s: images that are not among the %d here, left out: %d (the first is %s, line %d)",
            path,
            len(collection),
            len(unknown),
            shown(unknown[0].image),
            unknown[0].number or 1,
        )
    return _of_lines(known, len(collection), field)


def _of_lines(known: list[tuple[_Line, list[int]]], count: int, field: str) -> Names:
    names = sorted({line.label for line, _ in known})
    alike = collections.defaultdict(list)
    for name in names:
        alike[" ".join(name.casefold().split())].append(shown(name))
    for several in (own for own in alike.values() if len(own) > 1):
        _log.warning("%s: %s are taken for different names", field, " and ".join(several))
    number = {name: i for i, name in enumerate(names)}
    orders = {order: i for i, order in enumerate(sorted({line.order for line, _ in known} - {""}))}
    result = Names(np.full(count, -1, np.int64), names, np.full(count, -1, np.int64))
    by_row: dict[int, _Line] = {}
    for line, own in known:
        for row in own:
            before = by_row.setdefault(row, line)
            if before.label != line.label:
                raise InputError(
                    f"{field}: {shown(line.image)} is {shown(before.label)} in line "
                    f"{before.number or 1} and {shown(line.label)} in line {line.number}; keep one"
                )
            result.rows[row] = number[line.label]
            result.order[row] = orders.get(line.order, -1)
    return result


def _lines(path: pathlib.Path, field: str) -> list[_Line]:
    """The lines of a table; number 0 for the first, where that is no heading of ours."""
    text = csv_files.read_text(path, field)
    try:
        reader = csv_files.reader(text)
        cells = [(reader.line_num, line) for line in reader if any(line)]
    except csv.Error as error:
        raise InputError(f"{field} is no table ({first_line(error)}); give a .csv file") from None
    if not cells:
        raise InputError(f"{field} is empty; write a line image,label for some images")
    heading = csv_files.words(cells[0][1])
    kinds = (csv_files.IMAGE, csv_files.LABEL, (_ORDER,))
    places = [csv_files.place(heading, names) for names in kinds]
    image, label, _ = places
    if image is not None and label is not None:
        if len(cells) == 1:
            raise InputError(f"{field} has a heading only; write a line for some images")
        return [_line(number, line, places) for number, line in cells[1:]]
    if image is not None or len(heading) < 2:
        raise InputError(f"{field} has no column label beside image; name its columns image,label")
    if label is not None or len(heading) > 2:
        raise InputError(
            f"{field} has the columns {', '.join(map(shown, heading))}; call the one with the "
            "images' names image, and the one with their labels label"
        )
    (_, head), *rest = cells
    places = [0, 1, None]
    return [_line(0, head, places), *(_line(number, line, places) for number, line in rest)]


def _line(number: int, cells: list[str], places: Sequence[int | None]) -> _Line:
    """Image, label and order by their places; "" for what a line does not have."""
    found = [cells[i] if i is not None and i < len(cells) else "" for i in places]
    return _Line(number, found[0], found[1].strip(), found[2].strip())


def _rows_of(
    images: Sequence[str], collection: Collection, folder: pathlib.Path
) -> list[list[int]]:
    """The rows that each name or path stands for."""
    by_name = _places(collection.names)
    stripped = _places([name.strip() for name in collection.names])
    by_file = _places([os.path.basename(name) for name in collection.names])

    def rows(image: str) -> list[int]:
        for place, name in ((by_name, image), (stripped, image.strip())):
            if name in place:
                return place[name]
        real = {os.path.realpath(image), os.path.realpath(folder / image)}
        found = ((row, collection.path(row)) for row in by_file.get(os.path.basename(image), ()))
        return [row for row, path in found if path and os.path.realpath(path) in real]

    return [rows(image) for image in images]


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    """Where each name stands."""
    places: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        places.setdefault(name, []).append(row)
    return places


def write_labelled(
    path: pathlib.Path, collection: Collection, spread: Spread, names: Sequence[str]
) -> None:
    """Writes image, label and confidence of every image, in the collection's order.

    Raises:
      InputError: where it cannot be written, or another file stands there.
    """
    columns = zip(collection.names, spread.labels.tolist(), spread.confidence.tolist(), strict=True)
    rows = ((image, names[label], f"{confidence:.4f}") for image, label, confidence in columns)
    outputs.write_csv(path, LABELLED, rows)


def write_to_name(
    path: pathlib.Path, collection: Collection, chosen: Sequence[ToName], groups: np.ndarray
) -> None:
    """Writes what to name: order (from 1), group (empty for none), image.

    Lines of one order are to have one name. With a column ``label`` added it can be read.

    Raises:
      InputError: where it cannot be written, or another file stands there.
    """
    rows = (
        (order, "" if groups[row] < 0 else int(groups[row]), collection.names[row])
        for order, one in enumerate(chosen, 1)
        for row in one.rows.tolist()
    )
    outputs.write_csv(path, TO_NAME, rows)


def folder_names(names: Sequence[str]) -> list[str]:
    """A folder for each name: of what may stand in the name of one, and no two alike."""
    taken: set[str] = set()
    result = []
    for name in names:
        folder = "".join("-" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name)
        folder = folder.strip(". ")
        if folder.startswith("-"):  # else commands would take it for a flag
            folder = "_" + folder[1:]
        folder = folder.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ") or "unnamed"
        number, own = 1, folder
        while own.casefold() in taken:  # also where A and a are one
            number += 1
            own = f"{folder}-{number}"
        taken.add(own.casefold())
        result.append(own)
    return result


def shown(text: str) -> str:
    """A name on one line, in quotation marks, whatever its bytes are."""
    return repr(os.fsencode(text).decode("utf-8", "backslashreplace"))
