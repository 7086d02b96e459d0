"""Losses and gradients against naive float64 formulas, finite differences and plain autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax.graph.probability import MIN_TEMPERATURE
from pad_jax.objectives.losses import pad_loss
from tests.support.programs import equations

B, N, D = 12, 61, 16
DESIGNS = ("kl", "cosine", "none")


def naive_loss(x, positive, memory, in_group, temperature, weight, hpe):
    """Eq 2 to 5 word for word; ``in_group`` is bool [B, N]. NumPy float64."""

    def probabilities(v):
        e = np.exp(v @ memory.T / temperature)
        return e / e.sum(1, keepdims=True)

    p, p_positive = probabilities(x), probabilities(positive)
    scs = -np.mean(np.log(np.sum(p * in_group, axis=1)))
    hard = {
        "kl": np.mean(np.sum(p * np.log(p / p_positive), axis=1)),
        "cosine": np.mean(1 - np.sum(x * positive, axis=1)),
        "none": 0.0,
    }[hpe]
    return scs + weight * hard, scs, hard


def naive_hpe_in_jax(x, positive, log_p, log_q, hpe):
    """L_hpe of ``naive_loss``, for autodiff."""
    return {
        "kl": jnp.mean(jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=1)),
        "cosine": jnp.mean(1 - jnp.sum(x * positive, axis=1)),
        "none": 0.0,
    }[hpe]


@pytest.fixture
def case(rng, unit_rows):
    """Embeddings not far from their memory rows, and groups of several sizes."""
    memory = unit_rows(N, D)
    index = rng.permutation(N)[:B].astype(np.int32)
    group_id = rng.integers(0, N // 4, N).astype(np.int32)
    group_id[rng.permutation(N)[:10]] = 1000 + np.arange(10)  # singletons
    x = memory[index] + unit_rows(B, D)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, unit_rows(B, D), memory, group_id, index


def members_of(group_id):
    lists = [np.flatnonzero(group_id == g) for g in group_id]
    members = np.full((len(lists), max(map(len, lists)) + 1), -1, np.int32)
    for i, rows in enumerate(lists):
        members[i, : len(rows)] = rows
    return members


def as_float64(*arrays):
    return [np.asarray(a, np.float64) for a in arrays]


@pytest.mark.parametrize("hpe", DESIGNS)
@pytest.mark.parametrize("chunk_rows", [7, 60, 61, 100])
@pytest.mark.parametrize("as_members", [False, True])
def test_equals_the_naive_formula(case, hpe, chunk_rows, as_members):
    x, positive, memory, group_id, index = case
    in_group = group_id[index][:, None] == group_id
    total, scs, hard = naive_loss(*as_float64(x, positive, memory), in_group, 0.1, 0.8, hpe)
    members = members_of(group_id) if as_members else None
    ids = np.arange(N, dtype=np.int32) if as_members else group_id
    loss, parts = pad_loss(
        x, positive, memory, ids, index, hpe=hpe, chunk_rows=chunk_rows, members=members
    )
    np.testing.assert_allclose(loss, total, rtol=1e-5)
    np.testing.assert_allclose(parts["scs"], scs, rtol=1e-5)
    np.testing.assert_allclose(parts["hpe"], hard, rtol=1e-5)


@pytest.mark.parametrize("hpe", DESIGNS)
@pytest.mark.parametrize("chunk_rows", [7, N])
@pytest.mark.parametrize("as_members", [False, True])
def test_gradients_equal_finite_differences_in_float64(case, hpe, chunk_rows, as_members):
    x, positive, memory, group_id, index = case
    in_group = group_id[index][:, None] == group_id
    members = members_of(group_id) if as_members else None
    gradients = jax.grad(
        lambda x, positive: pad_loss(
            x,
            positive,
            memory,
            group_id,
            index,
            hpe=hpe,
            chunk_rows=chunk_rows,
            members=members,
        )[0],
        (0, 1),
    )(x, positive)
    exact = as_float64(x, positive, memory)
    for which, gradient in enumerate(gradients):
        numeric = np.zeros((B, D))
        for i in np.ndindex(B, D):
            values = []
            for step in (1e-6, -1e-6):
                moved = [a.copy() for a in exact]
                moved[which][i] += step
                values.append(naive_loss(*moved, in_group, 0.1, 0.8, hpe)[0])
            numeric[i] = (values[0] - values[1]) / 2e-6
        assert np.linalg.norm(gradient - numeric) <= 1e-5 * max(np.linalg.norm(numeric), 1e-3)


@pytest.mark.parametrize("hpe", DESIGNS)
@pytest.mark.parametrize("chunk_rows", [7, 61])
def test_embeddings_of_fewer_bits_are_taken_as_float32(case, hpe, chunk_rows):
    x, positive, memory, group_id, index = case

    def loss(x, positive):
        return pad_loss(x, positive, memory, group_id, index, hpe=hpe, chunk_rows=chunk_rows)[0]

    rounded = [jnp.asarray(v, jnp.bfloat16) for v in (x, positive)]
    value, gradients = jax.value_and_grad(loss, (0, 1))(*rounded)
    same = [v.astype(jnp.float32) for v in rounded]
    expected, of_same = jax.value_and_grad(loss, (0, 1))(*same)
    assert value == expected
    for own, other in zip(gradients, of_same, strict=True):
        assert own.dtype == jnp.bfloat16
        np.testing.assert_array_equal(own, other.astype(jnp.bfloat16))


@pytest.mark.parametrize(
    "temperature",
    [MIN_TEMPERATURE, 0.1, 0.5, np.linspace(0.05, 0.5, B, dtype=np.float32)],
    ids=["lowest", "0.1", "0.5", "of each sample"],
)
@pytest.mark.parametrize("hpe", DESIGNS)
@pytest.mark.parametrize("chunk_rows", [13, N])
def test_gradients_equal_autodiff_of_the_naive_formula(case, temperature, hpe, chunk_rows):
    x, positive, memory, group_id, index = case
    in_group = group_id[index][:, None] == group_id
    of_rows = np.reshape(temperature, (-1, 1))
    temperature = temperature if isinstance(temperature, float) else jnp.asarray(temperature)

    def naive(x, positive):
        p, q = (jax.nn.log_softmax(v @ memory.T / of_rows) for v in (x, positive))
        scs = -jnp.mean(jax.nn.logsumexp(jnp.where(in_group, p, -jnp.inf), axis=1))
        return scs + 0.3 * naive_hpe_in_jax(x, positive, p, q, hpe)

    def ours(x, positive):
        return pad_loss(
            x, positive, memory, group_id, index,
            temperature=temperature, hpe_weight=0.3, hpe=hpe, chunk_rows=chunk_rows,
        )[0]  # fmt: skip

    for mine, theirs in zip(
        jax.grad(ours, (0, 1))(x, positive), jax.grad(naive, (0, 1))(x, positive), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-5 * float(1e-2 + np.abs(theirs).max()))


@pytest.mark.parametrize(
    ("n", "batch", "platform", "most"),
    [
        (50_000, 128, "tpu", 2**15),
        (50_000, 512, "gpu", 2**13),
        (1_281_167, 256, "gpu", 2**14),
        (200_001, 128, "cpu", 2**11),
    ],
)
def test_chunks_overlap_by_less_than_a_row_each(n, batch, platform, most):
    """The one that is chosen, that number given, and one row less than all."""
    x, memory = (jax.ShapeDtypeStruct((rows, D), np.float32) for rows in (batch, n))
    group_id, index = (jax.ShapeDtypeStruct((rows,), np.int32) for rows in (n, batch))
    for given, bound in ((None, most), (most, most), (n - 1, n - 1)):
        program = jax.make_jaxpr(
            lambda *v, given=given: pad_loss(*v, chunk_rows=given, platform=platform)[0]
        )(x, x, memory, group_id, index)
        (scan,) = (e for e in equations(program) if e.primitive.name == "scan")
        slices = (e for e in equations(scan.params["jaxpr"]) if e.primitive.name == "dynamic_slice")
        (rows,) = {e.outvars[0].aval.shape[0] for e in slices}
        chunks = scan.params["length"]
        assert rows <= bound
        assert chunks == -(-n // bound)
        assert n <= chunks * rows < n + chunks


def test_singletons_give_the_instance_loss(case):
    x, positive, memory, _, index = case
    logits = x.astype(np.float64) @ memory.T / 0.1
    instance = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(B), index])
    own = np.arange(N, dtype=np.int32)
    loss, _ = pad_loss(x, positive, memory, own, index, hpe="none")
    np.testing.assert_allclose(loss, instance, rtol=1e-5)


def test_padding_rows_are_in_no_softmax(case):
    x, positive, memory, group_id, index = case
    padded = np.concatenate([memory, x[:5]])  # rows as similar as can be
    ids = np.concatenate([group_id, np.full(5, -1, np.int32)])
    f = jax.value_and_grad(lambda x, m, g: pad_loss(x, positive, m, g, index, chunk_rows=9)[0])
    for a, b in zip(f(x, memory, group_id), f(x, padded, ids), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("hpe", DESIGNS)
@pytest.mark.parametrize("chunk_rows", [9, N])
def test_samples_whose_rows_do_not_count_have_hard_positive_enhancement_alone(
    case, hpe, chunk_rows
):
    x, positive, memory, group_id, index = case
    kept = np.ones(N, bool)
    kept[index[:4]] = kept[np.setdiff1d(np.arange(N), index)[::3]] = False
    counts, memory_kept = kept[index], memory[kept]
    in_group = group_id[index][counts, None] == group_id[kept]

    def naive(x, positive):
        p, q = (jax.nn.log_softmax(v @ memory_kept.T / 0.1) for v in (x, positive))
        scs = -jax.nn.logsumexp(jnp.where(in_group, p[counts], -jnp.inf), axis=1)
        return jnp.sum(scs) / B + 0.8 * naive_hpe_in_jax(x, positive, p, q, hpe)

    def ours(x, positive):
        ids = np.where(kept, group_id, -1)
        return pad_loss(x, positive, memory, ids, index, hpe=hpe, chunk_rows=chunk_rows)[0]

    np.testing.assert_allclose(ours(x, positive), naive(x, positive), rtol=1e-5)
    for mine, theirs in zip(
        jax.grad(ours, (0, 1))(x, positive), jax.grad(naive, (0, 1))(x, positive), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-5 * float(1e-2 + np.abs(theirs).max()))


@pytest.mark.parametrize("sign", [1, -1])
def test_rows_as_like_or_unlike_as_can_be_at_the_lowest_temperature(sign):
    x = np.eye(4, 8, dtype=np.float32)[[0] * 4]
    positive, memory = -x, sign * np.eye(1, 8, dtype=np.float32)[[0] * 40]
    index, group_id = np.arange(4), np.arange(40) // 4 * 4
    gradients = jax.grad(
        lambda *v: pad_loss(*v, memory, group_id, index, temperature=MIN_TEMPERATURE)[0], (0, 1)
    )(x, positive)
    loss, parts = pad_loss(x, positive, memory, group_id, index, temperature=MIN_TEMPERATURE)
    np.testing.assert_allclose(loss, np.log(10), rtol=1e-4)  # p and p' are both uniform
    np.testing.assert_allclose(parts["hpe"], 0, atol=5e-5)  # of terms up to 2 / tau = 67
    for gradient in gradients:
        np.testing.assert_allclose(gradient, 0, atol=1e-3)


def test_a_temperature_that_changes_on_the_way_is_a_value_of_the_step(case):
    x, *rest = case

    def loss(x, temperature):
        return pad_loss(x, *rest, temperature=temperature)[0]

    traced = jax.jit(jax.value_and_grad(loss))
    for temperature in (0.1, 0.4):
        constant = jax.value_and_grad(lambda x, tau=temperature: loss(x, tau))(x)
        for a, b in zip(traced(x, temperature), constant, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_too_low_a_temperature(case):
    with pytest.raises(ValueError, match="temperature=0.02"):
        pad_loss(*case, temperature=0.02)


def test_no_gradient_into_the_memory_and_stop_gradient(case):
    x, positive, memory, group_id, index = case

    def loss(positive, memory, **kwargs):
        return pad_loss(x, positive, memory, group_id, index, **kwargs)[0]

    assert not np.any(jax.grad(loss, 1)(positive, memory))
    for hpe in ("kl", "cosine"):
        assert np.any(jax.grad(loss)(positive, memory, hpe=hpe))
        assert not np.any(jax.grad(loss)(positive, memory, hpe=hpe, stop_gradient=True))


def test_embeddings_that_are_no_floats(case):
    x, *rest = case
    with pytest.raises(ValueError, match="embeddings are int32; give floats"):
        pad_loss(np.ones(x.shape, np.int32), *rest)


def test_unknown_design(case):
    with pytest.raises(ValueError, match="hpe='mse'"):
        pad_loss(*case, hpe="mse")


@pytest.mark.parametrize(
    ("wrong", "chunk_rows"),
    [("positive_embeddings", 7), ("memory", 7), ("group_id", 7), ("group_id", 61), ("index", 61),
     ("members", 7)],
)  # fmt: skip
def test_arrays_that_do_not_go_together(case, wrong, chunk_rows):
    names = ("embeddings", "positive_embeddings", "memory", "group_id", "index")
    arrays = dict(zip(names, case, strict=True)) | {"members": members_of(case[3])}
    pad_loss(**arrays, chunk_rows=chunk_rows)
    arrays[wrong] = arrays[wrong][:1] if wrong != "memory" else arrays[wrong][:, 1:]
    with pytest.raises(ValueError, match=f"^{wrong} is .*; it has to be"):
        pad_loss(**arrays, chunk_rows=chunk_rows)


def test_without_enhancement_there_need_be_no_positives(case):
    x, positive, *rest = case
    assert pad_loss(x, None, *rest, hpe="none")[0] == pad_loss(x, positive, *rest, hpe="none")[0]
