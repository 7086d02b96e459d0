"""Checkpoints with Orbax: the whole train state, from the host, independent of the device count."""

import dataclasses
import pathlib
from typing import Any, ClassVar

import jax
import numpy as np

from pad_jax.errors import InputError, first_line
from pad_jax.settings import NOTHING, at_least, setting
from pad_jax.state import TrainState

_ITEM = "default"  # what Orbax calls the one thing that a checkpoint holds


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """What is saved when."""

    SECTION: ClassVar[str] = "checkpoint"

    every_epochs: int = setting(1, "and after the last epoch", at_least(1), affects=NOTHING)
    keep: int = setting(2, "the newest so many", at_least(1), affects=NOTHING)


def newest_epoch(workdir: pathlib.Path) -> int:
    """How many epochs the newest checkpoint in a run's folder has behind it, without opening it.

    Raises:
      InputError: where there is none.
    """
    found = epochs(workdir)
    if not found:
        raise InputError(f"{workdir} holds no checkpoint; train first, or give another folder")
    return found[-1]


def epochs(workdir: pathlib.Path) -> list[int]:
    """How many epochs each checkpoint in a run's folder has behind it, in order."""
    # What Orbax has not finished has another name.
    names = [path.name for path in (workdir / "checkpoints").glob("*")]
    return sorted(int(name) for name in names if name.isdecimal())


def read_part(workdir: pathlib.Path, epoch: int, like: Any) -> Any:
    """A part of a checkpoint; nothing else of it is read, as memory, optimiser state or head.

    Args:
      workdir: the run's folder.
      epoch: of a checkpoint that exists.
      like: shapes of what is wanted, a tree of dicts by the names that a ``TrainState`` has.

    Returns:
      The tree, NumPy.

    Raises:
      InputError: as ``Checkpoints.restore``.
    """
    import orbax.checkpoint as ocp  # here, not at the top: it takes a second to load

    path = (workdir / "checkpoints" / str(epoch)).absolute()
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
    args = ocp.args.PyTreeRestore(item=like, restore_args=as_numpy, partial_restore=True)
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            return checkpointer.restore(path / _ITEM, args=args)
    except Exception as error:  # Orbax and TensorStore raise all kinds
        raise _unreadable(path, error) from error


class Checkpoints:
    """The checkpoints of one run, ``workdir/checkpoints/<epochs done>``.

    Args:
      workdir: the run's folder.
      keep: how many of the newest are kept.
    """

    def __init__(self, workdir: pathlib.Path, keep: int = 1):
        import orbax.checkpoint as ocp  # here, not at the top: it takes a second to load

        self._arguments = ocp.args
        self._manager = ocp.CheckpointManager(
            (workdir / "checkpoints").absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep),
            item_handlers=ocp.StandardCheckpointHandler(),
        )

    def latest_epoch(self) -> int | None:
        """How many epochs the newest checkpoint has behind it; None where there is none."""
        return self._manager.latest_step()

    def save(self, epoch: int, state: TrainState) -> None:
        """Saves a state as ``state.to_host`` gives it; returns before it is written."""
        self._manager.save(epoch, args=self._arguments.StandardSave(state))

    def restore(self, epoch: int, like: TrainState | None = None) -> Any:
        """The state after an epoch, on the host.

        Args:
          epoch: of a checkpoint that exists.
          like: a state of the same structure, shapes and types. Without it the result is made of
            dicts and lists, which is enough to read the encoder's variables from.

        Raises:
          InputError: for a checkpoint that is damaged, or just being replaced.
        """
        try:
            return self._manager.restore(epoch, args=self._arguments.StandardRestore(like))
        except Exception as error:  # Orbax and TensorStore raise all kinds
            raise _unreadable(self._manager.directory / str(epoch), error) from error

    def close(self) -> None:
        """Waits until everything is written."""
        self._manager.close()


def _unreadable(path: pathlib.Path, error: Exception) -> InputError:
    reason = first_line(error) or "no reason given"
    return InputError(
        f"{path} cannot be restored ({type(error).__name__}: {reason[:200]}); if a run is saving "
        "there just now try again; if it is damaged move it away to go on from the one before"
    )
