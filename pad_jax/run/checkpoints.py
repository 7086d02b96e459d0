"""Checkpoints with Orbax: the whole train state, from the host, independent of the device count.

``workdir/checkpoints/<epochs done>`` holds the state between two epochs, and
``workdir/within_epoch/<steps done>`` that in the midst of one. Each has the hashes of its arrays.
"""

import dataclasses
import errno
import functools
import itertools
import json
import logging
import operator
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import numpy as np

from pad_jax import parallel, signals, storage
from pad_jax.errors import InputError, first_line
from pad_jax.run.begun import Begun
from pad_jax.run.hashes import by_place, differing, hashes
from pad_jax.settings import NOTHING, at_least, more_than, setting
from pad_jax.state import TrainState

_log = logging.getLogger(__name__)
_WHOLE, _WITHIN = "checkpoints", "within_epoch"  # folders
_ITEM = "default"  # what Orbax calls the one thing that a checkpoint holds
_METADATA = "_CHECKPOINT_METADATA"  # its file of what is known of it
_LISTED = 10  # epochs in a message, the newest
# What the system says of files that are gone or others. All else it says is not of the checkpoint.
_OF_DAMAGE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


class Damaged(InputError):
    """A checkpoint is not as it was saved, or not of this run.

    Args:
      path: of the checkpoint.
      error: what is wrong with it.
    """

    def __init__(self, path: pathlib.Path, error: Exception):
        reason = first_line(error) or "no reason given"
        self.said = f"{path} cannot be restored ({type(error).__name__}: {reason[:200]})"
        super().__init__(
            f"{self.said}; if a run is saving there just now try again; if it is damaged move it "
            "away to go on from the one before"
        )


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """What is saved when."""

    SECTION: ClassVar[str] = "checkpoint"

    every_epochs: int = setting(1, "and after the last epoch", at_least(1), affects=NOTHING)
    every_minutes: float | None = setting(
        15.0, "within an epoch, too; None: never there", more_than(0, 5), affects=NOTHING
    )
    keep: int = setting(2, "the newest so many", at_least(1), affects=NOTHING)


def newest_epoch(workdir: pathlib.Path) -> int:
    """How many epochs the newest checkpoint in a run's folder has behind it, without opening it.

    Raises:
      InputError: where there is none.
    """
    if not (found := epochs(workdir)):
        if _numbers(workdir / _WITHIN):
            raise InputError(
                f"{workdir} holds no checkpoint of whole epochs yet, only where its training "
                "stopped; go on with it (checkpoint.every_epochs says how often it saves one)"
            )
        raise InputError(f"{workdir} holds no checkpoint; train first, or give another folder")
    return found[-1]


def chosen_epoch(workdir: pathlib.Path, epoch: int | None) -> int:
    """The epoch that is asked for, where there is a checkpoint after it; for None the newest's.

    Raises:
      InputError: where there is none.
    """
    newest = newest_epoch(workdir)
    if epoch is None:
        return newest
    chosen = operator.index(epoch)
    if chosen not in (found := epochs(workdir)):
        there = ", ".join(map(str, found[-_LISTED:]))
        raise InputError(
            f"{workdir} has no checkpoint after epoch {chosen}, but after: "
            f"{'..., ' * (len(found) > _LISTED)}{there}; give one of these (checkpoint.keep says "
            "how many a run keeps)"
        )
    return chosen


def epochs(workdir: pathlib.Path) -> list[int]:
    """How many epochs each checkpoint between two epochs has behind it, in order."""
    return _numbers(workdir / _WHOLE)


def saved_at(workdir: pathlib.Path, epoch: int) -> int:
    """When the checkpoint after an epoch was saved, in nanoseconds.

    Raises:
      InputError: where it is gone.
    """
    try:
        return _path(workdir, _WHOLE, epoch).stat().st_mtime_ns
    except FileNotFoundError:
        raise InputError(
            f"{workdir} keeps its checkpoint after epoch {epoch} no more; give the command again"
        ) from None


def is_saved(workdir: pathlib.Path, epoch: int) -> bool:
    """Whether there is a checkpoint after an epoch, with all its parts; they are not read."""
    path = _path(workdir, _WHOLE, epoch)
    return (path / _METADATA).is_file() and (path / _ITEM).is_dir()


def has_any(workdir: pathlib.Path) -> bool:
    """Whether a run's folder holds a checkpoint of any kind, whole or not."""
    return bool(epochs(workdir) or _numbers(workdir / _WITHIN))


def read(workdir: pathlib.Path, epoch: int, like: TrainState | None = None) -> Any:
    """The state after an epoch, on the host.

    Args:
      workdir: the run's folder.
      epoch: of a checkpoint that exists.
      like: a state of the same structure, shapes and types. Without it the result is made of dicts
        and lists, and only its encoder's variables are sure to be as they were saved.

    Raises:
      InputError: for a checkpoint that is damaged, of another encoder, or just being replaced.
    """
    return _read(_path(workdir, _WHOLE, epoch), like)


