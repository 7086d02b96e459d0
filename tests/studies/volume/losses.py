"""The streamed loss and its gradients, against float64."""

import functools
import itertools
from collections.abc import Iterator

import jax
import numpy as np

from pad_jax.graph.probability import MIN_TEMPERATURE
from pad_jax.objectives.losses import pad_loss
from tests.studies.volume.cases import Case
from tests.support.loss_oracle import exact_loss

DESIGNS = ("kl", "cosine", "none")
# (B, N, D), and the sizes of chunks that each is passed over in: all there are of few rows.
SHAPES = {
    (1, 1, 4): (1, 2),
    (1, 2, 1): (1, 2),
    (2, 3, 8): (1, 2, 3),
    (3, 7, 16): (1, 2, 3, 4, 5, 6, 7, 9),
    (5, 61, 16): (1, 2, 7, 30, 31, 60, 61, 100),
    (16, 257, 128): (16, 128, 129, 256, 257),
    (64, 1000, 32): (100, 333, 1000),
}
_HIGHEST_TEMPERATURE = 10.0
_EPSILON = float(np.finfo(np.float32).eps)
# How many roundings of its terms a value may be off by, at a temperature of 1 and more. At a lower
# one a logit of 1 / tau is rounded, so there are 1 / tau times as many.
_ROUNDINGS = 16


@functools.cache
def _compiled(hpe, chunk_rows):
    def loss(x, positive, memory, group_id, index, members, temperature, weight):
        return pad_loss(
            x, positive, memory, group_id, index, members=members,
            temperature=temperature, hpe_weight=weight, hpe=hpe, chunk_rows=chunk_rows,
        )[0]  # fmt: skip

    return jax.jit(jax.value_and_grad(loss, (0, 1)))


def unit_rows(rng, n, d):
    rows = rng.standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def members_of(group_id):
    """The rows of each row's group, int32 [N, m], filled up with -1."""
    same = (group_id[:, None] == group_id) & (group_id >= 0)
    lists = np.where(same, np.arange(len(group_id)), -1)
    return -np.sort(-lists, axis=1).astype(np.int32)


def wrong(rng, b, n, d, hpe, chunk_rows, as_members) -> str:
    """What of one random batch differs from float64 by more than rounding."""
    memory = unit_rows(rng, n, d)
    index = rng.integers(n, size=b).astype(np.int32)
    x, positive = (memory[index] * rng.uniform(0, 3) + unit_rows(rng, b, d) for _ in range(2))
    x, positive = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, positive))
    group_id = rng.integers(0, max(n // 4, 1), n).astype(np.int32)
    if rng.integers(2):  # rows that do not count, but for one
        group_id[rng.permutation(n)[: n // 3]] = -1
    low, high = np.log([MIN_TEMPERATURE, _HIGHEST_TEMPERATURE])
    size = b if rng.integers(2) else ()
    temperature = np.exp(rng.uniform(low, high, size)).astype(np.float32)
    weight = np.float32(rng.choice([0.0, 0.8, 3.0]))
    valid = group_id >= 0
    of_samples = group_id[index]
    loss, gradients = _compiled(hpe, chunk_rows)(
        x, positive, memory, group_id, index,
        members_of(group_id) if as_members else None, temperature, weight,
    )  # fmt: skip
    in_group = of_samples[:, None] == group_id
    exact = exact_loss(
        x, positive, memory, in_group, valid, of_samples >= 0, temperature, float(weight), hpe
    )
    roundings = _ROUNDINGS * _EPSILON * max(1.0, 1 / float(np.min(temperature)))
    # log S, log S_C and T / S are as large as that; in the logarithm's own scale, so at least 1.
    size = max(1.0, np.log(n)) * (1 + float(weight))
    if not abs(float(loss) - exact.loss) <= roundings * size:
        return f"loss {float(loss)}, not {exact.loss}; tau={temperature}"
    for name, found, expected, terms in zip(
        ("x", "positive"), gradients, exact.gradients, exact.terms, strict=True
    ):
        off = np.abs(np.asarray(found, np.float64) - expected)
        allowed = roundings * terms.max(axis=1, keepdims=True) + 1e-30
        if not (off <= allowed).all():
            ratio = float(np.max(off / allowed))
            return f"gradient of {name} off by {ratio:.3g} of what is allowed; tau={temperature}"
    return ""


def cases(seed: int, count: int, shapes=SHAPES, designs=DESIGNS) -> Iterator[Case]:
    """``count`` batches of each shape, chunking, design and kind of group."""
    for which, ((b, n, d), chunkings) in enumerate(shapes.items()):
        options = itertools.product(chunkings, designs, (False, True))
        for option, (chunk_rows, hpe, as_members) in enumerate(options):
            for number in range(count):
                rng = np.random.default_rng([seed, which, option, number])
                what = f"B={b}, N={n}, D={d}, chunks of {chunk_rows}, hpe={hpe}"
                what += f", {'members' if as_members else 'groups'}, option {option}"
                found = wrong(rng, b, n, d, hpe, chunk_rows, as_members)
                yield Case(seed, number, what, found)
