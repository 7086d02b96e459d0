"""How the compiled search comes to be; what it finds is tested with the subgraphs."""

import importlib

import numba
import numpy as np
import pytest

from pad_jax.graph import traversal
from pad_jax.graph.subgraphs import strongly_connected_subgraphs


@pytest.fixture
def no_cache(monkeypatch):
    """The module as it is where numba finds no folder that it can keep compiled code in."""
    njit = numba.njit

    def without_folder(*functions, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'search': no locator available")
        return njit(*functions, **options)

    with monkeypatch.context() as patch:
        patch.setattr(numba, "njit", without_folder)
        yield importlib.reload(traversal)
    importlib.reload(traversal)


def test_the_search_works_without_a_folder_for_its_cache(no_cache):
    ring = np.array([[1], [2], [3], [0]])
    assert strongly_connected_subgraphs(ring, 4).tolist() == [0, 0, 0, 0]
    assert not no_cache.search.stats.cache_path
