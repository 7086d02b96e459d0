"""The streamed loss against the plain one: temporary memory, time, and error of the gradient."""

import jax
import jax.numpy as jnp
import numpy as np

from pad_jax import runtime
from pad_jax.objectives.losses import pad_loss
from tests.benchmarks import measure
from tests.support.loss_oracle import exact_loss

DIM, TEMPERATURE, HPE_WEIGHT = 128, 0.1, 0.8


def plain_loss(x, positive, memory, group_id, index):
    """Eq 2 to 5 as they stand, with [B, N] matrices."""
    log_p, log_p_hard = (jax.nn.log_softmax(v @ memory.T / TEMPERATURE) for v in (x, positive))
    in_group = group_id[index][:, None] == group_id
    scs = -jnp.log(jnp.sum(jnp.exp(log_p) * in_group, axis=1))
    hpe = jnp.sum(jnp.exp(log_p) * (log_p - log_p_hard), axis=1)
    return jnp.mean(scs + HPE_WEIGHT * hpe)


def streamed_loss(*args):
    return pad_loss(*args, temperature=TEMPERATURE, hpe_weight=HPE_WEIGHT)[0]


def inputs(n: int, batch: int):
    rng = np.random.default_rng(0)
    memory, x, noise = (rng.standard_normal((rows, DIM), np.float32) for rows in (n, batch, batch))
    positive = x + 0.5 * noise
    memory, x, positive = (
        v / np.linalg.norm(v, axis=1, keepdims=True) for v in (memory, x, positive)
    )
    index = rng.permutation(n)[:batch].astype(np.int32)
    memory[index] = x  # as in training, a sample's own row is near it
    return x, positive, memory, np.arange(n, dtype=np.int32) // 5 * 5, index


def exact_gradients(x, positive, memory, group_id, index):
    """The oracle, NumPy float64."""
    every = np.ones(len(memory), bool)
    in_group = group_id[index][:, None] == group_id
    counts = np.ones(len(x), bool)
    return exact_loss(
        x, positive, memory, in_group, every, counts, TEMPERATURE, HPE_WEIGHT, "kl"
    ).gradients


def temporary_mib(gradient, args) -> float:
    shapes = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype), args)
    return gradient.lower(*shapes).compile().memory_analysis().temp_size_in_bytes / 2**20


def compare(n: int, batch: int, rounds: int) -> dict:
    streamed, plain = (jax.jit(jax.grad(f, (0, 1))) for f in (streamed_loss, plain_loss))
    data = inputs(n, batch)
    on_device = jax.device_put(data)
    row = {
        "rows": n,
        "MiB": temporary_mib(streamed, data),
        "plain MiB": temporary_mib(plain, data),
    }
    contenders = {"ours": lambda: jax.block_until_ready(streamed(*on_device))}
    if n > 50_000:  # the plain one takes 9 GB
        return row | {"ms": 1000 * measure.in_turn(rounds, **contenders)["ours"]}
    contenders["plain"] = lambda: jax.block_until_ready(plain(*on_device))
    times = measure.in_turn(rounds, **contenders)
    errors = [
        np.linalg.norm(ours - exact) / np.linalg.norm(exact)
        for ours, exact in zip(streamed(*on_device), exact_gradients(*data), strict=True)
    ]
    return row | {
        "ms": times["ours"] * 1000,
        "plain ms": times["plain"] * 1000,
        "ratio": times["ours"] / times["plain"],
        "gradient error": float(max(errors)),
    }


def main():
    args = measure.arguments(__doc__, batch=256, rounds=7, most=1_281_167)
    runtime.configure()
    sizes = sorted({min(n, args.most) for n in (20_000, 50_000, 1_281_167)})
    rows = [compare(n, args.batch, args.rounds) for n in sizes]
    measure.report(f"Gradient of the loss, batch {args.batch}, D={DIM}", rows, args.json)


if __name__ == "__main__":
    main()
