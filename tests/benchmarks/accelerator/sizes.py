"""How much of everything is measured."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Sizes(NamedTuple):
    """Sizes of the measurements.

    Attributes:
      encoder, large_encoder: of CIFAR-10's steps and runs, and of ImageNet's steps.
      large_stem: of the latter.
      epochs, resnet_epochs, schedule_epochs, ablation_epochs: of whole runs, and of a table's rows.
      rows_of_tables: how many of a part; None: all.
      rows, large_rows: N of CIFAR-10 and of ImageNet.
      pixels, large_pixels: sides of their images.
      batch, large_batch: samples of a step.
      tiles: rows, columns and run of another cut of the graph.
      repeats: how often a call is timed.
      overrides: further fields of the runs' configs.
      on_accelerator: whether figures of a CPU are of no use.
      pace: by what the seconds that parts expect are multiplied.
      margin: seconds at the end of the minutes for saving what is under way.
    """

    encoder: str
    large_encoder: str
    large_stem: str
    epochs: int
    resnet_epochs: int
    schedule_epochs: int
    ablation_epochs: int
    rows_of_tables: int | None
    rows: int
    large_rows: int
    pixels: int
    large_pixels: int
    batch: int
    large_batch: int
    tiles: tuple[int, int, int]
    repeats: int
    overrides: Mapping[str, Any]
    on_accelerator: bool
    pace: float
    margin: float


FULL = Sizes(
    encoder="alexnet",
    large_encoder="alexnet",
    large_stem="standard",
    epochs=200,
    resnet_epochs=200,
    schedule_epochs=60,
    ablation_epochs=40,
    rows_of_tables=None,
    rows=50_000,
    large_rows=1_281_167,
    pixels=32,
    large_pixels=224,
    batch=128,
    large_batch=256,
    tiles=(8192, 8192, 64),
    repeats=10,
    overrides={},
    on_accelerator=True,
    pace=1.0,
    margin=20.0,
)
# All of it on a CPU, for a rehearsal. Its figures mean nothing.
TINY = Sizes(
    encoder="tiny",
    large_encoder="tiny",
    large_stem="small",
    epochs=10,
    resnet_epochs=2,
    schedule_epochs=1,
    ablation_epochs=1,
    rows_of_tables=2,
    rows=512,
    large_rows=4_000,
    pixels=16,
    large_pixels=32,
    batch=32,
    large_batch=16,
    tiles=(128, 128, 32),
    repeats=2,
    overrides={"batch_size": 32, "eval.kmeans_runs": 1, "dataset.max_images": 256},
    on_accelerator=False,
    pace=0.02,
    margin=5.0,
)
