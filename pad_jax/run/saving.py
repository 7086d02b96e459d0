"""Saving a state that lies on the devices: after an epoch, within one, and where a signal comes."""

import contextlib
from collections.abc import Callable, Iterator

import jax

from pad_jax import signals, state
from pad_jax.run.begun import Begun
from pad_jax.run.checkpoints import Checkpoints
from pad_jax.signals import Stopped
from pad_jax.state import TrainState


@contextlib.contextmanager
def if_stopped(checkpoints: Checkpoints, save: Callable[[], None] | None) -> Iterator[None]:
    """What comes between the training of two epochs: a signal there saves what was trained.

    Of several processes each gets its signal elsewhere, and they could not save together.
    """
    if save is None or jax.process_count() > 1:
        yield
        return
    try:
        with signals.worth_waiting_for(), signals.unwrapped():
            yield
    except Stopped:
        with signals.patient():
            save()
            checkpoints.wait()
        raise


def after(checkpoints: Checkpoints, train_state: TrainState, epoch: int, num_samples: int) -> None:
    """Saves a state on the devices, after so many epochs, unless it is there."""
    if epoch not in checkpoints:
        checkpoints.save(epoch, state.to_host(train_state, num_samples))


def within(checkpoints: Checkpoints, train_state: TrainState, begun: Begun) -> None:
    """Saves a state on the devices, and the epoch in whose midst it is."""
    num_samples = len(begun.found.groups.group_id)
    checkpoints.save_within(state.to_host(train_state, num_samples), begun)
