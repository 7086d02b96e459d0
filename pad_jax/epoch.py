"""The training steps of one epoch, dispatched from the host."""

import time
from collections.abc import Iterator

import jax
import numpy as np

from pad_jax import parallel, progress, steps
from pad_jax.data.batches import own_part, split_over_devices
from pad_jax.data.images import Images, ResidentImages
from pad_jax.graph.groups import Groups
from pad_jax.settings import RunSettings
from pad_jax.state import TrainState
from pad_jax.steps import StepParts

_SYNC_DISPATCHES = 10  # how many may be under way before the host waits for them
# XLA's CPU convolutions are many times slower inside of a loop.
_STEPS_PER_DISPATCH = {"cpu": 1, "gpu": 32, "tpu": 32}


class EpochRunner:
    """The training steps of an epoch, compiled once for the whole run.

    Args:
      run_settings: of the run.
      parts: of its steps.
      images: the training images; resident ones are put on the devices here.
      platform: "cpu", "gpu" or "tpu".
    """

    def __init__(self, run_settings: RunSettings, parts: StepParts, images: Images, platform: str):
        self._run_settings, self._images = run_settings, images
        self._objective, self._steps_per_epoch = parts.objective, parts.steps_per_epoch
        self._steps_per_dispatch = 1
        if isinstance(images, ResidentImages):
            self._steps_per_dispatch = _STEPS_PER_DISPATCH[platform]
            self._step = steps.pmap_resident_train_steps(parts, self._steps_per_dispatch)
            self._resident = parallel.replicate(images.array)
        else:
            self._step = steps.pmap_train_step(parts)

    def __call__(
        self, state: TrainState, groups: Groups, epoch: int
    ) -> tuple[TrainState, dict[str, float]]:
        """Trains one epoch; the means of its metrics over the steps, and its speed."""
        run_settings, num_steps = self._run_settings, self._steps_per_epoch
        plan = self._objective.plan(groups, epoch)
        sums = parallel.replicate({name: np.float32(0) for name in self._objective.metrics})
        start = time.perf_counter()
        dispatches = progress.bar(
            self._dispatches(plan, groups),
            plan.size,
            f"epoch {epoch + 1}/{run_settings.num_epochs}",
            each=self._steps_per_dispatch * run_settings.batch_size,
        )
        for i, args in enumerate(dispatches, start=1):
            state, sums = self._step(state, sums, *args)
            if i % _SYNC_DISPATCHES == 0:
                jax.block_until_ready(sums)
        means = {f"train/{k}": float(v) / num_steps for k, v in parallel.fetch(sums).items()}
        seconds = time.perf_counter() - start
        return state, means | {
            "train/images_per_second": plan.size / seconds,
            "time/train": seconds,
        }

    def _dispatches(self, plan: np.ndarray, groups: Groups) -> Iterator[tuple]:
        """What each dispatch takes besides the state and the sums."""
        if isinstance(self._images, ResidentImages):
            on_devices = parallel.shard(split_over_devices(plan, axis=1))
            for i in range(0, self._steps_per_epoch, self._steps_per_dispatch):
                yield self._resident, on_devices, np.int32(i)
            return
        own = own_part(plan)
        rows = [own, groups.hard_positive[own]] if self._objective.hard_positives else [own]
        views = np.stack(rows, axis=1)
        batches = self._images.batches(views.reshape(len(own), -1))
        for index, images in zip(own, batches, strict=True):
            yield index, *images.reshape(*views.shape[1:], *self._images.shape)
