"""Images a second of the training step, against the same work in plain PyTorch.

Ours is the real step, augmentation of both views included; PyTorch gets its views ready-made, and
stands with the best of float32 and, where the processor has it, bfloat16 (autocast), images as they
come and channels last. Beside it stands our step without its look at whether it is finite. Ours is
in float32; with ``--bfloat16=1`` the factors of its large products are rounded.
"""

import contextlib
import itertools
from unittest import mock

import jax
import numpy as np
import torch

from pad_jax import config as configs
from pad_jax import models, runtime, steps
from tests.benchmarks import measure, plain_torch, resident

from configs import cifar10, mnist  # isort: skip


def jax_contender(settings, encoder, images, group_id, count, checked=True):
    """A function that trains ``count`` steps."""
    begun = resident.begin(settings, encoder, images, group_id)
    step, held = steps.pmap_resident_train_steps(begun.parts), begun.held

    def run():
        for i in range(count):
            held[:] = step(*held, begun.images, begun.plan, np.int32(i))
        jax.block_until_ready(held)

    # The first call compiles it.
    as_if = mock.patch.object(steps, "all_finite", return_value=np.True_)
    with contextlib.nullcontext() if checked else as_if:
        run()
    return run


def torch_contender(batch_size, encoder, images, group_id, count, bfloat16, channels_last):
    """A function that trains ``count`` steps on views that are ready."""
    n, (height, _, channels) = len(images), images.shape[1:]
    network = plain_torch.AlexNet(
        channels, height, encoder.widths, encoder.kernels or (5, 5, 3, 3, 3), encoder.fc_widths
    )
    rows = torch.nn.functional.normalize(torch.randn(n, encoder.embedding_dim))
    step = plain_torch.create_step(
        network, rows, torch.from_numpy(group_id), autocast=torch.bfloat16 if bfloat16 else None
    )
    batches = torch.randperm(n)[: count * batch_size].reshape(count, -1)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    views = pixels[batches[0].repeat(2)].contiguous()
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        views = views.contiguous(memory_format=torch.channels_last)

    def run():
        for index in batches:
            step(index, views)

    return run


def main():
    args = measure.arguments(__doc__, steps=20, rounds=3, bfloat16=0)
    runtime.configure(bfloat16=bool(args.bfloat16))
    rng = np.random.default_rng(0)
    # Where it is emulated a step of AlexNet takes minutes.
    precisions = (False, True) if "bf16" in measure.processor("flags", "Features") else (False,)
    rows = []
    for name, config, encoder_name, shape in (
        ("tiny, MNIST's size", mnist.get_config(), "tiny", (60_000, 28, 28, 1)),
        ("AlexNet, CIFAR-10's size", cifar10.get_config(), "alexnet", (50_000, 32, 32, 3)),
    ):
        config.model.name = encoder_name
        config.model.dtype = "bfloat16" if args.bfloat16 else "float32"
        settings = configs.read(config)
        encoder = models.create(settings)
        images = rng.integers(0, 256, shape, np.uint8)
        group_id = np.arange(shape[0], dtype=np.int32) // 5 * 5
        work = (encoder, images, group_id, args.steps)
        ours = {
            "images/s": jax_contender(settings, *work),
            "unchecked": jax_contender(settings, *work, checked=False),
        }
        plain = {
            f"PyTorch, {'bfloat16' if bfloat16 else 'float32'}{', channels last' * last}": (
                torch_contender(config.batch_size, *work, bfloat16, last)
            )
            for bfloat16, last in itertools.product(precisions, (False, True))
        }
        times = measure.in_turn(args.rounds, **ours, **plain)
        done = args.steps * config.batch_size
        rows.append(
            {"step": name}
            | {name: done / seconds for name, seconds in times.items()}
            | {
                "of the best PyTorch's time": times["images/s"]
                / min(times[name] for name in plain),
                "of unchecked": times["images/s"] / times["unchecked"],
            }
        )
    measure.report(f"Training step, batch {config.batch_size}", rows, args.json)


if __name__ == "__main__":
    main()