def read_part(workdir: pathlib.Path, epoch: int, like: Any) -> Any:
    """A part of a checkpoint; nothing else of it is read, as memory, optimiser state or head.

    Args:
      workdir: the run's folder.
      epoch: of a checkpoint that exists.
      like: shapes of what is wanted, a tree of dicts by the names that a ``TrainState`` has.

    Returns:
      The tree, NumPy.

    Raises:
      InputError: as ``read``.
    """
    import orbax.checkpoint as ocp  # here, not at the top: it takes a second to load

    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
    args = ocp.args.PyTreeRestore(item=like, restore_args=as_numpy, partial_restore=True)
    return _read(_path(workdir, _WHOLE, epoch), like, ocp.PyTreeCheckpointHandler(), args)


class Checkpoints:
    """What a run saves in its folder. One run at a time: what another left unfinished is removed.

    Args:
      workdir: the run's folder.
      keep: how many of the newest between two epochs are kept; of those within one the newest is.
    """

    def __init__(self, workdir: pathlib.Path, keep: int = 1):
        self._workdir, self._keep = workdir, keep
        self._within: dict[int, int] = {}  # steps done: the epoch in whose midst that is

    @functools.cached_property
    def _managers(self) -> tuple[Any, Any]:
        """Orbax's, of both folders. They read what is there, so nothing damaged may be."""
        import orbax.checkpoint as ocp  # here, not at the top: it takes a second to load

        def manager(name: str, keep: int) -> ocp.CheckpointManager:
            options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
            path = (self._workdir / name).absolute()
            return ocp.CheckpointManager(
                path, options=options, item_handlers=ocp.StandardCheckpointHandler()
            )

        return manager(_WHOLE, self._keep), manager(_WITHIN, 1)

    def newest(self, like: TrainState) -> tuple[TrainState, Begun | None, int] | None:
        """The newest state that is whole, the epoch in whose midst it is, and the epochs done.

        What is damaged is set aside, under another name, with a warning. Every process has to call
        this, before anything is saved.

        Args:
          like: a state of the same structure, shapes and types.

        Returns:
          None where nothing has been saved.

        Raises:
          InputError: where there are checkpoints, and none is whole; they stay where they are.
        """
        paths, damaged = _newest_first(self._workdir), []
        for path in paths:
            found, error = None, None
            try:
                found = _read_either(path, like)
            except Damaged as raised:
                error = raised
            if not parallel.largest(error is not None):
                break
            damaged.append((path, error or Damaged(path, ValueError("to another process"))))
        else:
            if damaged:
                raise damaged[0][1]
            return None
        for path in paths[len(damaged) + 1 :]:  # not wanted, but Orbax looks at them
            try:
                _recorded(path)
            except Damaged as error:
                damaged.append((path, error))
        for path, error in damaged:
            _set_aside(path, error)
        for step in _numbers(self._workdir / _WITHIN):
            self._within[step] = _recorded(_path(self._workdir, _WITHIN, step))["epoch"]
        return found

    def __contains__(self, epoch: int) -> bool:
        """Whether the state after an epoch is saved, or being saved."""
        whole, _ = self._managers
        return epoch in whole.all_steps()

    def save(self, epoch: int, state: TrainState) -> None:
        """Saves a state as ``state.to_host`` gives it; returns before it is written."""
        whole, _ = self._managers
        self._save(whole, epoch, state, {"epoch": epoch})  # which waits for the one before
        self._forget_within(whole.all_steps()[:-1])

    def finish(self) -> None:
        """Waits until everything is written, and keeps nothing in the midst of epochs."""
        self.wait()
        self._forget_within(self._managers[0].all_steps())

    def save_within(self, state: TrainState, begun: Begun) -> None:
        """Saves a state and the epoch in whose midst it is; returns before it is written."""
        _, within = self._managers
        stored = begun.to_bytes()
        tree = {"state": state, "begun": stored}
        recorded = {"epoch": begun.epoch, "begun_bytes": len(stored)}
        self._save(within, int(state.step), tree, recorded)
        self._within[int(state.step)] = begun.epoch

    def wait(self) -> None:
        """Waits until what has been saved is written."""
        with signals.patient():
            for manager in self._managers:
                manager.wait_until_finished()

    def close(self) -> None:
        """Waits until everything is written."""
        if "_managers" not in self.__dict__:
            return
        with signals.patient():
            for manager in self._managers:
                manager.close()

    def _save(self, manager: Any, number: int, tree: Any, recorded: dict) -> None:
        import orbax.checkpoint as ocp

        storage.check_there(self._workdir)
        args, recorded = ocp.args.StandardSave(tree), recorded | {"sha256": hashes(tree)}
        manager.save(number, args=args, custom_metadata=recorded)

    def _forget_within(self, written: Sequence[int]) -> None:
        """Removes what lies in the midst of epochs, where a later epoch's end has been written."""
        _, within = self._managers
        within.wait_until_finished()
        for step in within.all_steps():
            if self._within.get(step, 0) < max(written, default=0):
                within.delete(step)


