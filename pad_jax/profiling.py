"""A trace of some of a run's work, for people who want to see where its time goes."""

import os
import pathlib

import jax

from pad_jax import storage
from pad_jax.errors import InputError

_DISPATCHES = 20  # of steps; the host has waited for the last of them when it asks


def start(folder: pathlib.Path) -> None:
    """Begins a trace, which ``jax.profiler.stop_trace`` writes into the folder."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # calls of Python would hide all else
    jax.profiler.start_trace(folder, create_perfetto_trace=True, profiler_options=options)


class Profile:
    """Traces one epoch's graph, and its first steps.

    That is the second epoch of those that are trained, where there are two: the first compiles.

    Args:
      folder: where the trace goes, for xprof, and as ``perfetto_trace.json.gz``; None: no trace.

    Raises:
      InputError: where nothing can be written there.
    """

    def __init__(self, folder: str | os.PathLike | None):
        self._folder = None if folder is None else pathlib.Path(folder)
        self._left = 0
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(storage.unwritten(self._folder, error)) from None

    def begin(self, epoch: int, first: int, last: int) -> None:
        """An epoch begins, of those from ``first`` to ``last``."""
        wanted = self._folder is not None and jax.process_index() == 0
        if wanted and epoch == min(first + 1, last):
            start(self._folder)
            self._left = _DISPATCHES

    def dispatched(self) -> None:
        """Steps have been dispatched."""
        if self._left > 1:
            self._left -= 1
        else:
            self.close()

    def close(self) -> None:
        """Ends the trace, where an epoch is shorter, or the run has ended."""
        if self._left:
            self._left = 0
            jax.profiler.stop_trace()
