"""A run's folder: its config and its environment."""

import contextlib
import csv
import importlib.metadata
import io
import logging
import os
import pathlib
import platform
from collections.abc import Iterator, Mapping, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from pad_jax import config as configs
from pad_jax import locks, outputs, parallel, storage
from pad_jax.data import Dataset
from pad_jax.data.preparation import Preparation, recorded
from pad_jax.errors import InputError
from pad_jax.graph.groups import Groups, by_falling_size
from pad_jax.run import checkpoints, fields, files, identity, metrics, places
from pad_jax.settings import RESULTS, TRAINING

_log = logging.getLogger(__name__)

_STATISTICS = "statistics.json"  # of features
_COLUMNS = ("group", "size")  # of groups.csv, numbers
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "numba", "scikit-learn")


def check_workdir(workdir: pathlib.Path, config: ConfigDict) -> None:
    """Sees to it that the folder is new, or that of a run with this config, and can be written to.

    A run that was stopped before anything was saved has nothing to lose: its folder counts as new.
    The results of a finished run have to be those that the config asks for.

    Raises:
      InputError: if it is neither, or cannot.
    """
    if not is_finished(workdir, config.num_epochs):  # which prints its results
        outputs.check_writable(f"--workdir={workdir}", workdir, "choose another folder")
    files.check_kinds(workdir)
    begun = has_begun(workdir)
    if (workdir / "config.json").exists():
        changed = changes(workdir, config, affecting=(TRAINING,))
        if changed and begun:
            raise InputError(
                f"{workdir} holds a run with another config ({changed}); "
                "choose another --workdir, or undo the change"
            )
        other_results = changes(workdir, config, affecting=(TRAINING, RESULTS))
        if other_results and is_finished(workdir, config.num_epochs):
            raise InputError(
                f"{workdir} holds a finished run, with other results ({other_results}); evaluate "
                "it anew with --mode=evaluate, or choose another --workdir"
            )
        if begun:
            _check_begun(workdir)
    elif begun or (workdir / "metrics.jsonl").exists():
        raise InputError(
            f"{workdir} is in use (but has no config.json); put that back, or choose another "
            "--workdir"
        )


def _check_begun(workdir: pathlib.Path) -> None:
    """Raises InputError where a run has begun, and its checkpoints are gone, or run.json damaged.

    One that was stopped before its first checkpoint has rows and no checkpoint, too: then its
    epochs are done again, and that is said.
    """
    if os.path.lexists(workdir / "run.json"):
        read_run(workdir)
    rows = metrics.read(workdir)
    if not rows or checkpoints.has_any(workdir):
        return
    every = configs.filled(_config(workdir)).checkpoint.every_epochs
    # A checkpoint is written while the epochs up to the next one are trained; its folder is there.
    if (workdir / "checkpoints").is_dir() and rows[-1]["epoch"] <= 2 * every:
        _log.warning("Nothing was saved yet: the %d epochs done are done again.", len(rows))
        return
    raise InputError(
        f"{workdir} has {len(rows)} rows of metrics.jsonl, and no checkpoint any more; put "
        "checkpoints/ back, or choose another --workdir (to begin anew here remove metrics.jsonl)"
    )


def has_begun(workdir: pathlib.Path) -> bool:
    """Whether a run in the folder has done an epoch, or saved a part of one."""
    return bool(metrics.read(workdir)) or checkpoints.has_any(workdir)


def last_epoch(workdir: pathlib.Path) -> int:
    """The epoch after which a run has ended, or will; groups.csv has the groups after it.

    Raises:
      InputError: where there is no run.
    """
    return _config(workdir)["num_epochs"]


def is_finished(workdir: pathlib.Path, num_epochs: int) -> bool:
    """Whether the run in the folder has the checkpoint of its last epoch."""
    return checkpoints.is_saved(workdir, num_epochs)


def make_workdir(workdir: pathlib.Path) -> None:
    """Makes the folder where there is none.

    Raises:
      InputError: if it cannot be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(_no_writing(workdir, error)) from None


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
    """Keeps a second run out of the folder: two would write into each other's files.

    The lock is the system's, so it ends with the process, however that ends. Where the system or
    its file system has none the folder is not guarded.

    Raises:
      InputError: if a run is training in the folder, or it cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        error = _lock(workdir, stack) if jax.process_index() == 0 else None
        if parallel.largest(error is not None):  # all end together
            raise error or InputError(f"{workdir} cannot be used; the first process says why")
        for name in files.OF_TRAINING:
            for left in workdir.glob(f"{name}.*.part"):  # by a process that was killed
                left.unlink(missing_ok=True)
        yield


