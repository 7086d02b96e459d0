"""Features of sets of images, of known and of unknown length."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax import parallel
from pad_jax.data.images import ResidentImages
from pad_jax.data.preparation import FEATURES
from pad_jax.embedding import Embedder, collected
from pad_jax.errors import InputError

TRACED = []


class Watched(nn.Module):
    """Says which shapes it is compiled for."""

    takes = FEATURES

    @nn.compact
    def __call__(self, images, *, train=False):
        TRACED.append(len(images))
        return {"double": 2 * images, "embedding": nn.Dense(5)(images)}


@pytest.fixture
def embedder():
    TRACED.clear()
    return Embedder(Watched(), ("double",), 256, lambda x: x.astype(jnp.float32))


def test_batches_are_padded_to_powers_of_two(embedder, rng):
    variables = parallel.replicate(Watched().init(jax.random.key(0), np.zeros((1, 3), np.float32)))
    TRACED.clear()
    sizes = [1, 2, 3, 5, 8, 100, 129, 256, 7, 255]
    batches = [rng.integers(0, 256, (n, 3), np.uint8) for n in sizes]
    for batch, found in zip(batches, embedder.stream(variables, iter(batches)), strict=True):
        np.testing.assert_array_equal(found["double"], 2.0 * batch)
        assert found["double"].dtype == np.float32
    assert sorted(set(TRACED)) == [1, 2, 4, 8, 128, 256]
    assert len(TRACED) == 6


def test_the_devices_are_one_batch_ahead(embedder):
    variables = parallel.replicate(Watched().init(jax.random.key(0), np.zeros((1, 3), np.float32)))
    asked = []
    batches = (asked.append(i) or np.zeros((4, 3), np.uint8) for i in range(10))
    found = embedder.stream(variables, batches)
    next(found)
    assert asked == [0, 1]


def test_a_set_is_embedded_in_batches_of_one_size(embedder, rng):
    variables = parallel.replicate(Watched().init(jax.random.key(0), np.zeros((1, 3), np.float32)))
    TRACED.clear()
    x = rng.integers(0, 256, (261, 3), np.uint8)
    images = ResidentImages(x, np.full(len(x), -1), [""] * len(x))
    np.testing.assert_array_equal(embedder(variables, images)["double"], 2.0 * x)
    assert TRACED == [256]


def test_parts_are_collected(rng):
    parts = [rng.standard_normal((n, 2, 3)).astype(np.float32) for n in (5, 0, 1, 100, 3, 7)]
    np.testing.assert_array_equal(collected(iter(parts), (2, 3)), np.concatenate(parts))
    assert collected([], (2, 3)).shape == (0, 2, 3)


def test_features_that_are_not_finite_are_an_error(rng):
    embedder = Embedder(Watched(), ("embedding",), 4, lambda x: x.astype(jnp.float32))
    variables = Watched().init(jax.random.key(0), np.zeros((1, 3), np.float32))
    bad = parallel.replicate(jax.tree.map(lambda x: np.full(x.shape, 3e38, np.float32), variables))
    with pytest.raises(InputError, match="the encoder's embedding is not finite.*learning_rate"):
        list(embedder.stream(bad, [rng.integers(1, 256, (4, 3), np.uint8)]))
