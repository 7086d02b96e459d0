"""Diffusion against a dense float64 solution."""

import numpy as np
import pytest

from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import Graph
from pad_jax.labelling.diffusion import Diffusion, Pile, normalized_affinity
from tests.support.blobs import dense_affinity, dense_diffusion


@pytest.fixture
def rows(unit_rows):
    return unit_rows(90, 8)


def test_the_affinity_is_that_of_the_oracle(rows):
    graph = nearest_neighbors(rows, 6)
    np.testing.assert_allclose(
        normalized_affinity(graph, 3.0).toarray(), dense_affinity(graph, 3.0), atol=1e-12
    )


@pytest.mark.parametrize("alpha", [0.5, 0.95, 0.99])
def test_diffusion_is_that_of_the_oracle(rows, rng, alpha):
    graph = nearest_neighbors(rows, 6)
    given = rng.standard_normal((len(rows), 40))  # more columns than are solved at a time
    found = Diffusion(graph, alpha=alpha)(given)
    expected = dense_diffusion(graph, given, alpha)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_nothing_reaches_rows_that_no_edge_leads_to():
    indices = np.array([[1], [0], [3], [2], [0]], np.int32)
    similarities = np.array([[0.9], [0.9], [0.8], [0.8], [-0.5]], np.float32)
    given = np.zeros((5, 1))
    given[0] = 1.0
    found = Diffusion(Graph(indices, similarities))(given)[:, 0]
    assert (found[:2] > 0).all()
    np.testing.assert_array_equal(found[2:], 0.0)  # the last one's only edge is dissimilar


def test_what_is_not_given_comes_to_nothing(rows):
    graph = nearest_neighbors(rows, 6)
    np.testing.assert_array_equal(Diffusion(graph)(np.zeros((len(rows), 2))), 0.0)


def test_diffused_rows_are_the_oracles_and_nearer_to_their_kind(rng):
    centers = rng.standard_normal((3, 16))
    kind = np.arange(120) % 3
    x = centers[kind] + 1.5 * rng.standard_normal((120, 16))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    graph = nearest_neighbors(x, 5)
    pile = Pile(x, graph)
    expected = dense_diffusion(graph, x, 0.95)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert pile.rows.dtype == np.float32
    np.testing.assert_allclose(pile.rows, expected, atol=5e-3)
    np.testing.assert_allclose(np.linalg.norm(pile.rows, axis=1), 1, atol=1e-6)

    def gap(rows):
        similarity, same = rows @ rows.T, kind[:, None] == kind
        return similarity[same].mean() - similarity[~same].mean()

    assert gap(pile.rows) > gap(x)