def _lock(workdir: pathlib.Path, stack: contextlib.ExitStack) -> InputError | None:
    """Takes the lock until ``stack`` is closed; or why that cannot be."""
    try:
        busy = f"another process is training in {workdir}; stop it, or choose another --workdir"
        locks.take(workdir, stack, busy)
    except InputError as error:
        return error
    except OSError as error:
        return InputError(_no_writing(workdir, error))
    return None


def write(workdir: pathlib.Path, config: ConfigDict, dataset: Dataset) -> None:
    """Writes config.json and run.json.

    Raises:
      InputError: if the run in the folder was begun on other images, another process has others, or
        it cannot be written.
    """
    fingerprint = dataset.train.fingerprint
    if not parallel.is_same_everywhere(np.frombuffer(fingerprint.encode(), np.uint8)):
        raise InputError(
            "the processes have different images; all have to read the same files, and to decode "
            "each of them (dataset.strict=True says which cannot be)"
        )
    written, begun_in = _as_begun(workdir, configs.as_json(configs.filled(config)))
    run = {
        **identity.record(dataset.train),
        "folder": begun_in,
        **dataset.train.preparation.record(),
        "python": platform.python_version(),
        "platform": parallel.platform(),
        "device_kind": jax.devices()[0].device_kind,
        "device_count": jax.device_count(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    if has_begun(workdir):
        check_images(workdir, dataset)
    if statistics := dataset.train.preparation.statistics():
        outputs.write_json(workdir / _STATISTICS, statistics)
    outputs.write_json(workdir / "run.json", run)
    outputs.write_json(workdir / "config.json", written)
    make_workdir(workdir / "checkpoints")  # where it is gone later, there were some


def _as_begun(workdir: pathlib.Path, config: dict) -> tuple[dict, str]:
    """A config to be recorded, and the folder that its paths begin in."""
    if has_begun(workdir) and (workdir / "config.json").exists():
        begun = _begun_in(workdir)
        dataset = places.kept(_config(workdir)["dataset"], config["dataset"], begun)
        if dataset is not None:
            return config | {"dataset": dataset}, begun or os.getcwd()
    return config, os.getcwd()


def check_images(workdir: pathlib.Path, dataset: Dataset) -> None:
    """Sees to it that the training images are those of the run in the folder.

    Raises:
      InputError: if they are others.
    """
    before, now = read_run(workdir), len(dataset.train)
    if not identity.is_same(before, dataset.train):
        raise InputError(
            f"the data set had {before['num_images']} images when {workdir} was begun and has now "
            f"{now}, and others by name or size; choose another --workdir, or undo that"
        )


def write_groups(
    workdir: pathlib.Path, names: Sequence[str], groups: Groups, cluster: np.ndarray
) -> None:
    """Writes groups.csv: each training image, its group, how many images that has, its cluster.

    Groups are numbered by falling size, from 0; images in none have -1 and a size of 1. Groups that
    are no partition have no such file.

    Args:
      workdir: the run's folder.
      names: of the N images.
      groups: of them.
      cluster: int [N], as ``graph.partition`` gives it: -1 everywhere where there is none.
    """
    if jax.process_index() != 0 or groups.members is not None:
        return
    _, index, size = np.unique(groups.group_id, return_inverse=True, return_counts=True)
    number = by_falling_size(groups.group_id)
    columns = (number, size[index], cluster)
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    outputs.write_table(workdir / "groups.csv", ("image", "group", "size", "cluster"), rows)
    # Not those of the last epoch's row, which it was trained with.
    share, count = 100 * np.mean(number >= 0), number.max() + 1
    _log.info("At the end %.0f %% of the images are in %d groups.", share, count)


def read_groups(workdir: pathlib.Path) -> tuple[list[str], np.ndarray]:
    """The training images' names, N of them, and the group of each as groups.csv has it.

    Returns:
      (names, groups int64 [N], -1 for an image that is in none).

    Raises:
      InputError: if there are none, or the file is damaged.
    """
    path = workdir / "groups.csv"
    if not os.path.lexists(path):
        raise InputError(
            f"{workdir} has no groups.csv, which is written after the last epoch (of groups that "
            "are no partition, never); train the run to its end"
        )
    text = files.read_text(path, errors="surrogateescape")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        names = [row["image"] for row in rows]
        group, size = (np.array([int(row[c]) for row in rows], np.int64) for c in _COLUMNS)
    except (csv.Error, KeyError, OverflowError, TypeError, ValueError):
        raise files.damaged(path, "it is no table of images and groups") from None
    _check_groups(workdir, names, group, size)
    return names, np.where(size > 1, group, -1)


def _check_groups(workdir: pathlib.Path, names: list, group: np.ndarray, size: np.ndarray) -> None:
    """Raises InputError where rows are missing: sizes tell, and the number of images."""
    path, in_group = workdir / "groups.csv", size > 1
    _, index, count = np.unique(group[in_group], return_inverse=True, return_counts=True)
    if (size < 1).any() or (count[index] != size[in_group]).any():
        raise files.damaged(path, "its groups have other sizes than it says")
    if (workdir / "run.json").exists() and len(names) != read_run(workdir)["num_images"]:
        raise files.damaged(path, f"it has {len(names)} images, and run.json has others")


def has_groups(workdir: pathlib.Path) -> bool:
    """Whether there is a groups.csv, be it damaged."""
    return os.path.lexists(workdir / "groups.csv")


def read_config(workdir: pathlib.Path) -> dict:
    """The config of the run in a folder, as it was written; its files also from other folders.

    A relative path of the data set is taken from the folder that the run was started in; where
    that leads nowhere, as on another machine, from here.

    Raises:
      InputError: if there is none, or it is damaged.
    """
    config = _config(workdir)
    return config | {"dataset": places.found(config["dataset"], _begun_in(workdir))}


def _begun_in(workdir: pathlib.Path) -> str:
    """The folder that a run was begun in; "" where nobody knows."""
    return read_run(workdir).get("folder", "") if (workdir / "run.json").exists() else ""


def read_run(workdir: pathlib.Path) -> dict:
    """What run.json says of a run: versions, devices, number and shape of the images.

    Raises:
      InputError: if there is none, or it is damaged.
    """
    return _read(workdir, "run.json", fields.RUN)


def read_preparation(workdir: pathlib.Path) -> Preparation:
    """What the samples of a run went through.

    Raises:
      InputError: if there is no run.
    """
    run, statistics = read_run(workdir), {}
    if "image_shape" not in run:
        statistics = _read(workdir, _STATISTICS, fields.STATISTICS)
        widths = {run.get("num_features"), *(len(v) for v in statistics.values())}
        if len(widths) > 1:
            raise files.damaged(workdir / _STATISTICS, "it is of other features than run.json")
    return recorded(run, statistics)


def _no_writing(workdir: pathlib.Path, error: OSError) -> str:
    reason = storage.obstacle(workdir, error)
    return f"cannot write to --workdir={workdir} ({reason}); choose another folder"


def _config(workdir: pathlib.Path) -> dict:
    """The config of a run, as it was written."""
    config = _read(workdir, "config.json", fields.CONFIG)
    fields.check_config(workdir / "config.json", config)
    return config


def _read(workdir: pathlib.Path, name: str, kinds: Mapping[str, files.Kind]) -> dict:
    try:
        return files.read_object(workdir / name, kinds)
    except (FileNotFoundError, NotADirectoryError):
        near = _nearby(workdir)
        if workdir.is_file():
            raise InputError(f"{workdir} is a file; give the folder of a run{near}") from None
        left = [other for other in files.FILES if (workdir / other).exists()]
        if left:
            raise InputError(
                f"{workdir} has no {name} any more, but {left[0]}; put it back, or give another "
                "folder"
            ) from None
        raise InputError(
            f"{workdir} holds no run (no {name}); give the folder of one{near}"
        ) from None


def _nearby(path: pathlib.Path) -> str:
    """The run that a path was probably meant for: the one it is in, or the newest one below."""
    runs = [folder / "run.json" for folder in path.parents if (folder / "run.json").is_file()]
    runs += sorted(path.glob("*/run.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    return f", as {runs[0].parent}" if runs else ""


def changes(workdir: pathlib.Path, config: ConfigDict, affecting: tuple[str, ...]) -> str:
    """In which fields, and how, a config differs from the run's in the folder; "" if in none.

    Args:
      workdir: the run's folder.
      config: of the run that is to be started.
      affecting: only settings count that affect one of these.
    """
    before, now = _config(workdir), configs.as_json(config)
    begun = _begun_in(workdir)
    return "; ".join(
        f"{name} was {old!r} and is now {new!r}"
        for name, old, new, affects in configs.differences(before, now)
        if affects in affecting and not (name in places.FIELDS and places.are_one(old, new, begun))
    )
