"""The losses of PAD (Eq 2 to 5), streamed over the memory.

Everything the losses need of the memory are four numbers a sample, with l_j = x . m_j / tau the
logits of an embedding x, l'_j those of its hard positive x', and p the softmax of l (Eq 2):

    F(x)   = logsumexp_j l_j               over the whole memory
    F_C(x) = logsumexp_{j in C} l_j        over the group of x
    F(x')  = logsumexp_j l'_j
    E      = sum_j p_j (l'_j - l_j)

    L_scs = F(x) - F_C(x)                                                      (Eq 3)
    L_hpe = sum_j p_j log(p_j / p'_j) = F(x') - F(x) - E                       (Eq 4)

So neither pass ever holds more logits than those of one chunk of memory rows, and devices that hold
shards of the memory combine four numbers a sample.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from pad_jax import parallel

# Logits of a view held at a time: 2 MB stay in a CPU's caches; accelerators want fewer, larger
# kernels.
_CHUNK_LOGITS = {"cpu": 2**19, "gpu": 2**22, "tpu": 2**22}


def pad_loss(
    embeddings: jax.Array,
    positive_embeddings: jax.Array,
    memory: jax.Array,
    group_id: jax.Array,
    index: jax.Array,
    *,
    temperature: float = 0.1,
    hpe_weight: float = 0.8,
    hpe: str = "kl",
    stop_gradient: bool = False,
    members: jax.Array | None = None,
    axis_name: str | None = None,
    chunk_rows: int | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """L_pad = L_scs + hpe_weight * L_hpe (Eq 5), the mean over the batch.

    Inside a pmap, ``embeddings``, ``positive_embeddings`` and ``index`` are the device's part of
    the batch, ``memory``, ``group_id`` and ``members`` its shard of the rows (equally many on each
    device, in order), and the loss is the mean over the device's part. No gradient flows into the
    memory.

    Args:
      embeddings: float32 [B, D], unit rows.
      positive_embeddings: float32 [B, D], unit rows: the hard positives' embeddings.
      memory: float32 [N, D], unit rows.
      group_id: int32 [N], the group of each memory row; a row with -1 is padding, in no softmax.
      index: int32 [B], the memory row of each sample.
      temperature: tau.
      hpe_weight: lambda.
      hpe: the design of hard positive enhancement: "kl" (Eq 4), "cosine" (1 - x . x', the FCS of
        Table 5) or "none".
      stop_gradient: whether L_hpe treats the hard positive as a constant.
      members: int32 [N, m] or None. Where groups are no partition, the rows of C(i) for each row i,
        filled up with -1; ``group_id`` then only marks the padding.
      axis_name: the pmapped axis over which batch and memory are divided; None on a single device.
      chunk_rows: number of memory rows whose logits are held at a time; None chooses it.

    Returns:
      The loss, and {"scs": L_scs, "hpe": L_hpe}; "hpe" is 0 for the design "none".

    Raises:
      ValueError: for an unknown design.
    """
    if hpe not in ("kl", "cosine", "none"):
        raise ValueError(f"hpe={hpe!r} is unknown; use kl, cosine or none")
    if stop_gradient:
        positive_embeddings = lax.stop_gradient(positive_embeddings)
    index = parallel.gather(index, axis_name)
    if chunk_rows is None:
        chunk_rows = max(1, _CHUNK_LOGITS[jax.default_backend()] // index.shape[0])
    rows = _Rows(
        memory=memory,
        group_id=group_id,
        sample_group=parallel.lookup(group_id, index, axis_name),
        sample_members=None if members is None else parallel.lookup(members, index, axis_name),
    )
    settings = _Settings(float(temperature), axis_name, min(chunk_rows, memory.shape[0]))
    statistics = _memory_statistics(
        settings, embeddings, positive_embeddings if hpe == "kl" else None, rows
    )
    scs = jnp.mean(statistics.all - statistics.group)
    if hpe == "kl":
        hard = jnp.mean(statistics.positive - statistics.all - statistics.shift)
    elif hpe == "cosine":
        hard = jnp.mean(1.0 - jnp.sum(embeddings * positive_embeddings, axis=-1))
    else:
        hard = jnp.zeros_like(scs)
    return scs + hpe_weight * hard, {"scs": scs, "hpe": hard}


class _Rows(NamedTuple):
    """What the scan needs beside the embeddings; for the whole batch and this device's rows."""

    memory: jax.Array  # [N, D]
    group_id: jax.Array  # [N]
    sample_group: jax.Array  # [B]
    sample_members: jax.Array | None  # [B, m]


class _Settings(NamedTuple):
    temperature: float
    axis_name: str | None
    chunk_rows: int


class _Statistics(NamedTuple):
    """F(x), F_C(x), F(x') and E of the module's docstring, each [B]; the last two may be None."""

    all: jax.Array
    group: jax.Array
    positive: jax.Array | None
    shift: jax.Array | None


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _memory_statistics(
    settings: _Settings, x: jax.Array, positive: jax.Array | None, rows: _Rows
) -> _Statistics:
    return _statistics_forward(settings, x, positive, rows)[0]


