"""Groups and images in a few bytes."""

import numpy as np
import pytest

from pad_jax.browse.sketch import sketch


@pytest.mark.parametrize(("width", "expected"), [(20, 20), (200, 64)])
def test_cosines_are_kept(unit_rows, rng, width, expected):
    # Few directions matter, as in embeddings.
    rows = unit_rows(3000, 20) @ np.linalg.qr(rng.standard_normal((width, 20)))[0].T
    rows = rows.astype(np.float32)
    start = np.arange(0, 2001, 4)
    found = sketch(rows, start, 0.5)
    assert found.means.shape == (500, expected)
    assert found.images.shape == (2000, expected)
    assert (found.places[0], found.places[-1], found.reach) == (0, 2999, 0.5)
    expected = rows[:2000].reshape(500, 4, -1).mean(1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    cosine = found.images.astype(float) @ found.means.T.astype(float) / 32767**2
    np.testing.assert_allclose(cosine, rows[found.places] @ expected.T, atol=1e-3)


def test_no_groups_have_no_means(unit_rows):
    found = sketch(unit_rows(30, 5), np.array([0]), 0.5)
    assert found.means.shape[0] == 0
    assert len(found.images) == len(found.places) == 30
