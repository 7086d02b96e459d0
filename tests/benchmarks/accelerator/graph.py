"""The affinity graph and the SCS search at ImageNet's size, and other cuts of the graph."""

import functools
import time

import jax
import numpy as np

from pad_jax import parallel
from pad_jax.graph.groups import hard_positives
from pad_jax.graph.neighbors import Tiles, default_tiles, pmap_search
from pad_jax.graph.search import Graph
from pad_jax.graph.subgraphs import strongly_connected_subgraphs
from pad_jax.objectives.memory import random_rows
from tests.benchmarks.accelerator import timing
from tests.benchmarks.accelerator.parts import Figure, Options, Result, Row
from tests.benchmarks.accelerator.results import Results

_K, _DIM, _CHECKED = 5, 128, 50


def rows(options: Options, results: Results) -> list[Row]:
    """The default cut with what follows it, then the other one."""
    sizes, platform = options.sizes, parallel.platform()
    found = []
    for n, seconds in ((sizes.large_rows, 60), (sizes.rows, 15)):
        default = default_tiles(n, _K, platform)
        tall, wide, run = sizes.tiles
        other = default._replace(rows=tall, columns=wide, run=run)
        for tiles, follows in ((default, n == sizes.large_rows), (other, False)):
            name = f"N = {n}, tiles of {tiles.rows} x {tiles.columns}, runs of {tiles.run}"
            measure = functools.partial(_graph, options, n, tiles, follows)
            found.append(Row(name, seconds if follows else 0.6 * seconds, measure))
    return found


def _graph(options: Options, n: int, tiles: Tiles, follows: bool) -> Result:
    features = random_rows(n, _DIM, options.seed)
    search = pmap_search(n, _K, parallel.platform(), tiles=tiles)
    device = np.arange(jax.device_count(), dtype=np.int32)
    given = parallel.shard(device), parallel.replicate(features)
    program = timing.compiled(search, *given)
    repeats = 2 if follows else min(options.sizes.repeats, 3)
    times = timing.seconds_of_calls(lambda: program.call(*given), repeats)
    predicted = timing.least_seconds(search, *given, known={0: np.int32(0)})
    figures = {f"graph, {k}": v for k, v in timing.milliseconds(times, predicted).items()}
    figures |= timing.peak_memory() if follows else {}
    figures["temporaries"] = timing.gigabytes(program.temporaries)
    figures["compiling"] = Figure(program.seconds, "s")
    indices, similarities = (parallel.fetch_rows(x, n) for x in program.call(*given))
    graph = Graph(indices, similarities)
    figures |= against_float64(features, graph, options.seed)
    if follows:
        figures |= _groups(features, graph)
    return Result(figures, details={"seconds": times, "tiles": tiles._asdict()})


def against_float64(features: np.ndarray, graph: Graph, seed: int) -> dict[str, Figure]:
    """Some of the graph's rows, held against all similarities in float64."""
    chosen = np.random.default_rng(seed).choice(len(features), _CHECKED, replace=False)
    asked = features[chosen].astype(np.float64)
    blocks = range(0, len(features), 2**16)
    all_of_them = [asked @ features[i : i + 2**16].T.astype(np.float64) for i in blocks]
    similarities = np.concatenate(all_of_them, axis=1)
    similarities[np.arange(_CHECKED), chosen] = -np.inf
    k = graph.indices.shape[1]
    nearest = np.stack([_largest(row, k) for row in similarities])
    exact = np.take_along_axis(similarities, nearest, axis=1)
    same = (graph.indices[chosen] == nearest).all(axis=1)
    error = np.abs(graph.similarities[chosen] - exact).max()
    return {
        "rows as in float64": Figure(float(same.mean())),
        "largest error of a similarity": Figure(float(error)),
    }


def _largest(row: np.ndarray, k: int) -> np.ndarray:
    """Where the k largest of a row are, the largest first, of equals the first."""
    found = np.flatnonzero(row >= np.partition(row, -k)[-k])
    return found[np.argsort(-row[found], kind="stable")[:k]]


def _groups(features: np.ndarray, graph: Graph) -> dict[str, Figure]:
    """What the host does with the graph."""
    hard_positives(strongly_connected_subgraphs(np.zeros((20, _K), np.int32)), features[:20])
    start = time.perf_counter()
    group_id = strongly_connected_subgraphs(graph.indices)
    searched = time.perf_counter()
    hard_positives(group_id, features)
    sizes = np.bincount(group_id, minlength=len(group_id))
    return {
        "SCS search": Figure(searched - start, "s"),
        "hard positives": Figure(time.perf_counter() - searched, "s"),
        "coverage": Figure(float(sizes[sizes > 1].sum() / len(group_id))),
    }
