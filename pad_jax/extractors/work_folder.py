"""Features on their way to a file, in a folder that outlives the process which makes them."""

import contextlib
import json
import logging
import os
import pathlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pad_jax import outputs, storage
from pad_jax.errors import InputError, first_line

_log = logging.getLogger(__name__)

_SAVE_SECONDS = 5.0  # so much work at most is lost where a process is killed
_FEATURES, _LABELS, _PROGRESS, _PACKED = "features.npy", "labels.npy", "progress.json", "packed.npz"


class _Progress(NamedTuple):
    """How far the work is; replaced as a whole, since it may be interrupted anywhere."""

    done: int = 0
    skipped: tuple[int, ...] = ()


class WorkFolder:
    """``FILE.npz.partial``: what is done, and of which command; it becomes ``FILE.npz``.

    Rows that can be read stand without gaps, those after them are still empty.

    Args:
      output: the file.
      command: what the features depend on, by what a user calls it; for JSON.
      inputs: digests of what is read, by what a user calls it.
      count: how many images there are.

    Raises:
      InputError: where the folder has work of another command, or is damaged.
    """

    def __init__(
        self,
        output: pathlib.Path,
        command: Mapping[str, Any],
        inputs: Mapping[str, Any],
        count: int,
    ):
        self.folder = output.with_name(output.name + ".partial")
        self._output, self._count = output, count
        self._of = json.loads(json.dumps({"command": command, "inputs": inputs}))
        self._progress, self._saved = _Progress(), time.monotonic()
        self._features: np.ndarray | None = None
        self._labels: np.ndarray | None = None
        if (self.folder / _PROGRESS).exists():
            self._go_on()

    @property
    def done(self) -> int:
        """How many images were looked at, from the first."""
        return self._progress.done

    @property
    def skipped(self) -> tuple[int, ...]:
        """Which of them could not be decoded."""
        return self._progress.skipped

    @property
    def kept(self) -> int:
        """How many rows there are."""
        return self.done - len(self.skipped)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Makes the folder, and saves what was done there however the block ends."""
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
        self._saved = time.monotonic()
        try:
            yield
        finally:
            self._save()
            if self._features is None:  # nothing is lost, and another command may follow
                with contextlib.suppress(OSError):
                    self.folder.rmdir()

    def add(
        self, features: np.ndarray | None, labels: Sequence[int], skipped: Sequence[int], done: int
    ) -> None:
        """Adds the rows of a batch.

        Args:
          features: [1 + views, B, D]; None where no image of the batch could be decoded.
          labels: of the B images, -1 where it is not known.
          skipped: numbers of those that could not be decoded.
          done: how many images are done now.
        """
        if features is not None:
            if self._features is None:
                self._create(features)
            if features.shape[-1] != self._features.shape[-1]:
                raise InputError(
                    f"--extractor gave features of {self._features.shape[-1]} numbers, and now of "
                    f"{features.shape[-1]}; change it, and remove {self.folder}"
                )
            rows = slice(self.kept, self.kept + features.shape[1])
            self._features[:, rows], self._labels[rows] = features, labels
        self._progress = _Progress(done, self.skipped + tuple(skipped))
        if time.monotonic() - self._saved >= _SAVE_SECONDS:
            self._save()

    def pack(self, paths: Sequence[bytes], extractor: str) -> tuple[int, int]:
        """Writes the file, as a whole or not at all, and removes the folder.

        Features are copied in pieces, never held in memory.

        Args:
          paths: of the rows.
          extractor: JSON.

        Returns:
          How many rows it has, and of how many numbers a feature is.
        """
        features = self._features[:, : self.kept]
        arrays = {"features": features if len(features) > 1 else features[0]}
        if (labels := np.array(self._labels[: self.kept])).max() >= 0:
            arrays["labels"] = labels
        arrays |= {"paths": np.array(paths, "S"), "extractor": np.array(extractor)}
        with self._writing():
            with (self.folder / _PACKED).open("wb") as file:
                np.savez(file, **arrays)
            outputs.to_disk(self.folder / _PACKED)
            os.replace(self.folder / _PACKED, self._output)
            self._remove()
        return self.kept, features.shape[-1]

    def _go_on(self) -> None:
        """Opens what an earlier process left."""
        try:
            recorded = json.loads((self.folder / _PROGRESS).read_text(encoding="utf-8"))
            changed = _changes(recorded, self._of)
            progress = _Progress(recorded["done"], tuple(recorded["skipped"]))
            self._features = np.lib.format.open_memmap(self.folder / _FEATURES, mode="r+")
            self._labels = np.lib.format.open_memmap(self.folder / _LABELS, mode="r+")
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.folder} is damaged ({first_line(error)}); remove it, or choose another "
                "--output"
            ) from None
        if changed:
            raise InputError(
                f"{self.folder} has half-done work of another command ({changed}); remove it, or "
                "choose another --output"
            )
        self._progress = progress
        _log.info("%s: goes on after %d of %d images", self._output, self.done, self._count)

    def _create(self, features: np.ndarray) -> None:
        """Opens new files for the rows of all images; the first rows say of what shape."""
        views, _, width = features.shape
        # Twice: the file is packed beside them. A full disk would end the process without a word.
        needed = 2 * views * self._count * width * features.itemsize
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise InputError(
                f"--output={self._output} needs {needed / 2**30:.1f} GiB while it is made, and "
                f"{free / 2**30:.1f} are free there; choose another disk"
            )
        with self._writing():
            shape = (views, self._count, width)
            self._features = np.lib.format.open_memmap(
                self.folder / _FEATURES, mode="w+", dtype=features.dtype, shape=shape
            )
            self._labels = np.lib.format.open_memmap(
                self.folder / _LABELS, mode="w+", dtype=np.int64, shape=(self._count,)
            )

    def _save(self) -> None:
        """Brings everything to the disk: first the rows, then that they are there."""
        if self._features is None:
            return
        with self._writing():
            self._features.flush()
            self._labels.flush()
            progress = {**self._of, **self._progress._asdict()}
            outputs.write_json(self.folder / _PROGRESS, progress)
        self._saved = time.monotonic()

    def _remove(self) -> None:
        """Removes what is ours; first the file by which the rest would count as work."""
        self._features = self._labels = None
        for name in (_PROGRESS, _FEATURES, _LABELS):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is something of the user's in it
            self.folder.rmdir()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"cannot write to {self.folder} ({storage.obstacle(self.folder, error)}); choose "
                "another --output"
            ) from None


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In what two commands differ; "" if in nothing."""
    old, new = before["command"], now["command"]
    said = [
        f"{name} was {old.get(name)!r} and is now {new.get(name)!r}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    old, new = before["inputs"], now["inputs"]
    return "; ".join(
        said + [f"{name} changed" for name in sorted(new) if old.get(name) != new[name]]
    )
