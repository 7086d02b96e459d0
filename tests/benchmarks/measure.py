"""What the benchmarks share: paired timing, peak memory, a table and a JSON file."""

import argparse
import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any


def seconds(f: Callable) -> float:
    """Seconds one call takes."""
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def timed(rows: list[dict], name: str, f: Callable) -> Any:
    """What a call of JAX gives; adds its seconds, and the memory held after it, to the rows."""
    import jax  # here, not at the top: some benchmarks are of code that does without

    result = []
    elapsed = seconds(lambda: result.append(jax.block_until_ready(f())))
    rows.append({"part": name, "seconds": elapsed, "MiB held": resident_mib()})
    return result[0]


def in_turn(rounds: int, **contenders: Callable) -> dict[str, float]:
    """Median seconds of each contender, called in turn so that all see the same machine.

    Each is called once before, uncounted.
    """
    for f in contenders.values():
        f()
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, f in contenders.items():
            times[name].append(seconds(f))
    return {name: statistics.median(values) for name, values in times.items()}


def resident_mib(peak: bool = False) -> float:
    """MiB of memory this process holds, or the most it ever held."""
    field = "VmHWM" if peak else "VmRSS"
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {field}")


def arguments(description: str, **defaults: int) -> argparse.Namespace:
    """Parses --json PATH and an integer option for each default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=pathlib.Path, help="also write the rows to this file")
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return parser.parse_args()


def report(title: str, rows: list[dict], path: pathlib.Path | None) -> None:
    """Prints rows as a Markdown table under the machine they were measured on."""
    environment = {
        "processor": processor("model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "jax": metadata.version("jax"),
    }
    print(f"\n{title}\n{', '.join(f'{k} {v}' for k, v in environment.items())}\n")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, ["---"] * len(columns)]
    cells += [[_format(row.get(name, "")) for name in columns] for row in rows]
    for line in cells:
        print(f"| {' | '.join(line)} |")
    if path:
        path.write_text(json.dumps({"title": title, **environment, "rows": rows}, indent=1))


def _format(value) -> str:
    return f"{value:.3g}" if isinstance(value, float) and value < 1000 else f"{value}"


def processor(*fields: str) -> str:
    """What Linux says of the processor by any of some names; "" where it says nothing."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        name, _, said = line.partition(":")
        if name.strip() in fields:
            return said.strip()
    return ""
