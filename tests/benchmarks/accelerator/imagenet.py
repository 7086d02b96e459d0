"""A training step at ImageNet's size, on synthetic images."""

import functools
import time

import jax
import numpy as np

from configs import imagenet as imagenet_config
from pad_jax import config as configs
from pad_jax import models, parallel, steps
from pad_jax.data.batches import split_over_devices
from pad_jax.data.preparation import Pixels
from pad_jax.settings import Settings
from tests.benchmarks import resident
from tests.benchmarks.accelerator import timing
from tests.benchmarks.accelerator.parts import Figure, Options, Result, Row
from tests.benchmarks.accelerator.results import Results
from tests.benchmarks.accelerator.training import plan_of


def rows(options: Options, results: Results) -> list[Row]:
    """The step, and what the plan says of it and of the graph."""
    sizes = options.sizes
    config = imagenet_config.get_config()
    config.seed = options.seed
    config.batch_size = sizes.large_batch
    config.model.name, config.model.stem = sizes.large_encoder, sizes.large_stem
    config.dataset.image_size = sizes.large_pixels
    config.dataset.max_resident_gib = 0.0  # streamed, at tiny sizes, too
    settings = configs.read(config)
    shape = (sizes.large_pixels, sizes.large_pixels, 3)
    return [
        Row("step", 60, functools.partial(_step, options, settings, shape)),
        Row("plan", 45, lambda: plan_of(settings, Pixels(shape), sizes.large_rows, of="training")),
    ]


def _step(options: Options, settings: Settings, shape: tuple[int, int, int]) -> Result:
    sizes, rng = options.sizes, np.random.default_rng(options.seed)
    n, encoder = sizes.large_rows, models.create(settings)
    no_images = np.broadcast_to(np.uint8(0), (n, *shape))
    group_id = np.arange(n, dtype=np.int32) // 5 * 5
    parts, held = resident.parts_and_held(settings, encoder, no_images, group_id)
    index = split_over_devices(rng.choice(n, sizes.large_batch, False).astype(np.int32))
    on_host = [rng.integers(0, 256, (*index.shape, *shape), np.uint8) for _ in range(2)]
    start = time.perf_counter()
    given = [parallel.shard(x) for x in (index, *on_host)]
    jax.block_until_ready(given)
    to_device = time.perf_counter() - start
    step = steps.pmap_train_step(parts)
    predicted = timing.least_seconds(step, *held, *given)
    program = timing.compiled(step, *held, *given)

    def call():
        held[:] = program.call(*held, *given)
        return held

    times = timing.seconds_of_calls(call, 2 * sizes.repeats)
    figures = {f"step, {k}": v for k, v in timing.milliseconds(times, predicted).items()}
    figures |= timing.peak_memory()
    figures["temporaries"] = timing.gigabytes(program.temporaries)
    figures["a batch to the device"] = Figure(1e3 * to_device, "ms")
    figures["compiling"] = Figure(program.seconds, "s")
    loss = float(held[1]["loss"]) / (len(times) + 1)
    return Result(figures, details={"seconds": times, "loss": loss, "N": n})
