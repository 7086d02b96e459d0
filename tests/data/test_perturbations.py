"""Augmentation of features."""

import jax
import jax.numpy as jnp
import numpy as np

from pad_jax.data.perturbations import Perturbations, PerturbationSettings
from pad_jax.settings import Settings


def perturb(samples, **settings):
    """One view of each sample, with a key for each."""
    augment = Perturbations(Settings(PerturbationSettings(**settings)))
    keys = jax.random.split(jax.random.key(0), len(samples))
    return np.asarray(jax.jit(jax.vmap(augment))(keys, samples))


def test_dropout():
    views = perturb(np.ones((400, 500), np.float32), dropout=0.3)
    assert set(np.unique(views)) == {0, np.float32(1 / np.float32(0.7))}
    np.testing.assert_allclose((views == 0).mean(), 0.3, atol=0.005)
    np.testing.assert_allclose(views.mean(), 1, atol=0.01)
    # Each feature and sample on its own.
    assert (views == 0).mean(0).std() < 0.03
    assert len(np.unique(views, axis=0)) == 400


def test_noise():
    views = perturb(np.full((400, 500), 3, np.float32), dropout=0.0, noise=0.5)
    np.testing.assert_allclose([views.mean(), views.std()], [3, 0.5], atol=0.01)
    zero = perturb(np.full((400, 500), 3, np.float32), dropout=0.3, noise=0.5) == 0
    np.testing.assert_allclose(zero.mean(), 0.3, atol=0.01)


def test_views():
    samples = np.arange(3, dtype=np.float32)[None, :, None].repeat(600, 0).repeat(2, 2)
    views = perturb(samples, dropout=0.0)
    assert views.shape == (600, 2)
    assert (views[:, 0] == views[:, 1]).all()
    np.testing.assert_allclose(np.bincount(views[:, 0].astype(int)) / 600, 1 / 3, atol=0.06)


def test_without_perturbation_and_as_it_is(rng):
    samples = rng.standard_normal((4, 3, 5)).astype(np.float32)
    augment = Perturbations(Settings())
    np.testing.assert_array_equal(perturb(samples[:, 0], dropout=0.0), samples[:, 0])
    np.testing.assert_array_equal(augment.plain(jnp.asarray(samples)), samples[:, 0])
    np.testing.assert_array_equal(augment.plain(jnp.asarray(samples[:, 1])), samples[:, 1])
