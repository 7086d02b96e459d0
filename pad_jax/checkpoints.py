"""Checkpoints with Orbax: the whole train state, from the host, independent of the device count."""

import pathlib
from typing import Any

import orbax.checkpoint as ocp

from pad_jax.errors import InputError, first_line
from pad_jax.train_state import TrainState


class Checkpoints:
    """The checkpoints of one run, ``workdir/checkpoints/<epochs done>``.

    Args:
      workdir: the run's folder.
      keep: how many of the newest are kept.
    """

    def __init__(self, workdir: pathlib.Path, keep: int = 1):
        self._manager = ocp.CheckpointManager(
            (workdir / "checkpoints").absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep),
            item_handlers=ocp.StandardCheckpointHandler(),
        )

    def latest_epoch(self) -> int | None:
        """How many epochs the newest checkpoint has behind it; None where there is none."""
        return self._manager.latest_step()

    def save(self, epoch: int, state: TrainState) -> None:
        """Saves a state as ``train_state.to_host`` gives it; returns before it is written."""
        self._manager.save(epoch, args=ocp.args.StandardSave(state))

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
            return self._manager.restore(epoch, args=ocp.args.StandardRestore(like))
        except Exception as error:  # Orbax and TensorStore raise all kinds
            reason = first_line(error) or "no reason given"
            raise InputError(
                f"{self._manager.directory / str(epoch)} cannot be restored "
                f"({type(error).__name__}: {reason[:200]}); if a run is saving there just now try "
                "again; if it is damaged move it away to go on from the one before"
            ) from error

    def close(self) -> None:
        """Waits until everything is written."""
        self._manager.close()
