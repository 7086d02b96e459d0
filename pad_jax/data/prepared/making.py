"""From a source of images to a prepared folder, by several processes, and on after a kill.

While it is made the folder has ``preparing.json``, of what it is made; whole shards, each with a
``.json`` beside it that tells what is in it; and parts of those that are under way.
"""

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from pad_jax import locks, outputs, progress, signals, storage
from pad_jax.data.decoding import tell
from pad_jax.data.preparation import PIXELS
from pad_jax.data.prepared import index as indices
from pad_jax.data.prepared.fitting import default_stored_size
from pad_jax.data.prepared.index import Index, Made, Split
from pad_jax.data.prepared.records import Shard
from pad_jax.data.prepared.worker import Job, begin, changed, facts_of, make, names_digest
from pad_jax.data.source import DatasetSettings, Source, UnreadableImage
from pad_jax.errors import InputError
from pad_jax.paths import expanded, lies_in
from pad_jax.settings import Settings

_log = logging.getLogger(__name__)

_SHARD_BYTES = 2**27  # about; what a process has not written yet is lost where it is killed
_FEWEST, _MOST = 256, 4096  # images of a shard
_ALL_BUSY = 32  # shards of a split, so that many processes have work to the end
_MOST_SHARDS = 256  # of a split: each is a file that stays open
_POLL = 0.2  # s
_LOOKED_AT = 8  # images of a set that tell it from another


def prepare(settings: Settings, sources: Mapping[str, Source], output: pathlib.Path) -> Index:
    """Decodes all images of some sources, and writes them into a folder.

    The same call goes on where an earlier one was interrupted, and does nothing where one has
    ended.

    Args:
      settings: of a run, whose ``dataset`` says what the images are and what is made of them.
      sources: by the names of their splits; no image is in two.
      output: the folder.

    Raises:
      InputError: where the folder is in use, or holds something else; a source changes under way;
        not one image can be decoded, or, with ``dataset.strict``, one cannot; the disk is full, or
        will be.
    """
    dataset = settings[DatasetSettings]
    made = _made(dataset)
    if any(getattr(source, "kind", PIXELS) != PIXELS for source in sources.values()):
        raise InputError("dataset: these are features, which need no preparing; train on them")
    if dataset.root and lies_in(output, expanded(dataset.root)):
        raise InputError(f"--output={output} lies inside of dataset.root; choose another place")
    names = {split: [s.name(i) for i in range(len(s))] for split, s in sources.items()}
    described = {
        "made": made.as_dict(),
        "splits": {split: _stamp(s, names[split], dataset) for split, s in sources.items()},
    }
    fingerprint = hashlib.sha256(json.dumps(described).encode()).hexdigest()
    with contextlib.ExitStack() as stack:
        if (finished := _enter(output, fingerprint, described, stack)) is not None:
            _log.info("%s: these images are prepared already.", output)
            return finished
        jobs = _jobs(names, made, output, fingerprint)
        left = [job for job in jobs if _facts(job) is None]
        count = sum(job.last - job.first for job in jobs)
        done = count - sum(job.last - job.first for job in left)
        if done:
            _log.info("%s: goes on after %d of %d images.", output, done, count)
        work = _work(settings, made, left)
        with contextlib.closing(work):
            for _ in progress.bar(work, count, "preparing images", done=done):
                pass
        index = _index(dataset, fingerprint, made, sources, names, jobs)
        with outputs.whole(output / indices.FILE) as part:
            part.write_text(indices.to_json(index), encoding="ascii")
        for path in (output / indices.BEGUN, *(facts_of(job.path) for job in jobs)):
            path.unlink(missing_ok=True)
    return index


def _made(dataset: DatasetSettings) -> Made:
    size = dataset.image_size
    if size is None and dataset.max_image_size is not None:
        raise InputError(
            "dataset.image_size is left to choose, and what is stored depends on it; give "
            f"--config.dataset.image_size, such as {dataset.max_image_size}"
        )
    largest = size and (dataset.stored_size or default_stored_size(size, dataset.resize))
    return Made(size, largest, dataset.resize, dataset.channels, dataset.decoding)


