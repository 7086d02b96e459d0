"""TensorBoard's events, written at once: an error is raised to who writes, not in a thread."""

import contextlib
import pathlib
import time
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

_BINS = 30  # of a histogram; TensorBoard shows as many


class Writer:
    """Writes scalars and histograms into a new file of events.

    tensorboardX' own ``SummaryWriter`` writes from a thread. On a full disk that ends in a
    traceback, and who writes on waits for it for ever.

    Args:
      folder: of the files; made where there is none.
      step: how many steps are done: what files of before have of later ones is not shown.

    Raises:
      OSError: where nothing can be written there, here and below.
    """

    def __init__(self, folder: pathlib.Path, step: int):
        from tensorboardX.event_file_writer import EventsWriter  # loads PyTorch where there is one
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._event = Event
        folder.mkdir(parents=True, exist_ok=True)
        self._file = EventsWriter(str(folder / "events"))
        # A run that ends by an error closes nothing.
        weakref.finalize(self, _give_up, self._file)
        start = SessionLog(status=SessionLog.START)
        self._file.write_event(Event(wall_time=time.time(), step=step + 1, session_log=start))

    def write(
        self, step: int, scalars: Mapping[str, float], histograms: Mapping[str, np.ndarray]
    ) -> None:
        """Writes values by name, histograms as all the numbers that they are of."""
        from tensorboardX import summary

        values = [summary.scalar(name, value) for name, value in scalars.items()]
        values += [summary.histogram(k, v, _BINS) for k, v in histograms.items()]
        for value in values:
            self._file.write_event(self._event(wall_time=time.time(), step=step, summary=value))
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


def _give_up(file: Any) -> None:
    with contextlib.suppress(OSError, ValueError):
        file.close()
