"""Training steps on images that lie on the device, as a run takes them."""

from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np

from pad_jax import beginning, objectives, parallel, state
from pad_jax.data.batches import epoch_plan, split_over_devices
from pad_jax.data.images import ResidentImages
from pad_jax.graph.groups import Groups, hard_positives
from pad_jax.objectives.memory import random_rows
from pad_jax.settings import RunSettings, Settings
from pad_jax.steps import StepParts


class Begun(NamedTuple):
    """What steps need, on the devices.

    Attributes:
      parts: of the steps.
      held: [state, sums], which a step takes and gives anew.
      images: uint8 [N, H, W, C].
      plan: int32 [devices, steps of an epoch, b], their samples.
    """

    parts: StepParts
    held: list[Any]
    images: Any
    plan: Any


def begin(
    settings: Settings, encoder: nn.Module, images: np.ndarray, group_id: np.ndarray
) -> Begun:
    """The state before training with a memory of random rows, and the plan of the first epoch."""
    run_settings = settings[RunSettings]
    plan = epoch_plan(len(images), run_settings.batch_size, run_settings.seed, 0)
    return Begun(
        *parts_and_held(settings, encoder, images, group_id),
        parallel.replicate(images),
        parallel.shard(split_over_devices(plan, axis=1)),
    )


def parts_and_held(
    settings: Settings, encoder: nn.Module, images: np.ndarray, group_id: np.ndarray
) -> tuple[StepParts, list[Any]]:
    """See ``Begun``; of images, uint8 [N, H, W, C], only the shape matters."""
    n, run_settings = len(images), settings[RunSettings]
    parts = beginning.step_parts(settings, encoder, objectives.create(settings), n)
    unlabelled = ResidentImages(images, np.full(n, -1), [])
    host_state = beginning.init_state(run_settings, parts, unlabelled)
    rows = random_rows(*host_state.memory.shape, run_settings.seed)
    groups = Groups(group_id, hard_positives(group_id, rows))
    host_state = host_state.replace(memory=rows, groups=groups)
    sums = {name: np.float32(0) for name in parts.objective.metrics}
    return parts, [state.to_devices(host_state), parallel.replicate(sums)]
