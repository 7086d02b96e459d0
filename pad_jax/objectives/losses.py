"""The losses of PAD (Eq 2 to 5), streamed over the memory.

Everything the losses need of the memory are four sums a sample, with l_j = x . m_j / tau the logits
of an embedding x, l'_j those of its hard positive x', and p the softmax of l (Eq 2):

    S   = sum_j exp(l_j - 1 / tau)              over the whole memory
    S_C = sum_{j in C} exp(l_j - 1 / tau)       over the group of x
    S'  = sum_j exp(l'_j - 1 / tau)
    T   = sum_j exp(l_j - 1 / tau) (l'_j - l_j)

    L_scs = log S - log S_C                                                    (Eq 3)
    L_hpe = sum_j p_j log(p_j / p'_j) = log S' - log S - T / S                 (Eq 4)

All rows are of length one, so no logit exceeds 1 / tau and none falls more than 2 / tau below it:
with tau >= 0.03 nothing over- or underflows in float32, and no maximum is needed. Where the memory
is large the sums and their gradients are taken in one pass over it that holds the logits of one
chunk of its rows at a time; devices that hold shards of the memory add up what they have.

Products with the memory are in full float32: GPUs and TPUs would else round factors to 11 or 8
bits, and a logit is divided by tau before it is an exponent.
"""

import functools
import numbers
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from pad_jax import parallel
from pad_jax.graph.probability import MIN_TEMPERATURE

# Up to so many logits of a view (64 MB) are held together, which saves two of six matrix products.
_HELD_LOGITS = {"cpu": 2**24, "gpu": 2**24, "tpu": 2**22}
# Of more, chunks: 1 MB stays in a CPU's caches; accelerators want fewer, larger kernels.
_CHUNK_LOGITS = {"cpu": 2**18, "gpu": 2**22, "tpu": 2**22}


def pad_loss(
    embeddings: jax.Array,
    positive_embeddings: jax.Array,
    memory: jax.Array,
    group_id: jax.Array,
    index: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    hpe_weight: float = 0.8,
    hpe: str = "kl",
    stop_gradient: bool = False,
    members: jax.Array | None = None,
    axis_name: str | None = None,
    chunk_rows: int | None = None,
    platform: str | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """L_pad = L_scs + hpe_weight * L_hpe (Eq 5), the mean over the batch.

    Inside a pmap, ``embeddings``, ``positive_embeddings`` and ``index`` are the device's part of
    the batch, ``memory``, ``group_id`` and ``members`` its shard of the rows (equally many on each
    device, in order), and the loss is the mean over the device's part. No gradient flows into the
    memory or the temperature.

    Args:
      embeddings: float32 [B, D], unit rows. Those of fewer bits are taken as float32.
      positive_embeddings: likewise, the hard positives' embeddings. The design "none" takes None.
      memory: float32 [N, D], unit rows.
      group_id: int32 [N], the group of each memory row; a row with -1, padding or one that does not
        count, is in no softmax, and L_scs of its own sample is 0.
      index: int32 [B], the memory row of each sample.
      temperature: tau, at least MIN_TEMPERATURE; float32 [] where it changes on the way, or [B x
        devices], that of each sample of the whole batch. Arrays are not checked.
      hpe_weight: lambda.
      hpe: the design of hard positive enhancement: "kl" (Eq 4), "cosine" (1 - x . x', the FCS of
        Table 5) or "none".
      stop_gradient: whether L_hpe treats the hard positive as a constant.
      members: int32 [N, m] or None. Where groups are no partition, the rows of C(i) for each row i,
        filled up with -1; ``group_id`` then only marks the padding.
      axis_name: the pmapped axis over which batch and memory are divided; None on a single device.
      chunk_rows: the most memory rows whose logits are held at a time, N or more for all of them;
        None chooses it. Chunks are of equal size, so they may be smaller.
      platform: "cpu", "gpu" or "tpu", which it is chosen for; None: the devices at hand.

    Returns:
      The loss, and {"scs": L_scs, "hpe": L_hpe}; "hpe" is 0 for the design "none".

    Raises:
      ValueError: for an unknown design, a lower temperature, embeddings that are no floats, or
        shapes that do not go together.
    """
    if hpe not in ("kl", "cosine", "none"):
        raise ValueError(f"hpe={hpe!r} is unknown; use kl, cosine or none")
    if isinstance(temperature, numbers.Real) and temperature < MIN_TEMPERATURE:
        raise ValueError(f"temperature={temperature} is too low; use {MIN_TEMPERATURE} or more")
    if hpe == "none":
        positive_embeddings = embeddings
    embeddings, positive_embeddings = map(_in_float32, (embeddings, positive_embeddings))
    _check_shapes(embeddings, positive_embeddings, memory, group_id, index, members)
    if stop_gradient:
        positive_embeddings = lax.stop_gradient(positive_embeddings)
    index = parallel.gather(index, axis_name)
    if chunk_rows is None:
        chunk_rows = _chunk_rows(index.shape[0], memory.shape[0], platform or parallel.platform())
    rows = _Rows(
        memory=memory,
        group_id=group_id,
        sample_group=parallel.lookup(group_id, index, axis_name),
        sample_members=None if members is None else parallel.lookup(members, index, axis_name),
        scale=1 / temperature,
    )
    passing = _Passing(axis_name, _equal_chunks(memory.shape[0], chunk_rows))
    sums = _memory_sums(passing, embeddings, positive_embeddings if hpe == "kl" else None, rows)
    log_all = jnp.log(sums.all)
    counts = parallel.local_part(rows.sample_group >= 0, axis_name)
    scs = jnp.mean(log_all - jnp.log(jnp.where(counts, sums.group, sums.all)))
    if hpe == "kl":
        hard = jnp.mean(jnp.log(sums.positive) - log_all - _quotient(sums.shift, sums.all))
    elif hpe == "cosine":
        hard = jnp.mean(1.0 - jnp.sum(embeddings * positive_embeddings, axis=-1))
    else:
        hard = jnp.zeros_like(scs)
    return scs + hpe_weight * hard, {"scs": scs, "hpe": hard}


def _check_shapes(embeddings, positive_embeddings, memory, group_id, index, members):
    """Raises ValueError where one of the arrays is not of the batch, or of the memory's rows."""
    batch, dim = jnp.shape(embeddings)
    num_rows = jnp.shape(memory)[0]
    for name, array, expected in (
        ("positive_embeddings", positive_embeddings, (batch, dim)),
        ("memory", memory, (num_rows, dim)),
        ("group_id", group_id, (num_rows,)),
        ("index", index, (batch,)),
        ("members", members, None if members is None else (num_rows, jnp.shape(members)[1])),
    ):
        if expected is not None and jnp.shape(array) != expected:
            raise ValueError(f"{name} is {list(jnp.shape(array))}; it has to be {list(expected)}")


def _in_float32(x):
    """An array in float32 or more: a logit of fewer bits is no exponent."""
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"embeddings are {dtype}; give floats, rows of length one")
    return jnp.asarray(x, jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype)


