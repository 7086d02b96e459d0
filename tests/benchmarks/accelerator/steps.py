"""Steps of CIFAR-10 in their variants: type of the activations, logits held or streamed."""

import contextlib
import functools
from collections.abc import Iterator
from unittest import mock

import numpy as np

from configs import cifar10 as cifar10_config
from pad_jax import config as configs
from pad_jax import models, parallel, steps
from pad_jax.epoch import STEPS_PER_DISPATCH
from pad_jax.objectives import losses
from tests.benchmarks import resident
from tests.benchmarks.accelerator import timing
from tests.benchmarks.accelerator.parts import Figure, Options, Result, Row, steps_row
from tests.benchmarks.accelerator.results import Results

_DTYPES = ("bfloat16", "float32")


def rows(options: Options, results: Results) -> list[Row]:
    """All variants; of the first one the peak of memory, too."""
    return [
        Row(
            steps_row(dtype, streamed=streamed),
            45,
            functools.partial(_steps, options, dtype, streamed, peak=not (streamed or i)),
        )
        for i, dtype in enumerate(_DTYPES)
        for streamed in (False, True)
    ]


def begin(options: Options, dtype: str) -> resident.Begun:
    """Synthetic images and groups of CIFAR-10's size, on the devices."""
    sizes, rng = options.sizes, np.random.default_rng(options.seed)
    config = cifar10_config.get_config()
    config.seed, config.batch_size, config.num_epochs = options.seed, sizes.batch, sizes.epochs
    config.model.name, config.model.dtype = sizes.encoder, dtype
    settings = configs.read(config)
    images = rng.integers(0, 256, (sizes.rows, sizes.pixels, sizes.pixels, 3), np.uint8)
    group_id = np.arange(sizes.rows, dtype=np.int32) // 5 * 5
    return resident.begin(settings, models.create(settings), images, group_id)


def _steps(options: Options, dtype: str, streamed: bool, *, peak: bool) -> Result:
    begun, platform = begin(options, dtype), parallel.platform()
    each = STEPS_PER_DISPATCH[platform]
    one, many = (steps.pmap_resident_train_steps(begun.parts, count) for count in (1, each))
    given = begun.images, begun.plan, np.int32(0)
    logits = options.sizes.batch * options.sizes.rows
    with _streamed(platform, logits) if streamed else contextlib.nullcontext():
        predicted = timing.least_seconds(one, *begun.held, *given)
        program = timing.compiled(many, *begun.held, *given)

    def call():
        begun.held[:] = program.call(*begun.held, *given)
        return begun.held

    times = timing.seconds_of_calls(call, options.sizes.repeats)
    times = [seconds / each for seconds in times]
    figures = {f"step, {k}": v for k, v in timing.milliseconds(times, predicted).items()}
    speed = options.sizes.batch / float(np.median(times))
    figures["trained"] = Figure(speed, "images/s")
    figures |= timing.peak_memory() if peak else {}
    figures["temporaries"] = timing.gigabytes(program.temporaries)
    figures["compiling"] = Figure(program.seconds, "s")
    used = str(np.dtype(begun.parts.encoder.dtype))
    return Result(figures, details={"seconds": times, "steps a dispatch": each, "dtype": used})


@contextlib.contextmanager
def _streamed(platform: str, logits: int) -> Iterator[None]:
    """Traced in here, a loss streams its logits in two pieces at least, however few they are."""
    piece = min(losses._CHUNK_LOGITS[platform], logits // 2)
    with (
        mock.patch.dict(losses._HELD_LOGITS, {platform: 0}),
        mock.patch.dict(losses._CHUNK_LOGITS, {platform: piece}),
    ):
        yield
