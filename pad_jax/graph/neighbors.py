"""The affinity graph (Eq 1): exact k nearest neighbours by cosine similarity.

Rows are taken in runs of 32, or of 16. A row's k nearest lie in the k runs with the largest maxima:
a run outside them has k runs before it, each with a row at least as similar. So a first pass over
the similarities keeps maxima only, and a second one looks through k runs a row. The matrix is
symmetric: the first pass computes one half of it, each tile for its rows and for its columns.
"""

import functools
import operator
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax import parallel
from pad_jax.graph.rows import unit_rows
from pad_jax.graph.search import Graph


class Tiles(NamedTuple):
    """How much is done at a time.

    Attributes:
      rows, columns: of a tile of similarities; a multiple of each other and of ``run``.
      gathered: floats gathered at a time when runs are looked through.
      run: rows of which only the largest similarity is compared at first.
      merged: blocks of rows whose maxima are merged at a time.
      in_passes: whether the k largest are found by passes over all, the largest that is left in
        each. That suits a device whose ``top_k`` sorts; a CPU's keeps k of them in one pass.
    """

    rows: int
    columns: int
    gathered: int
    run: int = 32
    merged: int = 1
    in_passes: bool = False


_CPU = Tiles(1024, 512, 2**20)  # 2 MB of similarities, which stay in the caches
# A merge is a few kernels however small it is, so many blocks share one.
_ACCELERATOR = Tiles(4096, 4096, 2**26, merged=16, in_passes=True)
# With many neighbours of few rows looking through runs costs more than comparing their maxima.
_SHORT_RUN, _ROWS_PER_NEIGHBOR = 16, 2000


def nearest_neighbors(
    features: np.ndarray | jax.Array, k: int, *, platform: str | None = None
) -> Graph:
    """The k most similar other rows of each row, N_k of Eq 1, exactly.

    The work is divided over the devices, each of which holds all features. Nothing larger than
    [N, D + 64] floats is held ([N, D + 256] on accelerators).

    Args:
      features: numbers [N, D], rows of any length but zero; they are normalised, and those of
        length one (to 1e-6) taken as they are.
      k: number of neighbours, at most N - 1.
      platform: "cpu", "gpu" or "tpu", whose caches the work is cut for; None: the devices at hand.

    Returns:
      A ``Graph``, the pair (indices int32 [N, k], similarities float32 [N, k]): nearest first, ties
      to the lower index, a row never its own neighbour. Similarities are cosines in full float32
      precision on every platform; what differs by less than 1e-7 is as good as a tie.

    Raises:
      ValueError: if k is not in 1..N-1; for a row that is all zeros or not finite.
    """
    return exact_graph(unit_rows(_on_host(features)), k, platform=platform)


def exact_graph(features: np.ndarray | jax.Array, k: int, *, platform: str | None = None) -> Graph:
    """``nearest_neighbors`` of rows as they are, which training finds its groups in.

    An encoder of random weights makes a row of zeros of a black image; that is no reason to stop.

    Args:
      features: float32 [N, D], unit rows; of a JAX array that all devices hold there is no copy.
      k: as there.
      platform: as there.

    Returns:
      As there.

    Raises:
      ValueError: if k is not in 1..N-1.
    """
    n, k = len(features), operator.index(k)
    if n < 2:
        raise ValueError(f"there are {n} rows; give two or more, which can be neighbours")
    if not 1 <= k < n:
        raise ValueError(f"k={k} neighbours cannot be chosen among {n} rows; use 1 <= k <= {n - 1}")
    if not parallel.is_everywhere(features):
        features = parallel.replicate(np.asarray(_on_host(features), np.float32))
    search = pmap_search(n, k, platform or parallel.platform())
    device = parallel.shard(np.arange(jax.device_count(), dtype=np.int32))
    found = search(device, features)
    indices, similarities = (parallel.fetch_rows(x, n) for x in found)
    return Graph(indices, similarities)


def _on_host(features):
    return parallel.fetch(features) if isinstance(features, jax.Array) else features


def pmap_search(
    num_rows: int,
    k: int,
    platform: str,
    devices: tuple[jax.Device, ...] | None = None,
    tiles: Tiles | None = None,
) -> Callable:
    """The search of so many rows, over all devices.

    Args:
      num_rows: N.
      k: number of neighbours.
      platform: "cpu", "gpu" or "tpu", whose caches the work is cut for.
      devices: to build it for; None for all that are at hand.
      tiles: how it is cut; None: as suits the platform.

    Returns:
      f(device int32 [devices], their numbers; features float32 [N, D]) -> (indices, similarities),
      [devices, rows per device, k] each.
    """
    tiles = tiles or default_tiles(num_rows, k, platform)
    columns = min(tiles.columns, _round_up(num_rows, tiles.run))
    rows = min(tiles.rows, _round_up(num_rows, columns))
    return _pmap_search(k, tiles._replace(columns=columns, rows=rows), devices)