def _stamp(source: Source, names: Sequence[str], dataset: DatasetSettings) -> str:
    """Tells the images of a source from others, by names and sizes of files where it has some.

    Where it has none its images may be mere numbers, as those of any set of TensorFlow Datasets:
    then by the name of the set, and by a few of the images.
    """
    digest = hashlib.sha256(names_digest(names).encode())
    path, files = getattr(source, "path", None), getattr(source, "files", None)
    if path is None and files is not None:  # in which the images are
        digest.update(json.dumps([file.stat().st_size for file in files]).encode())
        return digest.hexdigest()
    without: list[int] = []
    for i in range(len(names)):
        if path is None or (file := path(i)) is None:
            digest.update(source.identity(i))
            without.append(i)
            continue
        try:
            size = os.stat(file).st_size
        except OSError:
            size = -1  # it is said when it is read
        digest.update(b"%d " % size)
    if without:
        digest.update(dataset.name.encode())
    for i in without[:: -(-len(without) // _LOOKED_AT) or 1]:
        with contextlib.suppress(UnreadableImage):  # it is said when it is made ready
            digest.update(np.ascontiguousarray(source[i].image).tobytes())
    return digest.hexdigest()


def _enter(
    output: pathlib.Path,
    fingerprint: str,
    described: Mapping[str, Any],
    stack: contextlib.ExitStack,
) -> Index | None:
    """Takes the folder, a new one or that of the same work; its index where that is done."""
    begun = output / indices.BEGUN
    try:
        output.mkdir(parents=True, exist_ok=True)
        known = any((output / name).exists() for name in (indices.FILE, indices.BEGUN))
        if not known and set(os.listdir(output)) - {".lock"}:
            raise InputError(f"--output={output} exists; give another name, or move it away")
        busy = f"another process prepares images in {output}; wait for it, or choose another"
        locks.take(output, stack, f"{busy} --output")
        if (output / indices.FILE).exists():
            index = indices.read(output)
            if index.fingerprint == fingerprint:
                return index
            difference = _difference({"made": index.made.as_dict()}, described)
            raise InputError(
                f"--output={output} has other images, or made in another way{difference}; choose "
                "another --output, or remove that"
            )
        if begun.exists():
            before = _read_json(begun)
            if before != json.loads(json.dumps(described)):
                raise InputError(
                    f"--output={output} has half-done work of other images, or in another way"
                    f"{_difference(before, described)}; undo the change, choose another --output, "
                    "or remove that"
                )
        else:
            with outputs.whole(begun) as part:
                part.write_text(json.dumps(described) + "\n", encoding="ascii")
        for left in output.glob("*.part"):  # by processes that were killed
            left.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write to --output={output} ({storage.obstacle(output, error)}); choose "
            "another place"
        ) from None
    return None


def _difference(before: Any, now: Mapping[str, Any]) -> str:
    """In which settings two descriptions differ, in brackets."""
    old = before.get("made") if isinstance(before, dict) else None
    if not isinstance(old, dict):
        return ""
    new = json.loads(json.dumps(now["made"]))
    said = [f"{k} was {old.get(k)!r} and is now {new[k]!r}" for k in new if old.get(k) != new[k]]
    return f" ({'; '.join(said)})" if said else ""


def _read_json(path: pathlib.Path) -> Any:
    """What a file of ours holds; None where it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _jobs(
    names: Mapping[str, Sequence[str]], made: Made, output: pathlib.Path, fingerprint: str
) -> list[Job]:
    """The shards, a function of the images and the settings alone."""
    jobs = []
    side = made.stored_size or _FEWEST
    most = min(_SHARD_BYTES // (4 * side * side), _MOST)  # 4: three colours, of 4 : 3
    for number, (split, own) in enumerate(names.items()):
        size = max(_FEWEST, min(most, -(-len(own) // _ALL_BUSY)), -(-len(own) // _MOST_SHARDS))
        word = re.sub(r"[^A-Za-z0-9]+", "-", split).strip("-") or "all"
        for k, first in enumerate(range(0, len(own), size)):
            path = output / f"{number}-{word}-{k:05}.array_record"
            last = min(first + size, len(own))
            jobs.append(Job(path, fingerprint, split, first, last, names_digest(own[first:last])))
    return jobs


def _facts(job: Job) -> dict[str, Any] | None:
    """What is in a shard; None where it is not made, or not as it was written."""
    facts = _read_json(facts_of(job.path))
    if not isinstance(facts, dict) or facts.get("fingerprint") != job.fingerprint:
        return None
    try:
        return facts if job.path.stat().st_size == facts["bytes"] else None
    except (FileNotFoundError, KeyError):
        return None


def _work(settings: Settings, made: Made, jobs: Sequence[Job]) -> Iterator[None]:
    """Makes shards in processes of their own; says when another image is done."""
    if not jobs:
        return
    # Not forked: threads of JAX and others may hold what a copy of them would wait for.
    context = multiprocessing.get_context("spawn")
    count, stop = context.Value("q", 0), context.Event()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pool = ProcessPoolExecutor(
        *(min(cores or 1, len(jobs)), context),
        initializer=begin,
        initargs=(settings, made, count, stop),
    )
    try:
        with signals.held():  # what it raises would hold on to the pool, as below
            waiting = {pool.submit(make, job) for job in jobs}
        told, checked = 0, False
        while waiting:
            ended, waiting = wait(waiting, _POLL, FIRST_COMPLETED)
            for future in ended:
                if failure := future.result():
                    raise InputError(failure)
            if ended and not checked:
                checked = True
                _check_room(jobs)
            now = count.value
            yield from (None for _ in range(told, now))
            told = now
    except BrokenProcessPool:
        raise InputError(
            "a process that decodes images was ended by the system, as for want of memory; end "
            "other programs and give the same command again, it goes on from there; or lower "
            "dataset.max_megapixels, with another --output"
        ) from None
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        # A signal ends the process without any cleaning up, and keeps this frame until then.
        del pool, count, stop


def _check_room(jobs: Sequence[Job]) -> None:
    """Sees to it, once a shard is there, that the others find room: not after hours of decoding.

    Raises:
      InputError: where there is less than they need if their images are as large as the first.
    """
    folder = jobs[0].path.parent
    written = images = left = begun = 0
    for job in jobs:
        if (facts := _facts(job)) is None:
            left += job.last - job.first
        else:
            written, images = written + facts["bytes"], images + job.last - job.first
    for part in folder.glob("*.array_record.part"):
        with contextlib.suppress(FileNotFoundError):  # it was finished just now
            begun += part.stat().st_size
    needed = written * left // max(images, 1) - begun
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"the disk of --output={folder} has {free / 2**30:.3g} GiB left and {left:,} images "
            f"need about {needed / 2**30:.3g}; make room and give the same command again, it goes "
            "on from there; or lower dataset.stored_size, or choose another --output"
        )


def _index(
    dataset: DatasetSettings,
    fingerprint: str,
    made: Made,
    sources: Mapping[str, Source],
    names: Mapping[str, Sequence[str]],
    jobs: Sequence[Job],
) -> Index:
    """The index of what was made; says in the log what there is to say of it."""
    splits: dict[str, Split] = {}
    sizes: set[tuple[int, int]] = set()
    notes: dict[str, tuple[int, str]] = {}
    enlarged = side = 0
    for split, source in sources.items():
        own = names[split]
        splits[split] = Split(
            names=[],
            labels=[],
            class_names=getattr(source, "class_names", None),
            has_folders=getattr(source, "has_folders", False),
            base=_base(source, own),
            shards=[],
            unreadable=[],
        )
    for job in jobs:
        facts, own, split = _facts(job), names[job.split], splits[job.split]
        if facts is None:
            raise changed(job.split)
        split.names.extend(own[i] for i in facts["rows"])
        split.labels.extend(facts["labels"])
        split.unreadable.extend((own[i], reason) for i, reason in facts["unreadable"])
        split.shards.append(Shard(job.path.name, len(facts["rows"]), facts["bytes"]))
        sizes |= {(height, width) for height, width in facts["sizes"]}
        enlarged += facts["enlarged"]
        side = max(side, facts["side"])
        for text, (count, first) in facts["notes"].items():
            before, known = notes.get(text, (0, first))
            notes[text] = before + count, min(known, first)
    failures = [reason for split in splits.values() for _, reason in split.unreadable]
    for reason in failures:
        _log.warning("Skipped, cannot be decoded: %s", reason)
    total = sum(map(len, names.values()))
    if failures:
        _log.warning("Skipped %d of %d images.", len(failures), total)
    for split, found in splits.items():
        if not found.names:
            raise InputError(
                f"dataset: not one of the images of {split!r} can be decoded; see the warnings"
            )
    tell(notes)
    if enlarged:
        _log.warning(
            "%d of %d images are smaller than dataset.image_size=%d; they are enlarged to it.",
            *(enlarged, total - len(failures), made.image_size),
        )
    common = sizes.pop() if len(sizes) == 1 else None
    root = os.path.abspath(os.path.expanduser(dataset.root)) if dataset.root else ""
    origin = {"name": dataset.name, "root": root}
    return Index(fingerprint, made, origin, common, side, splits)


def _base(source: Source, names: Sequence[str]) -> str | None:
    """The folder below which the names of all images lead to their files; None for none."""
    path = getattr(source, "path", None)
    if path is None or (first := path(0)) is None:
        return None
    name = os.path.expanduser(names[0])
    base = str(first).removesuffix(name)
    if os.path.isabs(name):
        base = "/"
    same = all(
        os.path.join(base, os.path.expanduser(name)) == str(path(i)) for i, name in enumerate(names)
    )
    return base if same else None
