"""Some samples of one or several sources, by their number."""

import contextlib
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pad_jax.data.classes import Classes
from pad_jax.data.decoding import Decoder
from pad_jax.data.preparation import PIXELS
from pad_jax.data.reading import Withheld
from pad_jax.data.source import Example, Source

_LOOKED_AT = 64  # files: a network is asked for each


def evenly(count: int, most: int) -> np.ndarray:
    """Some of ``count`` rows, spread evenly, the first and the last too: int64 [up to ``most``]."""
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))


class Selection:
    """Some samples of several sources of one kind, one source after the other.

    Args:
      sources: any number of sources.
      max_images: how many to choose at random, in the order they have; None for all. The choice is
        the same in every run.
      classes: those of the samples; None for what their sources say.

    Attributes:
      sources: those given.
      kind: of the samples, PIXELS or FEATURES.
      is_whole: whether all samples are chosen.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        max_images: int | None = None,
        classes: Classes | None = None,
    ):
        self.sources, self._classes = sources, classes
        sizes = [len(source) for source in sources]
        number = np.repeat(np.arange(len(sources)), sizes)
        row = np.concatenate([np.arange(size) for size in sizes])
        self.is_whole = max_images is None or max_images >= len(row)
        if not self.is_whole:
            chosen = np.random.default_rng(0).choice(len(row), max_images, replace=False)
            number, row = (x[np.sort(chosen)] for x in (number, row))
        self._number, self._row = number, row
        self.kind = getattr(sources[0], "kind", PIXELS)

    def __len__(self) -> int:
        return len(self._row)

    def _find(self, i: int) -> tuple[Source, int]:
        return self.sources[self._number[i]], int(self._row[i])

    def __getitem__(self, i: int) -> Example:
        source, row = self._find(i)
        if self._classes is None:
            return source[row]
        image, label = source[row]
        return Example(image, self._classes.label(source, row, label))

    def name(self, i: int) -> str:
        source, row = self._find(i)
        return source.name(row)

    def identity(self, i: int) -> bytes:
        source, row = self._find(i)
        return source.identity(row)

    def fingerprint(self, rows: Iterable[int]) -> str:
        """Tells these samples, in this order, from others."""
        digest = hashlib.sha256()
        for identity in map(self.identity, rows):
            digest.update(len(identity).to_bytes(8, "big") + identity)
        return digest.hexdigest()

    def sizes(self, rows: np.ndarray) -> list[int]:
        """The sizes of some files of these samples, int [M], in bytes.

        They tell others of the same names. Of none where one that is looked at is not at hand.
        """
        sizes: list[int] = []
        for i in evenly(len(rows), _LOOKED_AT).tolist():
            file = self.path(int(rows[i]))
            if file is None or not file.is_file():
                return []
            sizes.append(file.stat().st_size)
        return sizes

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Of the labels 0, 1, ...; None where nobody knows, or the sources differ."""
        if self._classes is not None:
            return self._classes.names
        known = {getattr(source, "class_names", None) for source in self.sources}
        return known.pop() if len(known) == 1 else None

    @property
    def files(self) -> list[pathlib.Path]:
        """Those of the sources that hold what is in no file of its own, each once."""
        found = [file for source in self.sources for file in getattr(source, "files", ())]
        return list(dict.fromkeys(found))

    @property
    def decoders(self) -> list[Decoder]:
        """Those of the sources that decode files, each once."""
        found = [source.decoder for source in self.sources if hasattr(source, "decoder")]
        return list(dict.fromkeys(found))

    @contextlib.contextmanager
    def counting_withheld(self) -> Iterator[None]:
        """Where a block ends at a file that is withheld, says for how many others it holds."""
        try:
            yield
        except Withheld as error:
            raise error.among(map(self.path, range(len(self)))) from None

    def read(self, rows: np.ndarray) -> list[np.ndarray]:
        """The images of some rows, int [B], of sources that have ``read``; of any shapes."""
        images: list[np.ndarray] = [None] * len(rows)  # type: ignore[list-item]
        number = self._number[rows]
        for i in np.unique(number):
            at = np.flatnonzero(number == i)
            own = self.sources[i].read(self._row[rows[at]])
            for k, image in zip(at.tolist(), own, strict=True):
                images[k] = image
        return images

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The samples of some rows, of one shape: int [B] -> [B, ...]."""
        parts, number = [], self._number[rows]
        for i in np.unique(number):
            source, own = self.sources[i], self._row[rows[number == i]]
            many = getattr(source, "take", None)
            parts.append(many(own) if many else np.stack([source[j].image for j in own.tolist()]))
        if len(parts) == 1:
            return parts[0]
        taken = np.concatenate(parts)
        taken[np.argsort(number, kind="stable")] = taken.copy()
        return taken

    @property
    def labels(self) -> np.ndarray:
        """Of every row, int64 [N], -1 where the class is not known."""
        labels = np.empty(len(self), np.int64)
        for i, source in enumerate(self.sources):
            own = self._number == i
            rows, known = self._row[own], getattr(source, "labels", None)
            if known is None:
                each = (source[row].label for row in rows.tolist())
                labels[own] = [-1 if label is None else label for label in each]
            else:
                labels[own] = np.asarray(known)[rows]
            if self._classes is not None:
                label = self._classes.label
                pairs = zip(rows.tolist(), labels[own].tolist(), strict=True)
                each = (label(source, row, None if k < 0 else k) for row, k in pairs)
                labels[own] = [-1 if k is None else k for k in each]
        return labels

    @property
    def picture(self) -> Callable[[int], np.ndarray | None]:
        """A function of i, the image that row i is the features of, None if it is not at hand.

        It does not hold the features.
        """
        return self._by_row("picture")

    @property
    def path(self) -> Callable[[int], pathlib.Path | None]:
        """A function of i, the file of image i, absolute; None where it has none.

        It does not hold features either.
        """
        return self._by_row("path")

    def _by_row(self, name: str) -> Callable[[int], Any]:
        """A function of i by what sources have of that name; None from those that do not."""
        own = [getattr(source, name, None) for source in self.sources]
        number, row = self._number, self._row

        def find(i: int) -> Any:
            of_source = own[number[i]]
            return of_source(int(row[i])) if of_source else None

        return find
