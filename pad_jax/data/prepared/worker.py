"""A process that makes shards: it opens the source for itself and decodes a part of it."""

import hashlib
import json
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from pad_jax import data, outputs
from pad_jax.data.decoding import UnreadableImage
from pad_jax.data.prepared.fitting import stored
from pad_jax.data.prepared.index import Made
from pad_jax.data.prepared.records import ShardWriter
from pad_jax.data.source import DatasetSettings, Source
from pad_jax.errors import InputError
from pad_jax.settings import Settings

_COUNTED = 16  # images, after which the others are told


class Job(NamedTuple):
    """A shard to be made.

    Attributes:
      path: of the file; what is in it is told by one beside it (``facts_of``).
      fingerprint: of the folder.
      split: whose images these are.
      first, last: which of them, the last one left out.
      names: that they have (``names_digest``).
    """

    path: pathlib.Path
    fingerprint: str
    split: str
    first: int
    last: int
    names: str


class _Process:
    """What this process was begun with, and the sources that it has opened."""

    settings: Settings
    made: Made
    count: Any  # of images done, by all processes
    stop: Any  # an event: all are to end
    sources: dict[str, Source]


def begin(settings: Settings, made: Made, count: Any, stop: Any) -> None:
    """Of a new process: what it needs of its parent, with which it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it as well, and says stop
    _Process.settings, _Process.made, _Process.sources = settings, made, {}
    _Process.count, _Process.stop = count, stop
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def make(job: Job) -> str:
    """Makes a shard and the file beside it; what went wrong in a line, "" for nothing."""
    try:
        _make(job)
    except InputError as error:
        return str(error)
    except OSError as error:
        return (
            f"cannot write to {error.filename or job.path} ({error.strerror or error}); see to "
            "that, as by making room, and give the same command again: it goes on from there"
        )
    return ""


def _make(job: Job) -> None:
    settings, made = _Process.settings, _Process.made
    source = _Process.sources.get(job.split)
    if source is None:
        source = _Process.sources[job.split] = data.opened(settings, job.split)
    names = [source.name(i) for i in range(job.first, min(job.last, len(source)))]
    if names_digest(names) != job.names:
        raise changed(job.split)
    rows: list[int] = []
    labels: list[int] = []
    sizes: set[tuple[int, int]] = set()
    unreadable: list[tuple[int, str]] = []
    enlarged = side = uncounted = 0
    of_sides = max if made.resize == "pad" else min  # the shorter one is filled up
    writer = ShardWriter(job.path, job.fingerprint)
    try:
        for i in range(job.first, job.last):
            if _Process.stop.is_set():
                raise InputError("stopped")
            try:
                image, label = source[i]
            except UnreadableImage as error:
                if settings[DatasetSettings].strict:
                    raise error.refused() from None
                unreadable.append((i, str(error)))
            else:
                fitted = stored(image, made)
                writer.write(fitted)
                rows.append(i)
                labels.append(-1 if label is None else int(label))
                enlarged += of_sides(fitted.shape[:2]) > of_sides(image.shape[:2])
                side = max(side, min(fitted.shape[:2]))
                sizes.add((fitted.shape[0], fitted.shape[1]))
            uncounted += 1
            if uncounted == _COUNTED or i + 1 == job.last:
                with _Process.count:
                    _Process.count.value += uncounted
                uncounted = 0
        shard = writer.close()
    except BaseException:
        writer.discard()
        raise
    decoder = getattr(source, "decoder", None)
    facts = {
        "fingerprint": job.fingerprint,
        "bytes": shard.bytes,
        "rows": rows,
        "labels": labels,
        "unreadable": unreadable,
        "enlarged": int(enlarged),
        "side": side,
        "sizes": sorted(sizes)[:2],  # more than one is all that counts
        "notes": decoder.take_notes() if decoder is not None else {},
    }
    path = facts_of(job.path)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(facts), encoding="ascii")
    outputs.to_disk(part)
    os.replace(part, path)


def facts_of(shard: pathlib.Path) -> pathlib.Path:
    """The file that tells what is in a shard, until all are made."""
    return shard.with_suffix(".json")


def names_digest(names: Sequence[str]) -> str:
    """Tells these images, in this order, from others."""
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def changed(split: str) -> InputError:
    """The error for a source that is not what it was when the command began."""
    return InputError(
        f"the images of split {split!r} changed while they were prepared; give the command again "
        "when they stay as they are"
    )
