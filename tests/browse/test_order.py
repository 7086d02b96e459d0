"""Similar groups beside each other."""

import numpy as np
import pytest

from pad_jax.browse.order import nearest_rows, similar_order


def _circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_points_of_an_arc_come_in_their_order(rng):
    shuffled = rng.permutation(200)
    order = similar_order(_circle(np.linspace(0, 3, 200))[shuffled])
    steps = np.diff(shuffled[order])
    assert (steps == 1).all() or (steps == -1).all()


def test_an_order_has_every_row_once_and_shorter_steps_than_chance(unit_rows, rng):
    rows = unit_rows(300, 8)
    order = similar_order(rows)
    assert sorted(order.tolist()) == list(range(300))
    assert (order == similar_order(rows)).all()

    def step(order):
        return np.einsum("gd,gd->g", rows[order[:-1]], rows[order[1:]]).mean()

    assert step(order) > 0.6 > 0.1 > step(rng.permutation(300))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_rows_and_equal_rows_have_an_order(count):
    rows = np.ones((count, 1), np.float32)
    assert sorted(similar_order(rows).tolist()) == list(range(count))


def test_equal_rows_are_all_joined():
    assert sorted(similar_order(np.ones((100, 1), np.float32)).tolist()) == list(range(100))


@pytest.mark.parametrize("own", [True, False])
def test_nearest_rows_are_those_of_a_sort(unit_rows, monkeypatch, own):
    monkeypatch.setattr("pad_jax.browse.order._BLOCK", 70)  # a row or two at a time
    rows, queries = unit_rows(40, 5), None if own else unit_rows(13, 5)
    indices, similarities = nearest_rows(rows, 4, queries)
    cosine = (rows if own else queries).astype(np.float64) @ rows.astype(np.float64).T
    if own:
        np.fill_diagonal(cosine, -np.inf)
    expected = np.argsort(-cosine, axis=1)[:, :4]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(similarities, np.take_along_axis(cosine, expected, 1), atol=1e-6)
