"""Winograd convolutions against direct ones in float64, and where they are used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax.models import winograd
from tests.support import programs


def direct(x, kernel):
    """Sum over the kernel's pixels, in float64."""
    size, height, width = kernel.shape[0], x.shape[1], x.shape[2]
    edge = size // 2
    x = np.pad(x.astype(np.float64), ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    return sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j].astype(np.float64)
        for i in range(size)
        for j in range(size)
    )


def relative_error(value, exact):
    return np.linalg.norm(value - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (1, 2), (13, 4)])
def test_values_and_gradients_equal_direct_convolution(rng, size, shape):
    x = rng.standard_normal((2, *shape, 6)).astype(np.float32)
    kernel = rng.standard_normal((size, size, 6, 5)).astype(np.float32)
    y, pull_back = jax.vjp(winograd.convolve, x, kernel)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx, dkernel = pull_back(dy)
    assert relative_error(y, direct(x, kernel)) < 1e-5
    # The gradient for x is a convolution with the kernel turned around, that for the kernel one of
    # every pixel's neighbourhood with dy.
    assert relative_error(dx, direct(dy, kernel[::-1, ::-1].swapaxes(2, 3))) < 1e-5
    edge = size // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    exact = [
        [
            np.einsum("bhwc,bhwo->co", padded[:, i : i + shape[0], j : j + shape[1]], dy)
            for j in range(size)
        ]
        for i in range(size)
    ]
    assert relative_error(dkernel, np.array(exact)) < 1e-5


def test_rounding_grows_little_with_many_channels(rng):
    x = np.maximum(rng.standard_normal((2, 8, 8, 384)), 0).astype(np.float32)
    for size in (3, 5):
        kernel = rng.standard_normal((size, size, 384, 96)).astype(np.float32)
        assert relative_error(winograd.convolve(x, kernel), direct(x, kernel)) < 1e-5


@pytest.mark.parametrize(("size", "most"), [(3, 0.02), (5, 0.06)])
def test_factors_in_bfloat16_leave_the_error_that_is_stated(rng, size, most):
    x = np.maximum(rng.standard_normal((2, 8, 8, 96)), 0).astype(np.float32)
    kernel = rng.standard_normal((size, size, 96, 64)).astype(np.float32)
    y, pull_back = jax.vjp(lambda x: winograd.convolve(x, kernel, jnp.bfloat16), x)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    errors = (
        relative_error(y, direct(x, kernel)),
        relative_error(pull_back(dy)[0], direct(dy, kernel[::-1, ::-1].swapaxes(2, 3))),
    )
    assert min(errors) > most / 4
    assert max(errors) < most


@pytest.mark.parametrize(("name", "direct_ones"), [("alexnet", 1), ("tiny", 5)])
def test_only_large_convolutions_go_this_way(name, direct_ones):
    jaxpr = str(programs.of_encoder(name, "cpu"))
    assert jaxpr.count("conv_general_dilated[") == direct_ones


@pytest.mark.parametrize(
    ("name", "convolutions", "large_ones"),
    [("alexnet", 5, 4), ("resnet18", 20, 9), ("resnet50", 53, 10), ("tiny", 5, 0)],
)
@pytest.mark.parametrize("train", [False, True])
def test_they_go_this_way_on_a_cpu_alone(name, convolutions, large_ones, train, monkeypatch):
    calls = []
    convolve = winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *args: (calls.append(1), convolve(*args))[1])
    for platform, direct_ones in (
        ("gpu", convolutions),
        ("tpu", convolutions),
        ("cpu", convolutions - large_ones),
    ):
        calls.clear()
        jaxpr = str(programs.of_encoder(name, platform, train=train))
        assert jaxpr.count("conv_general_dilated[") == direct_ones
        # Traced twice: for the variables' shapes, and for the program.
        assert len(calls) == 2 * (convolutions - direct_ones)


@pytest.mark.parametrize(
    ("strides", "padding", "size", "dilation"),
    [((2, 2), 1, 3, 1), ((1, 1), 0, 3, 1), ((1, 1), 3, 7, 1), ((1, 1), 1, 3, 2)],
)
def test_other_convolutions_stay_as_they_are(rng, strides, padding, size, dilation):
    x = rng.standard_normal((1, 9, 9, 96)).astype(np.float32)
    kernel = rng.standard_normal((size, size, 96, 96)).astype(np.float32)
    settings = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "rhs_dilation": (dilation,) * 2}
    arguments = (x, kernel, strides, ((padding, padding),) * 2)
    np.testing.assert_array_equal(
        winograd.conv_general_dilated(*arguments, platform="cpu", **settings),
        jax.lax.conv_general_dilated(*arguments, **settings),
    )


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_accelerators_convolve_3x3_themselves(platform):
    x, kernel = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((1, 9, 9, 96), (3, 3, 96, 96)))
    settings = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}

    def names(platform):
        def f(x, kernel):
            return winograd.conv_general_dilated(
                x, kernel, (1, 1), ((1, 1), (1, 1)), platform=platform, **settings
            )

        return [equation.primitive.name for equation in jax.make_jaxpr(f)(x, kernel).eqns]

    assert names(platform) == ["conv_general_dilated"]
    assert "conv_general_dilated" not in names("cpu")
