"""Shards: array_record files whose records are images, not compressed, each with a short head."""

import contextlib
import hashlib
import os
import pathlib
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pad_jax import outputs
from pad_jax.data import reading
from pad_jax.errors import InputError, first_line

# The tag of the shard, the image's number in it, height, width and channels; pixels follow.
_HEAD = struct.Struct("<8sIIIB")
# A record by itself, so that any of them is read alone. Packed they were hardly smaller.
_WRITING = "group_size:1,uncompressed"
_READING = "readahead_buffer_size:0"  # rows come in any order
_BUFFER = 2**15  # bytes


class Shard(NamedTuple):
    """One file.

    Attributes:
      file: its name in the folder.
      images: how many it holds.
      bytes: its size.
    """

    file: str
    images: int
    bytes: int


def _tag(fingerprint: str, file: str) -> bytes:
    """Tells a shard from those of other folders, and from others of its own."""
    return hashlib.sha256(f"{fingerprint} {file}".encode()).digest()[:8]


class ShardWriter:
    """Writes one shard; it has its name only when it is whole.

    Args:
      path: of the file.
      fingerprint: of the folder.

    Attributes:
      images: how many were written.
    """

    def __init__(self, path: pathlib.Path, fingerprint: str):
        from array_record.python.array_record_module import ArrayRecordWriter

        self._path, self._part = path, path.with_name(path.name + ".part")
        self._tag, self.images = _tag(fingerprint, path.name), 0
        with _as_system_error(self._part):
            self._writer = ArrayRecordWriter(str(self._part), _WRITING)

    def write(self, image: np.ndarray) -> None:
        """Adds an image, uint8 [H, W, C]; raises OSError where the system does not take it."""
        head = _HEAD.pack(self._tag, self.images, *image.shape)
        with _as_system_error(self._part):
            self._writer.write(head + image.tobytes())
        self.images += 1

    def close(self) -> Shard:
        """Brings it to the disk."""
        with _as_system_error(self._part):
            self._writer.close()
        outputs.to_disk(self._part)
        size = self._part.stat().st_size
        os.replace(self._part, self._path)
        return Shard(self._path.name, self.images, size)

    def discard(self) -> None:
        """Removes what was written."""
        with contextlib.suppress(RuntimeError):  # what it still holds may find no room either
            self._writer.close()
        self._part.unlink(missing_ok=True)


@contextlib.contextmanager
def _as_system_error(path: pathlib.Path) -> Iterator[None]:
    """array_record says in words what the system refused; from here on it is an OSError again."""
    try:
        yield
    except RuntimeError as error:
        raise _refused(path, error) or OSError(None, first_line(error), str(path)) from error


def _refused(path: pathlib.Path, error: RuntimeError) -> OSError | None:
    """What the system refused, if that is what array_record says."""
    said = str(error)
    for code in range(1, 134):  # of Linux
        if f": {os.strerror(code)}" in said:
            return OSError(code, os.strerror(code), str(path))
    return None


class Shards:
    """The images of some shards, one shard after the other, by their numbers.

    Files are opened when they are first read. Several threads may read at a time.

    Args:
      folder: where they lie.
      shards: which.
      fingerprint: of the folder.

    Raises:
      InputError: where a file is missing, or of another size.
    """

    def __init__(self, folder: pathlib.Path, shards: Sequence[Shard], fingerprint: str):
        self._paths = [folder / shard.file for shard in shards]
        self._tags = [_tag(fingerprint, shard.file) for shard in shards]
        self._first = np.cumsum([0, *(shard.images for shard in shards)])
        for path, shard in zip(self._paths, shards, strict=True):
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                raise damaged(path, "it is gone") from None
            if size != shard.bytes:
                raise damaged(path, f"it has {size:,} bytes, and had {shard.bytes:,}")
        self._start()

    def _start(self) -> None:
        self._readers: list[Any] = [None] * len(self._paths)
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_readers", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def __len__(self) -> int:
        return int(self._first[-1])

    def read(self, rows: np.ndarray) -> list[np.ndarray]:
        """The images of some rows, int [B]: uint8 [H, W, C] each.

        Raises:
          InputError: where a shard is damaged, or the system does not give it.
        """
        rows = np.asarray(rows)
        number = np.searchsorted(self._first, rows, side="right") - 1
        images: list[np.ndarray] = [None] * len(rows)  # type: ignore[list-item]
        for shard in np.unique(number).tolist():
            at = np.flatnonzero(number == shard)
            own = (rows[at] - self._first[shard]).tolist()
            for i, row, record in zip(at.tolist(), own, self._records(shard, own), strict=True):
                images[i] = self._image(shard, row, record)
        return images

    def _records(self, shard: int, rows: list[int]) -> list[bytes]:
        path = self._paths[shard]

        def read() -> list[bytes]:
            reader = self._readers[shard]
            if reader is None:
                with self._lock:
                    reader = self._readers[shard] = self._readers[shard] or self._open(shard)
            try:
                return reader.read(rows)
            except (IndexError, RuntimeError, ValueError) as error:
                refused = isinstance(error, RuntimeError) and _refused(path, error)
                raise refused or damaged(path, first_line(error)) from error

        return reading.patiently(read, str(path))

    def _open(self, shard: int) -> Any:
        from array_record.python.array_record_module import ArrayRecordReader

        path = self._paths[shard]
        reader = ArrayRecordReader(str(path), _READING, file_reader_buffer_size=_BUFFER)
        if not reader.ok():
            path.open("rb").close()  # if the system does not give it, this says why
        expected = int(self._first[shard + 1] - self._first[shard])
        if not reader.ok() or reader.num_records() != expected:
            raise damaged(path, f"it has not the {expected:,} images that it had")
        return reader

    def _image(self, shard: int, row: int, record: bytes) -> np.ndarray:
        try:
            tag, number, height, width, channels = _HEAD.unpack_from(record)
            shape = height, width, channels
            image = np.frombuffer(record, np.uint8, offset=_HEAD.size).reshape(shape)
        except (struct.error, ValueError):
            tag = None
        if tag != self._tags[shard] or number != row:
            raise damaged(self._paths[shard], "it is of another folder")
        return image


def damaged(path: pathlib.Path, what: str) -> InputError:
    """The error for a file of a prepared folder that is not as it was written."""
    return InputError(
        f"{path} is damaged ({what}); put a copy of it back, or remove {path.parent} and prepare "
        "the images anew (--mode=prepare)"
    )
