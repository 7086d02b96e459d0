"""Images a second of the training step, against the same work in plain PyTorch.

Ours is the real step, augmentation of both views included; PyTorch gets its views ready-made.
"""

import jax
import numpy as np
import torch

from pad_jax import memory, models, parallel, runtime, steps, subgraphs, train, train_state
from tests.benchmarks import measure, plain_torch

from configs import cifar10, mnist  # isort: skip


def jax_contender(config, encoder, images, group_id, count):
    """A function that trains ``count`` steps."""
    n = len(images)
    schedule = train.learning_rate_schedule(config, n)
    settings = train.step_settings(config, encoder, schedule, n)
    state = train.init_state(config, settings, n, images.shape[1:])
    rows = memory.random_rows(*state.memory.shape, seed=0)
    hard = subgraphs.hard_positives(group_id, rows)
    state = state.replace(memory=rows, groups=subgraphs.Groups(group_id, hard))
    step = steps.pmap_resident_train_steps(settings)
    plan = np.random.default_rng(0).permutation(n)[: count * config.batch_size]
    plan = parallel.shard(plan.reshape(1, count, -1).astype(np.int32))
    resident = parallel.replicate(images)
    held = [
        train_state.to_devices(state),
        parallel.replicate({name: np.float32(0) for name in settings.objective.metrics}),
    ]

    def run():
        for i in range(count):
            held[:] = step(*held, resident, plan, np.int32(i))
        jax.block_until_ready(held)

    return run


def torch_contender(config, encoder, images, group_id, count):
    """A function that trains ``count`` steps on views that are ready."""
    n, (height, _, channels) = len(images), images.shape[1:]
    network = plain_torch.AlexNet(
        channels, height, encoder.widths, encoder.kernels or (5, 5, 3, 3, 3), encoder.fc_widths
    )
    rows = torch.nn.functional.normalize(torch.randn(n, encoder.embedding_dim))
    step = plain_torch.create_step(network, rows, torch.from_numpy(group_id))
    batches = torch.randperm(n)[: count * config.batch_size].reshape(count, -1)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    views = pixels[batches[0].repeat(2)].contiguous()

    def run():
        for index in batches:
            step(index, views)

    return run


def main():
    args = measure.arguments(__doc__, steps=20, rounds=3)
    runtime.configure()
    rng = np.random.default_rng(0)
    rows = []
    for name, config, encoder_name, shape in (
        ("tiny, MNIST's size", mnist.get_config(), "tiny", (60_000, 28, 28, 1)),
        ("AlexNet, CIFAR-10's size", cifar10.get_config(), "alexnet", (50_000, 32, 32, 3)),
    ):
        config.model.name = encoder_name
        encoder = models.create(**config.model)
        images = rng.integers(0, 256, shape, np.uint8)
        group_id = np.arange(shape[0], dtype=np.int32) // 5 * 5
        times = measure.in_turn(
            args.rounds,
            ours=jax_contender(config, encoder, images, group_id, args.steps),
            torch=torch_contender(config, encoder, images, group_id, args.steps),
        )
        done = args.steps * config.batch_size
        rows.append(
            {
                "step": name,
                "images/s": done / times["ours"],
                "PyTorch": done / times["torch"],
                "ratio": times["torch"] / times["ours"],
            }
        )
    measure.report(f"Training step, batch {config.batch_size}", rows, args.json)


if __name__ == "__main__":
    main()
