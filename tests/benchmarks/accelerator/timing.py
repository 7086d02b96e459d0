"""Compiled programs: how long a call takes, and what it needs."""

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from pad_jax.plan import topologies
from pad_jax.plan.costs import count
from pad_jax.plan.estimate import least
from tests.benchmarks import measure
from tests.benchmarks.accelerator.parts import Figure

_log = logging.getLogger(__name__)


class Compiled(NamedTuple):
    """A program that is ready to be called.

    Attributes:
      call: it.
      seconds: compiling took, or reading what was compiled before.
      temporaries: bytes of one device that it needs besides what it is given.
    """

    call: Callable
    seconds: float
    temporaries: float


def compiled(program: Any, *arguments: Any) -> Compiled:
    """Compiles a pmapped program for arguments."""
    start = time.perf_counter()
    call = program.lower(*arguments).compile()
    seconds = time.perf_counter() - start
    return Compiled(call, seconds, call.memory_analysis().temp_size_in_bytes)


def seconds_of_calls(call: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds of each of some calls, after one that does not count."""
    jax.block_until_ready(call())
    return [measure.seconds(lambda: jax.block_until_ready(call())) for _ in range(repeats)]


def least_seconds(
    program: Any, *arguments: Any, known: Mapping[int, Any] | None = None
) -> float | None:
    """What ``--mode=plan`` says a call takes at least; None where the device is not known.

    A plan that fails is logged, and None: what is measured costs more than it.
    """
    peaks = topologies.at_hand().peaks
    try:
        cost = count(program, *arguments, known=known)
    except Exception:
        _log.exception("No plan of this program")
        return None
    return max(least(cost, peaks).values()) if peaks else None


def milliseconds(times: list[float], predicted: float | None = None) -> dict[str, Figure]:
    """The median, and how far times are spread."""
    scaled = np.array(times) * 1e3
    return {
        "median": Figure(statistics.median(scaled), "ms", _scaled(predicted, 1e3)),
        "least": Figure(scaled.min(), "ms"),
        "most": Figure(scaled.max(), "ms"),
    }


def gigabytes(value: float, predicted: float | None = None) -> Figure:
    """Bytes as a figure."""
    return Figure(value / 1e9, "GB", _scaled(predicted, 1e-9))


def peak_memory() -> dict[str, Figure]:
    """The most memory of a device that this process has held; nothing where that is not known."""
    bytes_held = peak_bytes()
    return {"peak device memory": gigabytes(bytes_held)} if bytes_held else {}


def peak_bytes() -> int | None:
    """The same in bytes."""
    statistics_of_device = jax.local_devices()[0].memory_stats() or {}
    return statistics_of_device.get("peak_bytes_in_use")


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