@jax.custom_jvp
def _quotient(a: jax.Array, b: jax.Array) -> jax.Array:
    """The quotient, with a derivative that does not square b, which would underflow."""
    return a / b


@_quotient.defjvp
def _quotient_jvp(values, tangents):
    (a, b), (of_a, of_b) = values, tangents
    return a / b, of_a / b - (a / b) * (of_b / b)


def _chunk_rows(batch_size, num_rows, platform):
    if batch_size * num_rows <= _HELD_LOGITS[platform]:
        return num_rows
    return max(1, _CHUNK_LOGITS[platform] // batch_size)


def _equal_chunks(num_rows, most):
    """Rows of a chunk: as few chunks as ``most`` rows allow, which overlap by less than a row each.

    Chunks of ``most`` rows could pass over nearly all rows twice: 32,768 are two chunks of 50,000.
    """
    chunks = -(-num_rows // most)
    return -(-num_rows // chunks)


class _Rows(NamedTuple):
    """What the scan needs beside the embeddings; for the whole batch and this device's rows."""

    memory: jax.Array  # [N, D]
    group_id: jax.Array  # [N]
    sample_group: jax.Array  # [B]
    sample_members: jax.Array | None  # [B, m]
    scale: float | jax.Array  # 1 / tau, the largest logit; or [B]


class _Passing(NamedTuple):
    """How the memory is passed over."""

    axis_name: str | None
    chunk_rows: int


class _Sums(NamedTuple):
    """S, S_C, S' and T of the module's docstring, each [B]; the last two may be None."""

    all: jax.Array
    group: jax.Array
    positive: jax.Array | None
    shift: jax.Array | None


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _memory_sums(passing: _Passing, x: jax.Array, positive: jax.Array | None, rows: _Rows) -> _Sums:
    return _sums_forward(passing, x, positive, rows)[0]


def _sums_forward(passing, x, positive, rows):
    """The sums, and what their gradients are made of: exp(l_j) has the gradient exp(l_j) m_j / tau.

    The gradients are sums of terms times memory rows, weighted by cotangents that come later. Where
    all logits are held the terms wait for them, [N, B] each. In chunks each kind of term is
    multiplied by the rows at once, [D, B] each: two products more, but no logits computed again.
    """
    x, positive = jax.tree.map(lambda v: parallel.gather(v, passing.axis_name), (x, positive))

    def sums_of(chunk):
        terms = _chunk_terms(x, positive, rows, chunk)
        return jax.tree.map(lambda v: jnp.sum(v, axis=0), terms), terms

    def body(accumulated, chunk):
        sums, terms = sums_of(chunk)
        with_rows = jax.tree.map(lambda v: _with_rows(v, chunk.memory), terms)
        return jax.tree.map(jnp.add, accumulated, (sums, with_rows)), None

    if passing.chunk_rows == rows.memory.shape[0]:
        sums, terms = sums_of(_all_rows(passing, rows))
        residuals = (terms, rows.memory, rows.scale)
    else:
        zeros = [jnp.zeros(x.shape[:1], x.dtype), jnp.zeros_like(x.T)]
        zeros = tuple(_Sums(z, z, *((None, None) if positive is None else (z, z))) for z in zeros)
        sums, with_rows = _scan_chunks(passing, body, zeros, rows)
        residuals = (with_rows, None, rows.scale)
    if passing.axis_name is not None:
        sums = lax.psum(sums, passing.axis_name)
    local = jax.tree.map(lambda v: parallel.local_part(v, passing.axis_name), sums)
    return local, residuals


def _sums_backward(passing, residuals, cotangents):
    terms, memory, scale = residuals  # already times the memory where that is None
    d = jax.tree.map(lambda c: parallel.gather(c, passing.axis_name), cotangents)
    of_x = d.all * terms.all + d.group * terms.group
    of_positive = None
    if terms.positive is not None:
        of_x += d.shift * (terms.shift - terms.all)
        of_positive = d.positive * terms.positive + d.shift * terms.all
    gradients = (of_x, of_positive)
    if memory is not None:
        gradients = jax.tree.map(lambda v: _with_rows(v, memory), gradients)
    gradients = jax.tree.map(lambda g: (g * scale).T, gradients)
    if passing.axis_name is not None:
        gradients = jax.tree.map(
            lambda g: lax.psum_scatter(g, passing.axis_name, tiled=True), gradients
        )
    return *gradients, None  # the memory takes no gradient


_memory_sums.defvjp(_sums_forward, _sums_backward)


class _Chunk(NamedTuple):
    memory: jax.Array  # [c, D]
    group_id: jax.Array  # [c], -1 for rows that do not count
    first_row: jax.Array  # the chunk's first row in the whole memory


def _all_rows(passing, rows):
    """This device's memory rows as one chunk."""
    n = rows.memory.shape[0]
    first = 0 if passing.axis_name is None else lax.axis_index(passing.axis_name) * n
    return _Chunk(rows.memory, rows.group_id, first)


def _scan_chunks(passing, body, init, rows):
    """Folds ``body`` over chunks of this device's memory rows, without copying the memory."""
    whole = _all_rows(passing, rows)
    n, c = whole.memory.shape[0], passing.chunk_rows

    def step(accumulated, first):
        # The last chunk starts early enough to be whole; rows seen before do not count again.
        start = jnp.minimum(first, n - c)
        group_id = lax.dynamic_slice_in_dim(whole.group_id, start, c)
        group_id = jnp.where(start + jnp.arange(c) < first, -1, group_id)
        memory = lax.dynamic_slice_in_dim(whole.memory, start, c)
        return body(accumulated, _Chunk(memory, group_id, whole.first_row + start))

    return lax.scan(step, init, jnp.arange(0, n, c))[0]


def _with_rows(terms, memory):
    """Each sample's sum of memory rows, weighted by its terms: [c, B], [c, D] -> [D, B]."""
    return jnp.matmul(memory.T, terms, precision=lax.Precision.HIGHEST)


def _chunk_terms(x, positive, rows, chunk):
    """The terms of the sums over one chunk, [c, B] each.

    That way round XLA's CPU product of memory and embeddings takes about half of the time.
    """
    valid = (chunk.group_id >= 0)[:, None]

    def logits(v):
        return jnp.matmul(chunk.memory, v.T, precision=lax.Precision.HIGHEST) * rows.scale

    def exponentials(logits):
        return jnp.where(valid, jnp.exp(logits - rows.scale), 0)

    if rows.sample_members is None:
        in_group = chunk.group_id[:, None] == rows.sample_group
    else:
        c = chunk.group_id.shape[0]
        column = rows.sample_members - chunk.first_row
        column = jnp.where((column >= 0) & (column < c), column, c)  # c: dropped
        sample = jnp.arange(x.shape[0])[:, None]
        in_group = jnp.zeros((c, x.shape[0]), bool).at[column, sample].set(True, mode="drop")
    of_x = logits(x)
    e = exponentials(of_x)
    terms = _Sums(e, jnp.where(in_group, e, 0), None, None)
    if positive is None:
        return terms
    of_positive = logits(positive)
    return terms._replace(positive=exponentials(of_positive), shift=e * (of_positive - of_x))
