"""Products with a layer's weights against float64, and where they are used."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax import models
from pad_jax.models import ModelSettings, products
from pad_jax.settings import Settings
from tests.support import programs


@pytest.mark.parametrize("factors", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("batch", [(), (4,)])
def test_values_and_gradients(rng, batch, factors):
    x, kernel, dy = (
        rng.standard_normal((*batch, *shape)).astype(np.float32)
        for shape in ((5, 7), (7, 3), (5, 3))
    )
    y, pull_back = jax.vjp(lambda x, kernel: products.multiply(x, kernel, factors), x, kernel)
    dx, dkernel = pull_back(dy)
    assert {y.dtype, dx.dtype, dkernel.dtype} == {jnp.dtype("float32")}
    exact_x, exact_dy = (v.astype(np.float64) for v in (x, dy))
    np.testing.assert_allclose(dkernel, exact_x.mT @ exact_dy, rtol=1e-5, atol=1e-6)
    x, kernel, dy = (v.astype(factors).astype(np.float64) for v in (x, kernel, dy))
    np.testing.assert_allclose(y, x @ kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dx, dy @ kernel.mT, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "tiny"])
@pytest.mark.parametrize(
    ("processor_can", "dtype", "train", "rounded"),
    [
        (True, "bfloat16", True, True),
        (True, "bfloat16", False, False),
        (False, "bfloat16", True, False),
        (True, "float32", True, False),
    ],
)
def test_factors_are_rounded_in_training_alone_and_where_the_processor_can(
    name, processor_can, dtype, train, rounded, monkeypatch
):
    monkeypatch.setattr(products, "cpu_multiplies_bfloat16", lambda: processor_can)
    rounded &= name != "tiny"  # which has no large products
    program = programs.of_encoder(name, "cpu", train=train, dtype=dtype)
    assert ("bf16[" in str(program)) == rounded
    assert {out.dtype for out in program.out_avals} == {jnp.dtype("float32")}


@pytest.mark.parametrize(
    ("flags", "can"), [("avx512f avx512_bf16 fsrm", True), ("avx2 fma", False), (None, False)]
)
def test_what_the_processor_can(monkeypatch, flags, can):
    def read(path, *_, **__):
        if flags is None:
            raise FileNotFoundError(path)
        return f"flags\t\t: {flags}\n"

    monkeypatch.setattr(pathlib.Path, "read_text", read)
    assert products.cpu_multiplies_bfloat16.__wrapped__() == can


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
