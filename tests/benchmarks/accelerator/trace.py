"""Traces of some steps of CIFAR-10 and of one graph, and which kernels take longest."""

import collections
import functools
import gzip
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from pad_jax import parallel, profiling
from pad_jax import steps as train_steps
from pad_jax.epoch import STEPS_PER_DISPATCH
from pad_jax.graph.neighbors import pmap_search
from pad_jax.objectives.memory import random_rows
from tests.benchmarks.accelerator import steps
from tests.benchmarks.accelerator.parts import Figure, Options, Result, Row
from tests.benchmarks.accelerator.results import Results

_DISPATCHES, _SLOWEST = 2, 30


def rows(options: Options, results: Results) -> list[Row]:
    """Steps in bfloat16, and the graph."""
    return [
        Row("steps", 60, functools.partial(_trace_steps, options)),
        Row("graph", 25, functools.partial(_trace_graph, options)),
    ]


def _trace_steps(options: Options) -> Result:
    begun, each = steps.begin(options, "bfloat16"), STEPS_PER_DISPATCH[parallel.platform()]
    step = train_steps.pmap_resident_train_steps(begun.parts, each)

    def call():
        begun.held[:] = step(*begun.held, begun.images, begun.plan, np.int32(0))
        return begun.held

    return _traced(options.out / "trace" / "steps", call, _DISPATCHES, each)


def _trace_graph(options: Options) -> Result:
    n = options.sizes.rows
    search = pmap_search(n, 5, parallel.platform())
    features = parallel.replicate(random_rows(n, 128, options.seed))
    device = parallel.shard(np.arange(jax.device_count(), dtype=np.int32))
    return _traced(options.out / "trace" / "graph", lambda: search(device, features), 1, 1)


def _traced(folder: pathlib.Path, call: Callable[[], Any], calls: int, each: int) -> Result:
    """Traces calls of ``each`` steps; times are those of one step."""
    shutil.rmtree(folder, ignore_errors=True)
    jax.block_until_ready(call())  # compiled
    profiling.start(folder)
    try:
        for _ in range(calls):
            jax.block_until_ready(call())
    finally:
        jax.profiler.stop_trace()
    [file] = folder.rglob("perfetto_trace.json.gz")
    slowest = kernels(json.loads(gzip.decompress(file.read_bytes()))["traceEvents"])
    count = calls * each
    total = sum(kernel["us"] for kernel in slowest)
    figures = {"kernels, of one": Figure(total / count / 1e3, "ms")}
    return Result(figures, details={"of": count, "slowest": slowest[:_SLOWEST]})


def kernels(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What ran on the device by name, slowest in all first: microseconds, and how often.

    A GPU's kernels are those of its streams; other lines of the trace name the same times again.
    """
    named = (event for event in events if event.get("name") == "thread_name")
    threads = {(event["pid"], event["tid"]): event["args"]["name"] for event in named}
    timed = [event for event in events if event.get("ph") == "X"]
    chosen = [e for e in timed if threads.get((e["pid"], e["tid"]), "").startswith("Stream")]
    chosen = chosen or [e for e in timed if "hlo_op" in e.get("args", {})]
    found: dict[str, list[float]] = collections.defaultdict(list)
    for event in chosen:
        found[event["name"]].append(event["dur"])
    kernels = [{"name": k, "us": sum(v), "times": len(v)} for k, v in found.items()]
    return sorted(kernels, key=lambda kernel: -kernel["us"])
