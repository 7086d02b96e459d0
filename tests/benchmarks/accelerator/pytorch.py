"""The same step in plain PyTorch: encoder, batch, loss and device are ours."""

import functools
import statistics
import time
from typing import Any

import numpy as np

from configs import cifar10 as cifar10_config
from pad_jax import config as configs
from pad_jax import models
from tests.benchmarks.accelerator.parts import Figure, Options, Result, Row, Skipped
from tests.benchmarks.accelerator.results import Results

_STEPS = 20  # of a round


def rows(options: Options, results: Results) -> list[Row]:
    """Both types, as PyTorch runs them and compiled by it.

    Raises:
      Skipped: where PyTorch, or a device for it, is missing.
    """
    try:
        import torch
    except ImportError as error:
        raise Skipped(f"torch cannot be imported ({error})") from error
    if not torch.cuda.is_available() and options.sizes.on_accelerator:
        raise Skipped(f"torch {torch.__version__} sees no CUDA device")
    return [
        Row(
            f"{dtype}, {'compiled' if compiled else 'eager'}",
            60 if compiled else 12,
            functools.partial(_steps, options, dtype, compiled),
        )
        for compiled in (False, True)
        for dtype in ("bfloat16", "float32")
    ]


def _steps(options: Options, dtype: str, compiled: bool) -> Result:
    import torch

    from tests.benchmarks import plain_torch

    sizes, device = options.sizes, "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(options.seed)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    config = cifar10_config.get_config()
    config.model.name = sizes.encoder
    encoder: Any = models.create(configs.read(config), "gpu")
    kernels = encoder.kernels or (5, 5, 3, 3, 3)
    network = plain_torch.AlexNet(3, sizes.pixels, encoder.widths, kernels, encoder.fc_widths)
    network = network.to(device, memory_format=torch.channels_last)
    memory = torch.nn.functional.normalize(torch.randn(sizes.rows, encoder.embedding_dim))
    group_id = torch.from_numpy(np.arange(sizes.rows) // 5 * 5).to(device)
    step = plain_torch.create_step(
        torch.compile(network) if compiled else network,
        memory.to(device),
        group_id,
        autocast=torch.bfloat16 if dtype == "bfloat16" else None,
    )
    order = torch.randperm(sizes.rows, device=device)
    batches = order[: sizes.rows // sizes.batch * sizes.batch].split(sizes.batch)[:_STEPS]
    views = torch.rand(2 * sizes.batch, 3, sizes.pixels, sizes.pixels, device=device) * 2 - 1
    views = views.contiguous(memory_format=torch.channels_last)

    def one_round() -> float:
        start = time.perf_counter()
        for index in batches:
            loss = step(index, views)
        loss.item()  # waits for the device
        return (time.perf_counter() - start) / len(batches)

    first = one_round()  # compiles, and chooses kernels
    times = [one_round() for _ in range(3)]
    median = statistics.median(times)
    figures = {
        "step, median": Figure(1e3 * median, "ms"),
        "trained": Figure(sizes.batch / median, "images/s"),
        "a step of the first round": Figure(1e3 * first, "ms"),
    }
    if device == "cuda":
        figures["peak device memory"] = Figure(torch.cuda.max_memory_allocated() / 1e9, "GB")
    return Result(figures, details={"seconds": times, "device": device})
