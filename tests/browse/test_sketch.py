"""Means of groups in a few bytes."""

import numpy as np
import pytest

from pad_jax.browse.sketch import sketch
from pad_jax.graph.search import Graph


@pytest.fixture
def graph(rng):
    return Graph(rng.integers(0, 300, (300, 4)), np.zeros((300, 4), np.float32))


@pytest.mark.parametrize(("width", "expected"), [(20, 20), (200, 64)])
def test_cosines_are_kept(unit_rows, rng, graph, width, expected):
    # Few directions matter, as in embeddings.
    rows = unit_rows(300, 20) @ np.linalg.qr(rng.standard_normal((width, 20)))[0].T
    rows = rows.astype(np.float32)
    found = sketch(rows[:50], rows, graph)
    assert found.means.shape == (50, expected)
    assert found.means.dtype == np.int8
    means = found.means.astype(float)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(means @ means.T, rows[:50] @ rows[:50].T, atol=0.015)
    cosine = np.einsum("nd,nkd->nk", rows, rows[graph.indices])
    assert np.mean(cosine >= found.near_enough) == pytest.approx(0.9, abs=0.02)


def test_no_groups_have_no_means(unit_rows, graph):
    assert sketch(np.zeros((0, 5), np.float32), unit_rows(300, 5), graph).means.shape[0] == 0
