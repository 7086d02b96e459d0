"""Which products are in full float32 on every device: those of the losses, the graph and searches.

And what a step in bfloat16 computes in float32. GPUs and TPUs round the factors of a float32
product unless a program says otherwise, and a CPU does neither: nothing that is computed here would
tell. So the programs are read.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax import beginning, models, objectives, steps
from pad_jax import config as configs
from pad_jax.graph import search
from pad_jax.graph.neighbors import pmap_search
from pad_jax.objectives import heads
from pad_jax.objectives.losses import pad_loss
from pad_jax.objectives.memory import refresh
from tests.support.programs import equations
from tests.support.small_runs import small_config

N, B, D = 40, 4, 8
_FULL = (jax.lax.Precision.HIGHEST,) * 2
_PRODUCTS = ("dot_general", "conv_general_dilated", "ragged_dot_general")


def products(program):
    """The precision of each product in a program, and in those that it calls."""
    for equation in equations(program):
        if equation.primitive.name in _PRODUCTS:
            yield equation.params["precision"]


def rows(n, dtype=np.float32):
    return jax.ShapeDtypeStruct((n, D), dtype)


def vector(n):
    return jax.ShapeDtypeStruct((n,), np.int32)


@pytest.mark.parametrize("hpe", ["kl", "cosine", "none"])
@pytest.mark.parametrize("chunk_rows", [7, N])
def test_losses_and_their_gradients(hpe, chunk_rows):
    def loss(x, positive, memory, group_id, index):
        return pad_loss(
            x, positive, memory, group_id, index, temperature=0.1, hpe=hpe, chunk_rows=chunk_rows
        )[0]

    program = jax.make_jaxpr(jax.value_and_grad(loss, (0, 1)))(
        rows(B), rows(B), rows(N), vector(N), vector(B)
    )
    found = list(products(program))
    assert len(found) >= 2
    assert set(found) == {_FULL}


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_the_graph(platform):
    found = list(products(jax.make_jaxpr(pmap_search(N, 3, platform))(vector(1), rows(N))))
    assert len(found) == 3  # a block with itself, with others, and the runs looked through
    assert set(found) == {_FULL}


def test_searches():
    def searched(queries, among, own):
        return search._of_block(search._nearest, (3,), queries, among, own, ())

    assert list(products(jax.make_jaxpr(searched)(rows(B), rows(N), vector(B)))) == [_FULL]


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_heads_of_the_baselines(dtype):
    head = {"kernel": jnp.zeros((D, 3)), "bias": jnp.zeros(3)}
    program = jax.make_jaxpr(jax.value_and_grad(lambda *v: heads.cross_entropy(*v)[0], (0, 1)))(
        head, rows(B, dtype), vector(B)
    )
    found = list(products(program))
    assert len(found) == 3  # the logits, and a gradient for each of the factors
    assert set(found) == {_FULL}


def test_the_memory_is_refreshed_without_products():
    program = jax.make_jaxpr(lambda *v: refresh(*v, 0.5))(rows(N), vector(B), rows(B))
    assert not list(products(program))


# Convolutions and linear layers, their biases, residuals' sums; ReLU and pooling, which choose.
_IN_BFLOAT16 = {"conv_general_dilated", "dot_general", "convert_element_type", "custom_jvp_call"}
_IN_BFLOAT16 |= {"jit", "max", "gt", "eq", "select_n", "reduce_max", "pad", "broadcast_in_dim"}
_IN_BFLOAT16 |= {
    "reshape",
    "transpose",
    "slice",
    "rev",
    "add",
    "add_any",
    "reduce_sum",
    "div",
    "mul",
}


@pytest.mark.parametrize("name", ["tiny", "resnet18"])
def test_what_a_step_in_bfloat16_computes_in_float32(name):
    """All but the layers: statistics of batch norm, rows of unit length, loss, memory, updates."""
    config = small_config(**{"model.name": name, "model.dtype": "bfloat16"})
    settings = configs.read(config)
    encoder, objective = models.create(settings, "gpu"), objectives.create(settings, "gpu")
    parts = beginning.step_parts(settings, encoder, objective, N)
    example = np.zeros((1, 16, 16, 1), np.float32)
    state = jax.eval_shape(
        lambda v: beginning.blank_state(parts, v, example, N),
        models.variables(encoder, (16, 16, 1)),
    )
    divided = {"memory": state.memory, "groups": state.groups}
    divided = jax.tree.map(lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype), divided)
    state = state.replace(**divided)
    sums = {name: jax.ShapeDtypeStruct((), np.float32) for name in objective.metrics}
    images = jax.ShapeDtypeStruct((1, B, 16, 16, 1), np.uint8)
    index = jax.ShapeDtypeStruct((1, B), np.int32)
    step = steps.pmap_train_step(parts, jax.devices()[:1])
    program = jax.make_jaxpr(step)(state, sums, index, images, images)
    assert jnp.bfloat16 not in {x.dtype for x in program.out_avals}
    in_bfloat16 = [
        (equation.primitive.name, str(equation.source_info.name_stack))
        for equation in equations(program)
        if any(getattr(v.aval, "dtype", None) == jnp.bfloat16 for v in equation.invars)
    ]
    assert {"conv_general_dilated", "dot_general"} <= {name for name, _ in in_bfloat16}
    for primitive, place in in_bfloat16:
        in_norm = "bn" in place or "BatchNorm" in place
        assert primitive in ({"convert_element_type"} if in_norm else _IN_BFLOAT16), place
