"""The training steps of one epoch, dispatched from the host."""

import time
from collections.abc import Iterator

import numpy as np

from pad_jax import health, parallel, progress, steps
from pad_jax.data.batches import own_part, split_over_devices
from pad_jax.data.images import Images, ResidentImages
from pad_jax.errors import InputError
from pad_jax.graph.groups import Groups
from pad_jax.settings import RunSettings, Settings
from pad_jax.state import TrainState
from pad_jax.steps import StepParts

_SYNC_DISPATCHES = 10  # how many may be under way before the host waits for them
# XLA's CPU convolutions are many times slower inside of a loop.
_STEPS_PER_DISPATCH = {"cpu": 1, "gpu": 32, "tpu": 32}


class EpochRunner:
    """The training steps of an epoch, compiled once for the whole run.

    Args:
      settings: of the run.
      parts: of its steps.
      images: the training images; resident ones are put on the devices here.
      platform: "cpu", "gpu" or "tpu".
    """

    def __init__(self, settings: Settings, parts: StepParts, images: Images, platform: str):
        self._settings, self._parts, self._images = settings, parts, images
        self._run_settings = settings[RunSettings]
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
        """Trains one epoch; the means of its metrics over the steps, and its speed.

        Raises:
          InputError: for a step that is not finite, some dispatches after it.
        """
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
                self._check(state, parallel.fetch(sums), plan, groups)
        totals = parallel.fetch(sums)
        self._check(state, totals, plan, groups)
        means = {f"train/{k}": float(v) / num_steps for k, v in totals.items()}
        seconds = time.perf_counter() - start
        return state, means | {
            "train/images_per_second": plan.size / seconds,
            "time/train": seconds,
        }

    def _check(
        self, state: TrainState, sums: dict[str, np.ndarray], plan: np.ndarray, groups: Groups
    ) -> None:
        """Raises InputError where a step was not finite; the state is the one before it."""
        if health.is_finite(sums):
            return
        done = int(parallel.fetch(state.step)) % self._steps_per_epoch
        [batch] = self._batches(plan[done : done + 1], groups)
        raise InputError(health.reason(self._settings, self._parts, state, batch))

    def _dispatches(self, plan: np.ndarray, groups: Groups) -> Iterator[tuple]:
        """What each dispatch takes besides the state and the sums."""
        if isinstance(self._images, ResidentImages):
            on_devices = parallel.shard(split_over_devices(plan, axis=1))
            for i in range(0, self._steps_per_epoch, self._steps_per_dispatch):
                yield self._resident, on_devices, np.int32(i)
            return
        yield from self._batches(plan, groups)

    def _batches(self, plan: np.ndarray, groups: Groups) -> Iterator[tuple]:
        """Index and images of each line of a plan, from the host."""
        own = own_part(plan)
        rows = [own, groups.hard_positive[own]] if self._objective.hard_positives else [own]
        views = np.stack(rows, axis=1)
        batches = self._images.batches(views.reshape(len(own), -1))
        for index, images in zip(own, batches, strict=True):
            yield index, *images.reshape(*views.shape[1:], *self._images.shape)
