"""The training steps of one epoch, dispatched from the host."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from pad_jax import health, parallel, progress, steps
from pad_jax.data.batches import crop_places, own_part, split_over_devices
from pad_jax.data.images import Images, ResidentImages
from pad_jax.errors import InputError
from pad_jax.graph.groups import Groups
from pad_jax.settings import RunSettings, Settings
from pad_jax.state import TrainState
from pad_jax.steps import StepParts

_SYNC_DISPATCHES = 10  # how many may be under way before the host waits for them
# XLA's CPU convolutions are many times slower inside of a loop.
STEPS_PER_DISPATCH = {"cpu": 1, "gpu": 32, "tpu": 32}
_all_finite = jax.jit(steps.all_finite)


class Trained(NamedTuple):
    """How far the training of an epoch is.

    Attributes:
      steps: how many of its steps are done.
      sums: float32, the objective's metrics added up over these.
      seconds: they took.
    """

    steps: int
    sums: dict[str, np.ndarray]
    seconds: float


class EpochRunner:
    """The training steps of an epoch, compiled once for the whole run.

    Args:
      settings: of the run.
      parts: of its steps.
      images: the training images; resident ones are put on the devices here.
      platform: "cpu", "gpu" or "tpu".

    Attributes:
      steps_per_epoch: how many there are.
    """

    def __init__(self, settings: Settings, parts: StepParts, images: Images, platform: str):
        self._settings, self._parts, self._images = settings, parts, images
        self._run_settings = settings[RunSettings]
        self._objective, self.steps_per_epoch = parts.objective, parts.steps_per_epoch
        self._steps_per_dispatch = 1
        if isinstance(images, ResidentImages):
            self._steps_per_dispatch = STEPS_PER_DISPATCH[platform]
            self._step = steps.pmap_resident_train_steps(parts, self._steps_per_dispatch)
            self._resident = parallel.replicate(images.array)
        else:
            self._step = steps.pmap_train_step(parts)

    def start(self) -> Trained:
        """An epoch of which no step is done."""
        return Trained(0, {name: np.float32(0) for name in self._objective.metrics}, 0.0)

    def __call__(
        self,
        state: TrainState,
        groups: Groups,
        epoch: int,
        trained: Trained,
        pause: Callable[[], bool] = lambda: False,
    ) -> tuple[TrainState, Trained]:
        """Trains an epoch to its end, or to where it is to pause.

        The same call goes on from there: the samples of each step and how they are augmented depend
        on the seed and on the step's number alone.

        Args:
          state: on the devices, after the steps that are done; donated.
          groups: of the epoch.
          epoch: how many are done before.
          trained: what is done of this one.
          pause: asked after each dispatch; the same on all processes.

        Raises:
          InputError: for a step that is not finite, some dispatches after it.
        """
        if trained.steps == self.steps_per_epoch:
            return state, trained
        plan = self._objective.plan(groups, epoch)
        first, sums = trained.steps, parallel.replicate(trained.sums)
        start, done = time.perf_counter(), first
        dispatches = progress.bar(
            self._dispatches(plan, groups, epoch, first),
            plan.size,
            f"epoch {epoch + 1}/{self._run_settings.num_epochs}",
            each=self._steps_per_dispatch * self._run_settings.batch_size,
            done=first * self._run_settings.batch_size,
        )
        for i, args in enumerate(dispatches, start=1):
            with jax.profiler.StepTraceAnnotation("train", step_num=i):
                state, sums = self._step(state, sums, *args)
            done = min(first + i * self._steps_per_dispatch, self.steps_per_epoch)
            if i % _SYNC_DISPATCHES == 0:
                self._check(state, parallel.fetch(sums), plan, groups, epoch, done)
            if done < self.steps_per_epoch and pause():
                break
        totals = parallel.fetch(sums)
        self._check(state, totals, plan, groups, epoch, done)
        return state, Trained(done, totals, trained.seconds + time.perf_counter() - start)

    def means(self, trained: Trained) -> dict[str, float]:
        """The means over its steps of a whole epoch's metrics, and its speed."""
        size = self.steps_per_epoch * self._run_settings.batch_size
        means = {f"train/{k}": float(v) / trained.steps for k, v in trained.sums.items()}
        return means | {
            "train/images_per_second": size / trained.seconds,
            "time/train": trained.seconds,
        }

    def _check(
        self,
        state: TrainState,
        sums: dict[str, np.ndarray],
        plan: np.ndarray,
        groups: Groups,
        epoch: int,
        done: int,
    ) -> None:
        """Raises InputError where a step was not finite, or left parameters that are not."""
        taken = int(parallel.fetch(state.step)) % self.steps_per_epoch
        # The step's number as well: there may be no metric that tells.
        all_taken = health.is_finite(sums) and taken == done % self.steps_per_epoch
        if all_taken and parallel.fetch(_all_finite(state.params)):
            return
        [batch] = self._batches(plan, groups, epoch, slice(taken, taken + 1))
        raise InputError(health.reason(self._settings, self._parts, state, batch))

    def _dispatches(
        self, plan: np.ndarray, groups: Groups, epoch: int, first: int
    ) -> Iterator[tuple]:
        """What each dispatch from a step on takes besides the state and the sums."""
        if isinstance(self._images, ResidentImages):
            on_devices = parallel.shard(split_over_devices(plan, axis=1))
            for i in range(first, self.steps_per_epoch, self._steps_per_dispatch):
                yield self._resident, on_devices, np.int32(i)
            return
        yield from self._batches(plan, groups, epoch, slice(first, None))

    def _batches(
        self, plan: np.ndarray, groups: Groups, epoch: int, steps: slice
    ) -> Iterator[tuple]:
        """Index and images of some lines of a plan, from the host."""
        own = own_part(plan[steps])
        rows = [own, groups.hard_positive[own]] if self._objective.hard_positives else [own]
        views = np.stack(rows, axis=1)
        places = None
        if getattr(self._images.preparation, "view_size", None) is not None:
            seed = self._run_settings.seed
            each = [
                own_part(crop_places(plan, seed, epoch, view)[steps]) for view in range(len(rows))
            ]
            places = np.stack(each, axis=1).reshape(len(own), -1)
        batches = self._images.batches(views.reshape(len(own), -1), places)
        for index, images in zip(own, batches, strict=True):
            yield index, *images.reshape(*views.shape[1:], *self._images.shape)