def _path(workdir: pathlib.Path, name: str, number: int) -> pathlib.Path:
    return (workdir / name / str(number)).absolute()


def _numbers(path: pathlib.Path) -> list[int]:
    # What Orbax has not finished has another name, and so has what is set aside.
    return sorted(int(found.name) for found in path.glob("*") if found.name.isdecimal())


def _newest_first(workdir: pathlib.Path) -> list[pathlib.Path]:
    """All that is saved. What lies in the midst of an epoch is newer than that epoch's start."""
    order = {_path(workdir, _WHOLE, epoch): (epoch, 0) for epoch in epochs(workdir)}
    for step in _numbers(workdir / _WITHIN):
        path = _path(workdir, _WITHIN, step)
        try:
            order[path] = (_recorded(path)["epoch"], step)
        except (Damaged, KeyError):  # it is found to be damaged when it is read
            order[path] = (np.inf, step)
    return sorted(order, key=order.__getitem__, reverse=True)


def _read_either(path: pathlib.Path, like: TrainState) -> tuple[TrainState, Begun | None, int]:
    """What ``newest`` gives, of a checkpoint between two epochs or in the midst of one."""
    if path.parent.name == _WHOLE:
        return _read(path, like), None, int(path.name)
    size = _recorded(path).get("begun_bytes", 0)
    tree = _read(path, {"state": like, "begun": np.zeros(size, np.uint8)})
    try:
        begun = Begun.from_bytes(tree["begun"])
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(path, error) from error
    return tree["state"], begun, begun.epoch


def _read(path: pathlib.Path, like: Any, handler: Any = None, args: Any = None) -> Any:
    """A tree with the content that was saved.

    Raises:
      InputError: otherwise.
    """
    import orbax.checkpoint as ocp  # here, not at the top: it takes a second to load

    handler, args = (
        handler or ocp.StandardCheckpointHandler(),
        args or ocp.args.StandardRestore(like),
    )
    recorded, print_unraisable = _recorded(path), sys.unraisablehook
    sys.unraisablehook = functools.partial(_without_late_reads, print_unraisable)
    try:
        with ocp.Checkpointer(handler) as checkpointer:
            tree = checkpointer.restore(path / _ITEM, args=args)
        if like is not None:
            _check_shapes(tree, like)
        if "sha256" in recorded and (name := differing(tree, recorded["sha256"])):
            raise ValueError(f"{name} is not as it was saved")
        if path.parent.name == _WHOLE and recorded.get("epoch", int(path.name)) != int(path.name):
            raise ValueError(f"it is of epoch {recorded['epoch']}")
    except Exception as error:  # Orbax and TensorStore raise all kinds
        raise _unreadable(path, error) from error
    sys.unraisablehook = print_unraisable
    return tree


def _without_late_reads(show: Callable[[Any], None], unraisable: Any) -> None:
    """Shows what cannot be raised, but not that of reads that end after one has failed."""
    if not storage.is_late(unraisable.exc_value):
        show(unraisable)


def _recorded(path: pathlib.Path) -> dict:
    """What is known of a checkpoint; nothing of one that was saved before hashes were recorded.

    Raises:
      InputError: where that is damaged.
    """
    try:
        return json.loads((path / _METADATA).read_text()).get("custom_metadata") or {}
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(path, error) from error


def _check_shapes(tree: Any, like: Any) -> None:
    """Raises ValueError where arrays are not as wanted; Orbax passes over other shapes."""
    pairs = zip(by_place(like).items(), jax.tree.leaves(tree), strict=True)
    for (name, wanted), found in pairs:
        if (wanted.shape, wanted.dtype) != (found.shape, found.dtype):
            raise ValueError(
                f"{name} is {found.dtype}{list(found.shape)}, and "
                f"{wanted.dtype}{list(wanted.shape)} in this run"
            )


def _set_aside(path: pathlib.Path, error: Damaged) -> None:
    """Gives what is damaged a name that is no number, so that the run can save anew there."""
    if jax.process_index() == 0:
        names = (path.with_name(f"{path.name}.damaged{n or ''}") for n in itertools.count())
        aside = next(name for name in names if not name.exists())
        path.rename(aside)
        _log.warning("%s; it is now called %s.", error.said, aside.name)
    parallel.largest(0)  # the others wait


def _unreadable(path: pathlib.Path, error: Exception) -> InputError:
    """What to raise where a checkpoint cannot be read, for whatever reason."""
    fault = storage.fault(error)
    if fault is not None and fault.number not in _OF_DAMAGE:
        reason = OSError(fault.number, os.strerror(fault.number))
        return InputError(storage.unread(pathlib.Path(fault.path or path), reason))
    return Damaged(path, error)
