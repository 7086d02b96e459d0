"""Costs counted from jaxprs, against what they have to be, and what XLA says of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from configs import digits
from pad_jax import config as configs
from pad_jax import models, parallel
from pad_jax.graph.neighbors import pmap_search
from pad_jax.plan.costs import count


def _shape(*shape, dtype=np.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def _total(cost):
    return sum(cost.flops.values())


@pytest.mark.parametrize(
    ("dtype", "precision", "rounding"),
    [
        (jnp.bfloat16, None, "bfloat16"),
        (jnp.float32, None, "default"),
        (jnp.float32, lax.Precision.HIGHEST, "full"),
    ],
)
def test_a_product(dtype, precision, rounding):
    def product(a, b):
        return jnp.matmul(a, b, precision=precision)

    cost = count(product, _shape(8, 16, dtype=dtype), _shape(16, 32, dtype=dtype))
    size = np.dtype(dtype).itemsize
    assert cost.flops == {rounding: 2 * 8 * 16 * 32}
    assert cost.moved == size * (8 * 16 + 16 * 32 + 8 * 32)
    assert cost.sent == 0


def test_a_convolution_and_its_gradients():
    """Each gradient has the products of the convolution itself, also where that has a stride."""

    def convolve(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    x, kernel = _shape(4, 16, 16, 3), _shape(2, 2, 3, 8)
    flops = 2 * 4 * 8 * 8 * 8 * (2 * 2 * 3)
    assert _total(count(convolve, x, kernel)) == flops
    gradients = jax.grad(lambda x, kernel: jnp.square(convolve(x, kernel)).sum(), argnums=(0, 1))
    assert _total(count(gradients, x, kernel)) == pytest.approx(3 * flops)


def test_chains_of_elementwise_operations_are_read_and_written_once():
    x = _shape(1000)
    assert count(lambda x: jnp.exp(x) * 2 + x, x).moved == 8_000
    assert count(lambda x: (jnp.exp(x) * 2 + x).sum(), x).moved == 4_004
    # The product reads what the chain has written.
    chained = count(lambda x, w: jnp.tanh(x) @ w, _shape(10, 10), _shape(10, 10))
    assert chained.moved == 400 + 400 + 3 * 400


def test_of_what_is_gathered_or_updated_only_the_slices_pass():
    table, index = _shape(1_000_000, 8), _shape(5, dtype=np.int32)
    assert count(lambda t, i: t.at[i].get(mode="clip"), table, index).moved < 1_000
    assert count(lambda t, i: t.at[i].set(1.0, mode="drop"), table, index).moved < 1_000


@pytest.mark.parametrize("bounds", ["fixed", "computed"])
def test_loops_times_their_trips(bounds):
    def loop(x, last):
        last = 7 if bounds == "fixed" else last + 2
        return lax.fori_loop(0, last, lambda i, x: x @ x, x)

    last = _shape(dtype=np.int32)
    cost = count(loop, _shape(8, 8), last, known={1: np.int32(5)})
    assert _total(cost) == 7 * 2 * 8**3


def test_calls_of_one_function_do_not_share_their_values():
    half = jax.jit(lambda n: n // 2)

    def loop(x, n):
        few, many = half(n), half(n + 10)
        return lax.fori_loop(0, few, lambda i, x: x @ x, x), many

    cost = count(loop, _shape(8, 8), 4, known={1: np.int32(4)})
    assert _total(cost) == 2 * 2 * 8**3
    double = jax.jit(lambda x: x * 2)
    x = _shape(1000)
    assert count(lambda x, y: (double(x), double(y)), x, x).moved == 4 * 4_000


def test_an_array_that_a_loop_updates_in_place_does_not_pass_whole():
    """Also where its type was weak, and JAX writes a conversion into the loop."""

    def fill(n):
        start = jnp.full((1_000, 1_000), 0.0)
        return lax.fori_loop(0, n, lambda i, x: x.at[i].set(jnp.float32(i)), start)

    cost = count(fill, 10, known={0: np.int32(10)})
    assert cost.moved < 2.1 * 4e6  # it is made once, and given once


def test_a_loop_within_a_loop_by_its_counter():
    def inner(i, x):
        return lax.fori_loop(i, 4, lambda j, x: x @ x, x)

    cost = count(
        lambda x, n: lax.fori_loop(0, n, inner, x), _shape(8, 8), 4, known={1: np.int32(4)}
    )
    assert _total(cost) == (4 + 3 + 2 + 1) * 2 * 8**3


def test_a_loop_of_unknown_length_is_no_guess():
    with pytest.raises(ValueError, match="trips"):
        count(lambda x: lax.while_loop(lambda x: x[0] < 1, lambda x: x + 1, x), _shape(3))
    with pytest.raises(ValueError, match="trips"):
        count(lambda n, x: lax.fori_loop(0, n, lambda i, x: x + 1, x), 3, _shape(3))


def test_branches_cost_what_the_dearest_does():
    def either(flag, x):
        return lax.cond(flag, lambda x: x @ x, lambda x: x, x)

    assert _total(count(either, _shape(dtype=bool), _shape(8, 8))) == 2 * 8**3


@pytest.mark.parametrize(
    ("collective", "sent"),
    [
        (lambda x: lax.psum(x, "batch"), 2 * 7 / 8 * 4_000),
        (lambda x: lax.all_gather(x, "batch", tiled=True), 7 / 8 * 8 * 4_000),
        (lambda x: lax.psum_scatter(x, "batch", tiled=True), 7 / 8 * 4_000),
        (lambda x: lax.all_to_all(x, "batch", 0, 0, tiled=True), 7 / 8 * 4_000),
    ],
)
def test_collectives_of_eight_devices(collective, sent):
    automatic = (jax.sharding.AxisType.Auto,)
    mesh = jax.sharding.AbstractMesh((8,), ("batch",), axis_types=automatic)
    spec = jax.sharding.PartitionSpec("batch")
    mapped = jax.shard_map(collective, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    assert count(mapped, _shape(8_000)).sent == sent


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_the_graph_computes_one_half_of_the_similarities(platform):
    n, d = 50_000, 64
    cost = count(
        pmap_search(n, 5, platform),
        *(_shape(1, dtype=np.int32), _shape(n, d)),
        known={0: np.int32(0)},
    )
    assert set(cost.flops) == {"full"}
    assert n * n * d < _total(cost) < 1.3 * n * n * d


def test_an_encoder_against_what_xla_counts():
    encoder = models.create(configs.read(digits.get_config()), parallel.platform())
    images = _shape(32, 28, 28, 1)
    variables = models.variables(encoder, images.shape[1:])

    def embed(variables, images):
        return encoder.apply(variables, images)

    found = jax.jit(embed).lower(variables, images).cost_analysis()["flops"]
    # XLA counts additions besides products, and no products with padding.
    assert _total(count(embed, variables, images)) == pytest.approx(found, rel=0.25)


def test_a_loop_in_a_scan_by_what_stays_outside():
    def scanned(x, n):
        def body(x, y):
            return lax.fori_loop(0, n, lambda i, x: x @ x, x) + y, None

        return lax.scan(body, x, jnp.zeros((3, 8, 8)))

    cost = count(scanned, _shape(8, 8), 4, known={1: np.int32(4)})
    assert _total(cost) == 3 * 4 * 2 * 8**3
