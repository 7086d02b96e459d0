"""When the training of an epoch pauses: to be saved, or because the program is to stop."""

import time
from collections.abc import Callable

import jax

from pad_jax import parallel, signals

_ASKED_EVERY = 10  # dispatches; of several processes, which have to agree


class Breaks:
    """Asked after each dispatch of training steps whether to pause there.

    Args:
      every_minutes: after which time something is saved; None: no time.
      each: what else is done after each dispatch.
    """

    def __init__(self, every_minutes: float | None, each: Callable[[], None] = lambda: None):
        self._each = each
        self._seconds = None if every_minutes is None else 60 * every_minutes
        self._since, self._calls = time.monotonic(), 0
        self.stop_by = 0  # the signal that asks to stop, the same on all processes; 0 for none

    def __call__(self) -> bool:
        """Whether to pause now; the same on all processes, each of which has to ask."""
        self._each()
        self._calls += 1
        if jax.process_count() > 1 and self._calls % _ASKED_EVERY:
            return False
        return self.stops() or self.is_due()

    def stops(self) -> bool:
        """Whether a signal has asked one of the processes to stop; ``stop_by`` then is that."""
        self.stop_by = self.stop_by or parallel.largest(signals.asked())
        return self.stop_by != 0

    def is_due(self) -> bool:
        """Whether it is time to save something, by the first process's clock."""
        if self._seconds is None:
            return False
        late = time.monotonic() - self._since >= self._seconds
        return bool(parallel.largest(late and jax.process_index() == 0))

    def saved(self) -> None:
        """Something has been saved just now."""
        self._since = time.monotonic()