def default_tiles(num_rows: int, k: int, platform: str) -> Tiles:
    """How the search of so many rows is cut on a platform; smaller where there are fewer rows."""
    tiles = _CPU if platform == "cpu" else _ACCELERATOR
    if platform == "cpu" and num_rows <= _ROWS_PER_NEIGHBOR * k:
        tiles = tiles._replace(run=_SHORT_RUN)
    return tiles


@functools.lru_cache(maxsize=8)
def _pmap_search(k, tiles, devices):
    search = functools.partial(_search, k=k, tiles=tiles)
    return jax.pmap(search, axis_name=parallel.AXIS, in_axes=(0, None), devices=devices)


def _search(device, features, k, tiles):
    """Neighbours of this device's share of the rows, among all features [N, D]."""
    kept = min(k, -(-len(features) // tiles.run))  # there may be fewer runs than neighbours
    maxima, runs = (_exchange(x) for x in _nearest_runs(device, features, kept, tiles))
    # Found by several devices: the nearest of all, ties to the lower run.
    _, runs, maxima = lax.sort((-maxima, runs, maxima), num_keys=2)
    runs = jnp.where(jnp.isneginf(maxima), -1, runs)[:, :kept]
    first = device * len(runs)
    return _look_through(first, runs, features, k, tiles)


def _nearest_runs(device, features, k, tiles):
    """Of every row the k runs with the largest maxima, as far as this device compares them.

    Returns:
      (maxima float32 [N, k], runs int32 [N, k]): largest first; -inf where there are fewer.
    """
    rows, columns, run = tiles.rows, tiles.columns, tiles.run
    n = len(features)
    blocks = -(-n // rows)
    strips_per_block = rows // columns
    strips = blocks * strips_per_block
    runs_per_block, runs_per_strip = rows // run, columns // run
    # The rows of a strip are laid out so that maxima over runs are taken elementwise over vectors.
    order = np.arange(columns).reshape(runs_per_strip, run).T.reshape(-1)
    row_order = (np.arange(0, rows, columns)[:, None] + order).reshape(-1)
    index = np.arange(0, strips * columns, columns)[:, None] + order
    # Padding repeats the last row: the maximum of its run stays what it is, without a mask.
    features = features.at[index].get(mode="clip")

    def compare_block(i, nearest):
        """Compares block i with itself and the blocks after it."""
        i = device + i * lax.axis_size(parallel.AXIS)
        first_strip = i * strips_per_block
        block = lax.dynamic_slice_in_dim(features, first_strip, strips_per_block)
        block = block.reshape(rows, -1)

        def compare(j):
            return lax.dot_general(
                block, features[j], (((1,), (1,)), ((), ())), precision=lax.Precision.HIGHEST
            )

        def enter_rows(j, similarity, of_rows):
            tile = similarity.reshape(rows, run, runs_per_strip).max(1)
            return lax.dynamic_update_slice_in_dim(of_rows, tile, j * runs_per_strip, 1)

        def compare_own_strip(j, of_rows):
            similarity = _mask(compare(j), i * rows + row_order, j * columns + order, n)
            return enter_rows(j, similarity, of_rows)

        def compare_strip(j, maxima):
            of_rows, of_columns = maxima
            similarity = compare(j)
            tile = similarity.reshape(strips_per_block, run, runs_per_strip, columns).max(1)
            of_columns = of_columns.at[j].set(tile.reshape(runs_per_block, columns))
            return enter_rows(j, similarity, of_rows), of_columns

        others = first_strip + strips_per_block
        of_rows = jnp.full((rows, strips * runs_per_strip), -jnp.inf, jnp.float32)
        of_rows = lax.fori_loop(first_strip, others, compare_own_strip, of_rows)
        of_columns = jnp.full((merges * merged, runs_per_block, columns), -jnp.inf, jnp.float32)
        of_rows, of_columns = lax.fori_loop(others, strips, compare_strip, (of_rows, of_columns))

        def merge_columns(b, nearest):
            maxima = lax.dynamic_slice_in_dim(of_columns, b * merged, merged)
            return merge(nearest, b * merged, maxima, 1, i * runs_per_block)

        of_rows = of_rows.at[:, -(-n // run) :].set(-jnp.inf)  # runs of nothing but padding
        of_rows = of_rows.reshape(strips_per_block, columns, -1)
        nearest = merge(nearest, first_strip, of_rows, 2, 0)
        return lax.fori_loop(others // merged, merges, merge_columns, nearest)

    merge = functools.partial(_merge, in_passes=tiles.in_passes)
    merged = min(tiles.merged, blocks) * strips_per_block
    merges = -(-strips // merged)
    nearest = (
        jnp.full((merges * merged, columns, k), -jnp.inf, jnp.float32),
        jnp.zeros((merges * merged, columns, k), jnp.int32),
    )
    devices = lax.axis_size(parallel.AXIS)
    mine = (blocks - device + devices - 1) // devices
    nearest = lax.fori_loop(0, mine, compare_block, nearest)

    def in_order(x):
        x = x.reshape(-1, run, runs_per_strip, k).swapaxes(1, 2)
        return x.reshape(-1, k)[:n]

    return jax.tree.map(in_order, nearest)


def _mask(similarity, rows, columns, n):
    """Takes a row's similarity to itself and to padding out."""
    own = rows[:, None] == columns
    return jnp.where(own | (columns >= n), -jnp.inf, similarity)


def _merge(nearest, first_strip, maxima, axis, first_run, *, in_passes):
    """Enters maxima of consecutive runs; those of earlier runs stay first in ties.

    Args:
      nearest: (values, runs), [strips, columns, k] each, of all rows.
      first_strip: the first whose rows are entered into.
      maxima: [some strips, columns, runs], or [some strips, runs, columns].
      axis: that of the runs.
      first_run: the first of these; no earlier merge had a later one.
      in_passes: as in ``Tiles``.
    """
    values, runs = (lax.dynamic_slice_in_dim(x, first_strip, len(maxima)) for x in nearest)
    find = _largest_in_passes if in_passes else _largest_by_top_k
    found = find(values, runs, maxima, axis, first_run)
    return tuple(
        lax.dynamic_update_slice_in_dim(x, new, first_strip, 0)
        for x, new in zip(nearest, found, strict=True)
    )


def _largest_by_top_k(values, runs, maxima, axis, first_run):
    """The k largest of k known values [..., k] and of maxima, with their runs: [..., k] each."""
    shape = values.shape
    maxima = jnp.moveaxis(maxima, axis, -1)
    values, runs, maxima = (x.reshape(-1, x.shape[-1]) for x in (values, runs, maxima))
    k = shape[-1]
    best, place = lax.top_k(jnp.concatenate([values, maxima], axis=1), k)
    known = jnp.take_along_axis(runs, jnp.minimum(place, k - 1), axis=1)
    runs = jnp.where(place < k, known, first_run + place - k)
    return best.reshape(shape), runs.reshape(shape)


def _largest_in_passes(values, runs, maxima, axis, first_run):
    """As ``_largest_by_top_k``: each pass finds the largest after the last, in order of runs.

    No pass writes more than one value and one run for each row, and nothing is moved or sorted.
    """
    values, runs = (jnp.moveaxis(x, -1, 0) for x in (values, runs))
    k, *rows = values.shape

    def next_largest(last, _):
        new_runs = first_run + lax.broadcasted_iota(jnp.int32, maxima.shape, axis)
        new = _first_after(last, maxima, new_runs, axis)
        best = _before(_first_after(last, values, runs, 0), new)
        return best, best

    start = (jnp.full(rows, jnp.inf, jnp.float32), jnp.full(rows, -1, jnp.int32))
    _, found = lax.scan(next_largest, start, length=k)
    return tuple(jnp.moveaxis(x, 0, -1) for x in found)


def _first_after(last, values, runs, axis):
    """The largest value, and of equal ones the lowest run, that comes after the last one found."""
    value, run = (jnp.expand_dims(x, axis) for x in last)
    left = (values < value) | ((values == value) & (runs > run))
    none = (np.float32(-np.inf), np.iinfo(np.int32).max)
    return lax.reduce((jnp.where(left, values, -jnp.inf), runs), none, _before, (axis,))


def _before(a, b):
    """Which of two pairs (value, run) comes first: the larger value, or the lower run."""
    first = (a[0] > b[0]) | ((a[0] == b[0]) & (a[1] < b[1]))
    return tuple(jnp.where(first, x, y) for x, y in zip(a, b, strict=True))


def _exchange(x):
    """What all devices found for this device's rows: [N, k] -> [rows, devices * k]."""
    devices, (n, k) = lax.axis_size(parallel.AXIS), x.shape
    rows = -(-n // devices)
    x = jnp.pad(x, ((0, rows * devices - n), (0, 0))).reshape(devices, rows, k)
    x = lax.all_to_all(x, parallel.AXIS, 0, 0)
    return x.swapaxes(0, 1).reshape(rows, devices * k)


def _look_through(first, runs, features, k, tiles):
    """The k nearest within some runs of each row, [rows, kept], -1 for none: two of [rows, k]."""
    (num_rows, kept), (n, dim), run = runs.shape, features.shape, tiles.run
    size = max(1, min(num_rows, tiles.gathered // (kept * run * dim)))
    parts = -(-num_rows // size)
    runs = jnp.pad(runs, ((0, parts * size - num_rows), (0, 0))).reshape(parts, size, kept)

    def look(args):
        part, runs = args
        own = first + part * size + jnp.arange(size, dtype=jnp.int32)
        runs = jnp.sort(runs, axis=1)
        index = (runs[:, :, None] * run + jnp.arange(run, dtype=jnp.int32)).reshape(
            size, kept * run
        )
        similarity = jnp.einsum(
            "bcd,bd->bc",
            features.at[index].get(mode="clip"),
            features.at[own].get(mode="clip"),
            precision=lax.Precision.HIGHEST,
        )
        valid = (index >= 0) & (index < n) & (index != own[:, None])
        values, place = lax.top_k(jnp.where(valid, similarity, -jnp.inf), k)
        return jnp.take_along_axis(index, place, axis=1), values

    found = lax.map(look, (jnp.arange(parts, dtype=jnp.int32), runs))
    return jax.tree.map(lambda x: x.reshape(parts * size, k)[:num_rows], found)


def _round_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
