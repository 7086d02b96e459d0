"""Spreading of names against a naive version, what it keeps, and what held-back names say."""

import numpy as np
import pytest

from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.labelling.diffusion import Pile
from pad_jax.labelling.spreading import find_again, spread
from tests.support.blobs import blobs, dense_diffusion


def naive_spread(rows, graph, diffused, names, sharpness):
    """Row by row, dense, in float64."""
    n, classes = len(rows), names.max() + 1
    given = np.zeros((n, classes))
    for i in range(n):
        if names[i] >= 0:
            given[i, names[i]] = 1.0
            continue
        similarity = [diffused[i] @ diffused[j] if names[j] >= 0 else -2.0 for j in range(n)]
        j = int(np.argmax(similarity))
        given[i, names[j]] = max(similarity[j], 0.0)
    arrived = dense_diffusion(graph, given, 0.95) ** sharpness
    share = arrived / arrived.sum(1, keepdims=True)
    named = names >= 0
    return np.where(named, names, share.argmax(1)), np.where(named, 1.0, share.max(1))


def test_spread_is_that_of_the_oracle():
    x, kind, _, _ = blobs(noise=0.8)
    x[9] = x[0]  # the same image under two names
    graph = nearest_neighbors(x, 5)
    pile = Pile(x, graph)
    names = np.full(len(x), -1)
    names[::9] = kind[::9]
    labels, confidence = spread(pile, names, sharpness=1.5)
    expected, share = naive_spread(x, graph, pile.rows.astype(np.float64), names, 1.5)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_allclose(confidence, share, atol=1e-4)
    assert 0 < (confidence < 0.9).sum()


def test_one_name_of_each_kind_labels_all_of_it():
    x, kind, pile, _ = blobs(noise=0.3)
    names = np.full(len(x), -1)
    names[:4] = kind[:4]
    labels, confidence = spread(pile, names)
    np.testing.assert_array_equal(labels, kind)
    assert (confidence > 0.5).all()


def test_a_name_is_kept_also_among_others():
    _, kind, pile, _ = blobs(noise=0.3)
    names = kind.copy()
    names[10] = (kind[10] + 1) % 4
    labels, confidence = spread(pile, names)
    np.testing.assert_array_equal(labels, names)
    np.testing.assert_array_equal(confidence, 1.0)


def test_no_name_floods_what_others_are_nearer_to():
    """Plain diffusion of 0.99 gives most of two kinds to the one with more names."""
    x, kind, pile, _ = blobs(noise=1.0)
    names = np.full(len(x), -1)
    for c, count in enumerate((1, 20, 1, 1)):
        names[np.flatnonzero(kind == c)[:count]] = c
    size = np.bincount(spread(pile, names).labels, minlength=4)
    assert size.max() < 0.4 * len(x)


def test_an_image_that_nothing_reaches_has_the_nearest_name_and_no_confidence():
    x = np.zeros((6, 4), np.float32)
    x[:3, 0] = 1.0
    x[3:5, 1] = 1.0
    x[5, :2] = -0.96, -0.28  # similar to nobody, and least unlike the second kind
    pile = Pile(x, nearest_neighbors(x, 1))
    labels, confidence = spread(pile, np.array([0, -1, -1, 1, -1, -1]))
    np.testing.assert_array_equal(labels[:5], [0, 0, 0, 1, 1])
    assert (labels[5], confidence[5]) == (1, 0)


@pytest.mark.parametrize(
    ("names", "said"),
    [(np.full(80, -1), "no row has a name"), (np.zeros(3, int), r"\[3\], for 80")],
)
def test_names_that_cannot_be_spread(names, said):
    _, _, pile, _ = blobs()
    with pytest.raises(ValueError, match=said):
        spread(pile, names)


def test_held_back_names_are_found_again_as_well_as_others_are():
    x, kind, pile, _ = blobs(n=400, noise=1.6)
    names = np.full(len(x), -1)
    names[:100] = kind[:100]
    again = find_again(pile, names, np.arange(len(x)))
    labels, confidence = spread(pile, names, again.sharpness)
    others = names < 0
    right = np.mean(labels[others] == kind[others])
    assert again.sets == len(again.rows) == 100
    assert again.once == 0
    assert abs(again.share - right) < 0.1
    assert abs(confidence[others].mean() - right) < 0.1
    assert 0.4 < right < 0.8  # else it would say nothing


def test_sets_are_held_back_as_a_whole():
    """Three copies of each image, two of them named, each name at two images that are unlike."""
    x, _, _, _ = blobs(n=20, noise=1.0)
    x = np.repeat(x, 3, axis=0)
    pile = Pile(x, nearest_neighbors(x, 4))
    image = np.repeat(np.arange(20), 3)
    names = image % 10
    names[2::3] = -1
    assert find_again(pile, names, np.arange(60)).share > 0.7  # beside the other copy
    together = find_again(pile, names, image)
    assert together.share < 0.4
    assert (together.sets, len(together.rows), together.once) == (20, 40, 0)


def test_nothing_is_found_again_where_every_name_stands_at_one_set():
    _, _, pile, _ = blobs(n=20)
    again = find_again(pile, np.arange(20) % 4, np.arange(20) % 4)
    assert (len(again.rows), again.sets, again.once) == (0, 0, 4)
    assert np.isnan(again.share)


def test_a_name_of_one_set_is_told_and_not_counted():
    x, kind, pile, _ = blobs(noise=0.3)
    names = np.full(len(x), -1)
    names[:12] = kind[:12]
    names[names == 3] = -1
    names[3] = 3
    again = find_again(pile, names, np.arange(len(x)))
    assert again.once == 1
    assert 3 not in again.rows
    assert again.share == 1.0


def test_images_named_together_may_have_two_names():
    """As where two images of a group are named one by one: each name counts where it stands."""
    x, kind, pile, _ = blobs(noise=0.3)
    (a, b), (c, d) = (np.flatnonzero(kind == k)[:2] for k in (0, 1))
    names = np.full(len(x), -1)
    names[[a, b]], names[[c, d]] = 0, 1
    sets = np.arange(len(x))
    sets[c] = sets[a]  # one of each name
    again = find_again(pile, names, sets)
    assert (set(again.rows), again.sets, again.once) == ({a, b, c, d}, 3, 0)
    names[[b, d]] = -1  # now both stand in that set alone
    again = find_again(pile, names, sets)
    assert (len(again.rows), again.once) == (0, 2)
