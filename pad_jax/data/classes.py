"""Which class each image is in: as its source says, its folder, a file of the user's, or none."""

import logging
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pad_jax.data import csv_files
from pad_jax.data.preparation import FEATURES
from pad_jax.data.source import Source
from pad_jax.errors import InputError
from pad_jax.paths import expanded
from pad_jax.settings import refuse

_log = logging.getLogger(__name__)

FOLDER, NONE = "folder", "none"
_FEWEST = 4  # images a class, on average, that a class should have
_DATE = re.compile(r"(19|20)\d\d[-_. ]?[01]\d([-_. ]?[0-3]\d)?(\D|$)")


class Classes(NamedTuple):
    """Classes that are not, or not only, the sources' own.

    Attributes:
      names: of the labels 0, 1, ...; None where there are none.
      label: of an image, by source, row and the source's own label; None where it is not known.
    """

    names: tuple[str, ...] | None
    label: Callable[[Source, int, int | None], int | None]


def chosen(labels: str, sources: Sequence[Source]) -> Classes | None:
    """The classes that ``dataset.labels`` asks for; None for the sources' own as they are.

    Args:
      labels: "", "folder", "none" or a file.
      sources: of all splits, so that a label means the same in each.

    Raises:
      InputError: where the images have no folders, or the file does not speak of them.
    """
    if labels == NONE:
        return Classes(None, lambda source, row, label: None)
    if labels == FOLDER:
        return _of_folders(sources)
    if not labels:
        return _joined(sources)
    path = expanded(labels)
    if csv_files.has_names(path):
        return _of_file(path, f"dataset.labels={labels}", sources)
    if all(getattr(source, "kind", None) == FEATURES for source in sources):
        return _joined(sources)  # they have read it, a label a row
    return refuse(
        "dataset.labels",
        labels,
        "give folder, none, or a CSV file with the columns image and label",
    )


def are_folders(labels: str, sources: Sequence[Source]) -> bool:
    """Whether the classes that ``chosen`` gives are the names of folders."""
    return labels == FOLDER or (not labels and _have_folders(sources))


def numbered(names: Iterable[str]) -> dict[str, int]:
    """The label of each class, by its name; "" is no class."""
    return {name: i for i, name in enumerate(sorted(set(names) - {""}))}


def counted(labels: Sequence[int | None]) -> str:
    """How many images and classes there are, in words."""
    classes, without = len(set(labels) - {None}), labels.count(None)
    text = f"{len(labels)} images, {classes or 'no'} class{'es' * (classes != 1)}"
    return f"{text} ({without} in none)" if classes and without else text


def warn_of_many(labels: np.ndarray, names: tuple[str, ...] | None) -> None:
    """Warns of classes that may be none: dates, albums, a folder for each image.

    Args:
      labels: int [N], -1 where the class is not known.
      names: of the classes, where they have some.
    """
    found, known = np.unique(labels[labels >= 0]), int((labels >= 0).sum())
    own = [names[i] for i in found.tolist()] if names else []
    dates = sum(bool(_DATE.match(name)) for name in own)
    if len(found) > 10 and (known < _FEWEST * len(found) or 2 * dates > len(found)):
        _log.warning(
            "There are %d classes%s for %d images, and figures are measured by them. If they are "
            "no classes, but dates or albums, give --config.dataset.labels=none.",
            *(len(found), f", such as {own[0]}," if own else "", known),
        )


def _joined(sources: Sequence[Source]) -> Classes | None:
    """The sources' own classes, with one number for each name where theirs differ."""
    known = {own for source in sources if (own := getattr(source, "class_names", None))}
    if len(known) < 2:
        return None
    numbers = numbered(name for own in known for name in own)

    def label(source: Source, row: int, own: int | None) -> int | None:
        names = getattr(source, "class_names", None)
        return own if own is None or not names else numbers[names[own]]

    return Classes(tuple(numbers), label)


def _have_folders(sources: Sequence[Source]) -> bool:
    """Whether the sources' own classes are the names of folders."""
    return all(getattr(source, "has_folders", False) for source in sources)


def _of_folders(sources: Sequence[Source]) -> Classes | None:
    """Classes by the names of the folders that files lie in."""
    if _have_folders(sources):
        return _joined(sources)

    def file(source: Source, row: int) -> pathlib.Path | None:
        # The files of prepared images, or of features, may be gone: where they were is known still.
        find = getattr(source, "place", None) or getattr(source, "path", lambda row: None)
        return find(row)

    if any(all(file(source, row) is None for row in range(len(source))) for source in sources):
        refuse("dataset.labels", FOLDER, "the images' files are not known; give '' or none")

    def name(source: Source, row: int) -> str:
        path = file(source, row)
        return "" if path is None else path.parent.name

    numbers = numbered(name(source, row) for source in sources for row in range(len(source)))
    return Classes(tuple(numbers), lambda source, row, _: numbers.get(name(source, row)))


def _of_file(path: pathlib.Path, field: str, sources: Sequence[Source]) -> Classes:
    """Classes by the names of images, as groups.csv has them."""
    table = csv_files.read(path, field)
    assert table.labels is not None  # it has the column
    numbers = numbered(table.labels)
    of_image = dict(zip(table.images, map(numbers.get, table.labels), strict=True))
    names = [source.name(row) for source in sources for row in range(len(source))]
    known = sum(of_image.get(name) is not None for name in names)
    if not known:
        raise InputError(
            f"{field} names none of the images; they are called as {names[0]!r}, and the file has "
            f"{next(iter(of_image), 'none')!r}"
        )
    _log.info("%s: labels of %d of %d images.", path, known, len(names))
    return Classes(tuple(numbers), lambda source, row, _: of_image.get(source.name(row)))
