"""What to name first: apart, central, in an order that pays off, and never what has a name."""

import numpy as np
import pytest

from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.labelling.diffusion import Pile
from pad_jax.labelling.naming import Naming
from pad_jax.labelling.spreading import spread
from tests.support.blobs import blobs


def crowded(seed=0):
    """Four kinds, of which the first has half of all images, close together."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(4), (300, 100, 100, 100))
    noise = np.where(kind == 0, 0.15, 0.5)[:, None]
    x = 3 * np.eye(4, 12)[kind] + noise * rng.standard_normal((600, 12))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    return kind, Pile(x, nearest_neighbors(x, 5))


def in_tens(kind):
    """Groups of ten images of one kind, the last of each kind in none."""
    groups, g = np.full(len(kind), -1), 0
    for c in range(kind.max() + 1):
        own = np.flatnonzero(kind == c)
        for i in range(0, len(own) - 10, 10):
            groups[own[i : i + 10]] = g
            g += 1
    return groups


def test_sets_lie_apart():
    kind, pile = crowded()
    chosen = Naming(pile, in_tens(kind)).choose(4)
    assert sorted(kind[one.rows[0]] for one in chosen) == [0, 1, 2, 3]
    for one in chosen:
        assert len(set(kind[one.rows])) == 1
        assert 1 <= len(one.rows) <= 10
        assert one.group >= 0
        assert kind[in_tens(kind) == one.group][0] == kind[one.rows[0]]


def test_sets_are_the_middles_of_their_parts():
    kind, pile = crowded()
    for one in Naming(pile, in_tens(kind)).choose(4):
        own = np.flatnonzero(kind == kind[one.rows[0]])
        middle = pile.rows[own].mean(0)
        similarity = pile.rows @ (middle / np.linalg.norm(middle))
        assert similarity[one.rows].min() > np.median(similarity[own])
        falling = similarity[one.rows]
        assert falling[0] > falling[-1]  # the most central one first


def test_the_order_brings_most_images_near_a_name_first():
    kind, pile = crowded()
    naming = Naming(pile, in_tens(kind))
    chosen = naming.choose(12)
    near = np.array([0.0] + [one.near for one in chosen])
    gains = np.diff(near)
    assert (gains[:-1] >= gains[1:] - 1e-12).all()
    assert near[-1] > 0.8
    for i in (1, 5, len(chosen)):
        rows = np.concatenate([one.rows for one in chosen[:i]])
        assert naming.near(rows) == pytest.approx(near[i])
    assert naming.near(np.array([], int)) == 0


def test_what_follows_has_no_name_yet_and_adds_to_what_is_near():
    kind, pile = crowded()
    naming = Naming(pile, in_tens(kind))
    named = np.flatnonzero(kind < 2)[::7]
    chosen = naming.choose(6, named)
    assert len(chosen) == 6
    rows = np.concatenate([one.rows for one in chosen])
    assert len(set(rows)) == len(rows)
    assert not set(rows) & set(named)
    assert {2, 3} <= set(kind[rows])
    assert kind[chosen[0].rows[0]] in (2, 3)
    assert chosen[0].near > naming.near(named)


def test_few_names_chosen_are_worth_more_than_as_many_at_random():
    x, kind, pile, _ = blobs(n=400, kinds=10, noise=0.9)
    names = np.full(len(x), -1)
    for one in Naming(pile, np.full(len(x), -1)).choose(10):
        names[one.rows] = np.bincount(kind[one.rows]).argmax()
    chosen = np.mean(spread(pile, names).labels == kind)
    at_random = []
    for seed in range(3):
        rows = np.random.default_rng(seed).choice(len(x), 10, replace=False)
        names = np.full(len(x), -1)
        names[rows] = kind[rows]
        at_random.append(np.mean(spread(pile, names).labels == kind))
    assert chosen > max(at_random)


def test_the_same_seed_the_same_sets():
    kind, pile = crowded()

    def rows(seed):
        chosen = Naming(pile, in_tens(kind), seed).choose(5)
        return np.concatenate([one.rows for one in chosen]).tolist()

    assert rows(0) == rows(0)
    assert rows(0) != rows(1)


def test_no_groups_and_fewer_images_than_are_wanted():
    _, _, pile, _ = blobs(n=12)
    chosen = Naming(pile, np.full(12, -1)).choose(50)
    rows = np.concatenate([one.rows for one in chosen])
    assert sorted(rows) == list(range(12))
    assert {one.group for one in chosen} == {-1}
    assert chosen[-1].near == 1.0
    assert Naming(pile, np.full(12, -1)).choose(5, np.arange(12)) == []


def test_images_that_are_all_the_same():
    x = np.tile(np.eye(1, 4, dtype=np.float32), (30, 1))
    pile = Pile(x, nearest_neighbors(x, 3))
    chosen = Naming(pile, np.zeros(30, int)).choose(5)
    assert len(chosen) >= 1
    assert chosen[-1].near == 1.0


def test_what_is_all_named_is_not_searched(monkeypatch):
    _, _, pile, _ = blobs(n=40)
    naming = Naming(pile, np.full(40, -1))
    monkeypatch.setattr(Naming, "_centers", lambda self, parts: pytest.fail("it searches"))
    assert naming.choose(5, np.arange(40)) == []


def test_the_search_for_what_has_no_name_ends(monkeypatch):
    _, _, pile, _ = blobs(n=400)
    naming, tried, centers = Naming(pile, np.full(400, -1)), [], Naming._centers
    monkeypatch.setattr(
        Naming, "_centers", lambda self, parts: tried.append(parts) or centers(self, parts)
    )
    naming.choose(2, np.arange(399))
    assert tried == [2, 4, 8, 16, 32]
