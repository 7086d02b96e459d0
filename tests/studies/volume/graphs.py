"""The SCS search on random graphs, against the naive one."""

from collections.abc import Iterator

import numpy as np

from pad_jax.graph.subgraphs import strongly_connected_subgraphs
from tests.studies.volume.cases import Case
from tests.support.scs_oracle import KINDS, naive_search, random_neighbors

_SIZES = (2, 3, 5, 10, 100, None)


def cases(seed: int, count: int) -> Iterator[Case]:
    """One graph each: 1 to 40 vertices, 1 to 6 neighbours, any scale threshold."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        kind = KINDS[rng.integers(len(KINDS))]
        n, k = int(rng.integers(1, 41)), int(rng.integers(1, 7))
        max_size, cyclic = _SIZES[rng.integers(len(_SIZES))], bool(rng.integers(4))
        neighbors = random_neighbors(rng, n, k, kind)
        found = strongly_connected_subgraphs(neighbors, max_size, cyclic=cyclic, seed=number)
        expected = naive_search(neighbors, max_size, cyclic, number)
        wrong = "" if np.array_equal(found, expected) else f"{found.tolist()}, {expected.tolist()}"
        what = f"{kind}, N={n}, k={k}, s={max_size}, cyclic={cyclic}"
        yield Case(seed, number, what, wrong)