def _statistics_forward(settings, x, positive, rows):
    x, positive = jax.tree.map(lambda v: parallel.gather(v, settings.axis_name), (x, positive))

    def body(accumulated, chunk):
        logits, positive_logits, in_group = _chunk_logits(settings, x, positive, rows, chunk)
        new = _Statistics(
            all=_logsumexp(logits),
            group=_logsumexp(jnp.where(in_group, logits, -jnp.inf)),
            positive=None if positive is None else _logsumexp(positive_logits),
            shift=None,
        )
        if positive is not None:
            weights = jnp.exp(logits - _finite(new.all)[:, None])
            new = new._replace(shift=jnp.sum(weights * _difference(positive_logits, logits), -1))
        return _merge(accumulated, new), None

    empty = jnp.full(x.shape[:1], -jnp.inf, x.dtype)
    accumulated = _Statistics(
        empty, empty, *((None, None) if positive is None else (empty, jnp.zeros_like(empty)))
    )
    statistics = _scan_chunks(settings, body, accumulated, rows)
    if settings.axis_name is not None:
        statistics = _merge_devices(statistics, settings.axis_name)
    local = jax.tree.map(lambda v: parallel.local_part(v, settings.axis_name), statistics)
    return local, (x, positive, rows, statistics)


def _statistics_backward(settings, residuals, cotangents):
    x, positive, rows, statistics = residuals
    d = jax.tree.map(lambda c: parallel.gather(c, settings.axis_name)[:, None], cotangents)
    s = jax.tree.map(lambda v: v[:, None], statistics)

    def body(accumulated, chunk):
        logits, positive_logits, in_group = _chunk_logits(settings, x, positive, rows, chunk)
        memory = chunk.memory / settings.temperature
        p = jnp.exp(logits - s.all)
        weights = d.all * p + d.group * jnp.where(in_group, jnp.exp(logits - s.group), 0)
        if positive is None:
            return (accumulated[0] + weights @ memory, None), None
        shift = _difference(positive_logits, logits)
        weights += d.shift * p * (shift - s.shift - 1)
        positive_weights = d.positive * jnp.exp(positive_logits - s.positive) + d.shift * p
        return (
            accumulated[0] + weights @ memory,
            accumulated[1] + positive_weights @ memory,
        ), None

    zeros = (jnp.zeros_like(x), None if positive is None else jnp.zeros_like(positive))
    gradients = _scan_chunks(settings, body, zeros, rows)
    if settings.axis_name is not None:
        gradients = jax.tree.map(
            lambda g: lax.psum_scatter(g, settings.axis_name, tiled=True), gradients
        )
    return *gradients, None  # the memory takes no gradient


_memory_statistics.defvjp(_statistics_forward, _statistics_backward)


class _Chunk(NamedTuple):
    memory: jax.Array  # [c, D]
    group_id: jax.Array  # [c], -1 for rows that do not count
    first_row: jax.Array  # the chunk's first row in the whole memory


def _scan_chunks(settings, body, init, rows):
    """Folds ``body`` over the chunks of this device's memory rows, without copying the memory."""
    n, c = rows.memory.shape[0], settings.chunk_rows
    device_row = 0 if settings.axis_name is None else lax.axis_index(settings.axis_name) * n
    if c == n:
        return body(init, _Chunk(rows.memory, rows.group_id, device_row))[0]

    def step(accumulated, first):
        # The last chunk starts early enough to be whole; rows seen before do not count again.
        start = jnp.minimum(first, n - c)
        group_id = lax.dynamic_slice_in_dim(rows.group_id, start, c)
        group_id = jnp.where(start + jnp.arange(c) < first, -1, group_id)
        memory = lax.dynamic_slice_in_dim(rows.memory, start, c)
        return body(accumulated, _Chunk(memory, group_id, device_row + start))

    return lax.scan(step, init, jnp.arange(0, n, c))[0]


def _chunk_logits(settings, x, positive, rows, chunk):
    """Logits [B, c] of both views, -inf at padding, and who is in the sample's group."""
    valid = chunk.group_id >= 0

    def logits(v):
        return jnp.where(valid, v @ chunk.memory.T / settings.temperature, -jnp.inf)

    if rows.sample_members is None:
        in_group = rows.sample_group[:, None] == chunk.group_id
    else:
        c = chunk.group_id.shape[0]
        column = rows.sample_members - chunk.first_row
        column = jnp.where((column >= 0) & (column < c), column, c)  # c: dropped
        sample = jnp.arange(x.shape[0])[:, None]
        in_group = jnp.zeros((x.shape[0], c), bool).at[sample, column].set(True, mode="drop")
        in_group &= valid
    return logits(x), None if positive is None else logits(positive), in_group


def _finite(x):
    return jnp.where(jnp.isfinite(x), x, 0)


def _difference(a, b):
    return _finite(a - b)  # at padding -inf - -inf is NaN; such rows have weight 0


def _logsumexp(logits):
    # jax.nn.logsumexp without its handling of signs and infinities: two passes over the logits.
    top = _finite(jnp.max(logits, axis=-1))
    return top + jnp.log(jnp.sum(jnp.exp(logits - top[:, None]), axis=-1))


def _merge(a: _Statistics, b: _Statistics) -> _Statistics:
    """The statistics of two disjoint sets of memory rows together."""
    total = jnp.logaddexp(a.all, b.all)
    merged = _Statistics(total, jnp.logaddexp(a.group, b.group), None, None)
    if a.positive is None:
        return merged
    safe = _finite(total)
    shift = a.shift * jnp.exp(a.all - safe) + b.shift * jnp.exp(b.all - safe)
    return merged._replace(positive=jnp.logaddexp(a.positive, b.positive), shift=shift)


def _merge_devices(s: _Statistics, axis_name: str) -> _Statistics:
    """The same over all devices' rows."""

    def logsumexp(v):
        top = lax.pmax(v, axis_name)
        return top + jnp.log(lax.psum(jnp.exp(v - top), axis_name))

    total = logsumexp(s.all)
    merged = _Statistics(total, logsumexp(s.group), None, None)
    if s.positive is None:
        return merged
    shift = lax.psum(s.shift * jnp.exp(s.all - total), axis_name)
    return merged._replace(positive=logsumexp(s.positive), shift=shift)
