"""The affinity graph of many kinds of rows, against float64."""

from collections.abc import Iterator

import numpy as np

from pad_jax.graph import neighbors
from tests.studies.volume.cases import Case
from tests.support.neighbors_oracle import exact_similarities, naive_neighbors

# (N, D, k): each is compiled for once. Small tiles make ten blocks and more of a few hundred rows.
SHAPES = (
    (2, 1, 1), (3, 2, 2), (17, 3, 5), (33, 8, 32), (64, 16, 5), (65, 128, 20), (150, 4, 9),
    (193, 8, 7), (301, 24, 5), (500, 32, 1), (777, 8, 12), (1031, 16, 20),
)  # fmt: skip
_SMALL_TILES = neighbors.Tiles(rows=64, columns=32, gathered=2**12)
_IN_PASSES = _SMALL_TILES._replace(merged=2, in_passes=True)  # an accelerator's way
_ROUNDING = 1e-6  # of a cosine in float32


def random(rng, n, d):
    return rng.standard_normal((n, d))


def clustered(rng, n, d):
    centers = rng.standard_normal((max(n // 10, 1), d))
    return centers[rng.integers(len(centers), size=n)] + 0.05 * rng.standard_normal((n, d))


def duplicated(rng, n, d):
    return rng.standard_normal((max(n // 4, 1), d))[rng.integers(max(n // 4, 1), size=n)]


def tied(rng, n, d):
    """Few directions: nearly all similarities are one of a handful of values."""
    return rng.integers(-1, 2, (n, d)) + (d <= 2) * rng.choice([-2.0, 2.0], (n, 1))


KINDS = {f.__name__: f for f in (random, clustered, duplicated, tied)}


def whole_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of multiples of 1/64 up to 2: their products are exact in float32, in any order."""
    return np.clip(np.round(rows * 64), -128, 128).astype(np.float32) / 64


def wrong_if_whole(rows: np.ndarray, k: int) -> str:
    """What differs from float64 where nothing is rounded: nothing may, ties included."""
    found = neighbors.exact_graph(rows, k)
    indices, similarities = naive_neighbors(rows, k)
    for name, values, expected in (
        ("indices", found.indices, indices),
        ("similarities", found.similarities, similarities.astype(np.float32)),
    ):
        if (different := values != expected).any():
            row = int(different.any(1).argmax())
            return f"{name} of row {row}: {values[row].tolist()}, not {expected[row].tolist()}"
    return ""


def wrong_if_rounded(rows: np.ndarray, k: int) -> str:
    """What differs from float64 by more than rounding.

    Neighbours whose cosines differ by less may be found in either order. Rows that are equal may
    not: the lower is the first.
    """
    found = neighbors.nearest_neighbors(rows, k)
    rows = neighbors.unit_rows(rows)
    exact = exact_similarities(rows)
    indices, similarities = naive_neighbors(rows, k)
    of_found = np.take_along_axis(exact, found.indices, axis=1)
    own = np.arange(len(rows))[:, None]
    twice = np.diff(np.sort(found.indices, axis=1), axis=1) == 0
    falls = np.diff(found.similarities, axis=1) > 0
    for what, bad in (
        ("finds itself", found.indices == own),
        ("finds a row twice", twice),
        ("has a cosine that is not the row's", np.abs(found.similarities - of_found) > _ROUNDING),
        ("misses a nearer row", np.abs(similarities - of_found) > _ROUNDING),
        ("finds a later one of equal rows first", not_first_of_equals(rows, found.indices)),
        ("is not in falling order", falls),
    ):
        if bad.any():
            row = int(bad.any(1).argmax())
            return f"row {row} {what}: {found.indices[row].tolist()}, {indices[row].tolist()}"
    return ""


def not_first_of_equals(rows: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Bool [N, k]: where a row is found before an equal one with a lower index, its own aside."""
    kind = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    same = kind[:, None] == kind
    lower = np.tril(same, -1).sum(1)  # equal rows before each
    own = np.arange(len(rows))[:, None]
    lower = lower[found] - (same[own, found] & (own < found))
    of_found = kind[found]
    before = np.tril(of_found[:, :, None] == of_found[:, None, :], -1).sum(2)
    return lower != before


def cases(seed: int, count: int, shapes=SHAPES) -> Iterator[Case]:
    """``count`` graphs of each kind and shape, twice: of rows that round, and of such that do not.

    Every other shape is cut into small tiles, half of these merged as on an accelerator.
    """
    tiles = neighbors._CPU
    for which, (n, d, k) in enumerate(shapes):
        neighbors._CPU = (tiles, _SMALL_TILES, tiles, _IN_PASSES)[which % 4]
        try:
            for number in range(count * len(KINDS)):
                kind = list(KINDS)[number % len(KINDS)]
                rows = KINDS[kind](np.random.default_rng([seed, which, number]), n, d)
                rows[~rows.any(1)] = 1  # no direction
                what = f"{kind}, N={n}, D={d}, k={k}, shape {which}"
                yield Case(seed, number, what, wrong_if_rounded(rows, k))
                yield Case(seed, number, f"whole, {what}", wrong_if_whole(whole_rows(rows), k))
        finally:
            neighbors._CPU = tiles
