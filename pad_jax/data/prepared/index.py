"""``prepared.json``: what a prepared folder holds, of what, and how it was made."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from pad_jax.data import reading
from pad_jax.data.decoding import Decoding
from pad_jax.data.prepared.records import Shard, damaged
from pad_jax.paths import expanded

FILE = "prepared.json"
BEGUN = "preparing.json"  # in its place while the folder is made
_DIGEST = b',"digest":"'
_FORMAT, _VERSION = "pad_jax prepared images", 1


class Made(NamedTuple):
    """How images were made ready.

    Attributes:
      image_size: px, what they were made for; None where they stayed as they are.
      stored_size: px, at most which their shorter side has; None likewise.
      resize: see ``preparation.fit``.
      channels: 1 or 3, to which they were converted; None: they have their own.
      decoding: of files.
    """

    image_size: int | None
    stored_size: int | None
    resize: str
    channels: int | None
    decoding: Decoding

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self._asdict(), "decoding": dataclasses.asdict(self.decoding)}


class Split(NamedTuple):
    """The images of one split, in the order of their source.

    Attributes:
      names: of the N images.
      labels: of each, -1 where the class is not known.
      class_names: of the labels 0, 1, ...; None where nobody knows.
      has_folders: whether these are names of folders.
      base: the folder in which the names are the images' files; None where they are no files.
      shards: what they lie in.
      unreadable: the name of each image that could not be decoded, and why.
    """

    names: list[str]
    labels: list[int]
    class_names: tuple[str, ...] | None
    has_folders: bool
    base: str | None
    shards: list[Shard]
    unreadable: list[tuple[str, str]]


class Index(NamedTuple):
    """The whole.

    Attributes:
      fingerprint: of the sources and of what was made of them.
      made: how.
      source: ``dataset.name`` and ``dataset.root`` of the sources.
      size: (H, W), where all images have one; else None.
      side: px, the largest of the images' shorter sides.
      splits: by their names.
    """

    fingerprint: str
    made: Made
    source: dict[str, str]
    size: tuple[int, int] | None
    side: int
    splits: dict[str, Split]


def is_prepared(root: str) -> bool:
    """Whether ``dataset.root`` is a prepared folder, or one that is to become one.

    Raises:
      OSError: where it may not be looked into.
    """
    folder = expanded(root)
    return bool(root) and any((folder / name).is_file() for name in (FILE, BEGUN))


def to_json(index: Index) -> str:
    """The text of the file."""
    splits = {
        name: {**split._asdict(), "shards": [shard._asdict() for shard in split.shards]}
        for name, split in index.splits.items()
    }
    content = {"format": _FORMAT, "version": _VERSION}
    content |= {**index._asdict(), "made": index.made.as_dict(), "splits": splits}
    # ASCII alone: names of files need not be UTF-8.
    body = json.dumps(content, separators=(",", ":")).removesuffix("}")
    return f'{body}{_DIGEST.decode()}{hashlib.sha256(body.encode()).hexdigest()}"}}\n'


def _is_whole(data: bytes) -> bool:
    """Whether a file is as it was written: its last field tells of all before it."""
    body, _, rest = data.rpartition(_DIGEST)
    return rest.strip() == f'{hashlib.sha256(body).hexdigest()}"}}'.encode()


def read(folder: pathlib.Path) -> Index:
    """The index of a prepared folder.

    Raises:
      InputError: where it is none, damaged, or of a later version; or the system does not give it.
    """
    path = folder / FILE
    with reading.in_one_line(str(path)):
        found = path.stat()
        return _read(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=1)  # training and test images are in one
def _read(path: pathlib.Path, size: int, time: int) -> Index:
    try:
        data = path.read_bytes()
        content = json.loads(data)
        if content["format"] != _FORMAT:
            raise damaged(path, "it is no index of prepared images")
        if content["version"] != _VERSION:
            raise damaged(path, f"it is of version {content['version']}, and not of {_VERSION}")
        if not _is_whole(data):
            raise damaged(path, "it was changed")
        return _parsed(content)
    except (AttributeError, KeyError, RecursionError, TypeError, UnicodeDecodeError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from None
    except json.JSONDecodeError:
        raise damaged(path, "it is no JSON") from None


def _parsed(content: Mapping[str, Any]) -> Index:
    splits = {
        name: Split(
            **{
                **split,
                "class_names": split["class_names"] and tuple(split["class_names"]),
                "shards": [Shard(**shard) for shard in split["shards"]],
                "unreadable": [(image, reason) for image, reason in split["unreadable"]],
            }
        )
        for name, split in content["splits"].items()
    }
    made = Made(**{**content["made"], "decoding": Decoding(**content["made"]["decoding"])})
    size = content["size"] and tuple(content["size"])
    names = ("fingerprint", "source", "side")
    return Index(made=made, size=size, splits=splits, **{name: content[name] for name in names})
