"""Products of fully connected layers against float64, and where they are used."""

import jax
import numpy as np
import pytest

from pad_jax import models
from pad_jax.models import ModelSettings, products
from pad_jax.settings import Settings


def test_values_and_gradients(rng):
    x, kernel, dy = (
        rng.standard_normal(shape).astype(np.float32) for shape in ((5, 7), (7, 3), (5, 3))
    )
    y, pull_back = jax.vjp(products.multiply, x, kernel)
    exact_x, exact_kernel, exact_dy = (v.astype(np.float64) for v in (x, kernel, dy))
    np.testing.assert_allclose(y, exact_x @ exact_kernel, rtol=1e-5, atol=1e-6)
    dx, dkernel = pull_back(dy)
    np.testing.assert_allclose(dx, exact_dy @ exact_kernel.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dkernel, exact_x.T @ exact_dy, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("platform", "transposed"), [("cpu", 2), ("gpu", 0)])
def test_kernels_are_transposed_for_cpus_alone(platform, transposed):
    encoder = models.create(Settings(ModelSettings(name="tiny")), platform)
    encoder = encoder.copy(fc_widths=(8, 8))
    images = np.zeros((2, 28, 28, 1), np.float32)
    variables = encoder.init(jax.random.key(0), images)

    def loss(params):
        return encoder.apply(variables | {"params": params}, images)["embedding"].sum()

    program = str(jax.make_jaxpr(jax.grad(loss))(variables["params"]))
    assert program.count("optimization_barrier") == transposed
