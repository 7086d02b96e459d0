"""What training begins with: the parts of its step, its first state, and what cannot be trained."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from pad_jax import models, optimizer, parallel, sizing
from pad_jax.data import augmentation
from pad_jax.data.augmentation import AugmentationSettings
from pad_jax.data.images import Images
from pad_jax.data.preparation import FEATURES, PIXELS, Preparation
from pad_jax.embedding import Embedder
from pad_jax.evaluators.base import EvaluationSettings
from pad_jax.models import ModelSettings
from pad_jax.objectives import ObjectiveSettings
from pad_jax.objectives.base import Objective
from pad_jax.optimizer import OptimizerSettings, learning_rate_schedule
from pad_jax.predecessor import Predecessor
from pad_jax.settings import RunSettings, Settings, refuse
from pad_jax.state import TrainState
from pad_jax.steps import StepParts

_EXAMPLES = {PIXELS: "folder", FEATURES: "features"}  # configs for each kind of samples


def feature_embedder(
    settings: Settings, parts: StepParts, embedder: Embedder | None = None
) -> Callable[[Any, Images], np.ndarray]:
    """f(variables on the devices, images) -> the objective's feature of each, float32 [N, F].

    By ``embedder``, which computes that feature among others, or by one of its own.
    """
    name, size = parts.objective.feature, settings[EvaluationSettings].batch_size
    embedder = embedder or Embedder(parts.encoder, (name,), size, parts.augmentation.plain)
    return lambda variables, images: embedder(variables, images, (name,))[name]


def step_parts(
    settings: Settings,
    encoder: nn.Module,
    objective: Objective,
    num_images: int,
    preparation: Preparation | None = None,
) -> StepParts:
    """What a run's training step is made of.

    Args:
      settings: of the run.
      encoder, objective: what is trained, and to what end.
      num_images: how many there are.
      preparation: what they went through; None where the encoder sees them whole.
    """
    run_settings = settings[RunSettings]
    schedule = learning_rate_schedule(settings, num_images)
    return StepParts(
        encoder=encoder,
        objective=objective,
        optimizer=optimizer.create(settings[OptimizerSettings], objective, schedule),
        augmentation=augmentation.create(settings, preparation),
        seed=run_settings.seed,
        steps_per_epoch=num_images // run_settings.batch_size,
    )


def init_state(run_settings: RunSettings, parts: StepParts, images: Images) -> TrainState:
    """The state before training, on the host: a random encoder, and blank rows of each sample."""
    shape = augmentation.input_shape(parts.augmentation, images.preparation)
    example, seed = np.zeros((1, *shape), np.float32), np.uint32(run_settings.seed % 2**32)

    @jax.jit
    def drawn(seed: jax.Array) -> Any:  # its seed is no constant, or XLA would draw at compilation
        return parts.encoder.init(jax.random.key(seed), example)

    variables = parallel.fetch(drawn(seed))
    blank = blank_state(parts, variables, example, len(images))
    return blank.replace(opt_state=parallel.fetch(blank.opt_state))


def blank_state(
    parts: StepParts, variables: dict[str, Any], example: Any, num_samples: int
) -> TrainState:
    """The state of an encoder's variables before training; ``example`` is a batch that it takes."""
    encoder, objective = parts.encoder, parts.objective
    features = jax.eval_shape(encoder.apply, variables, example)[objective.feature]
    params = variables["params"] | objective.init_head(features.shape[-1])
    return TrainState(
        step=np.zeros((), np.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=jax.jit(parts.optimizer.init)(params),
        memory=objective.blank_memory(num_samples),
        groups=objective.blank_groups(num_samples),
    )


def first_state(
    settings: Settings,
    blank: TrainState,
    parts: StepParts,
    images: Images,
    embed: Callable[[Any, Images], np.ndarray],
    before: Predecessor | None,
) -> TrainState:
    """The state that training begins with, on the host: what another run has, or ``blank``."""
    begins, memory = blank, None
    if before is not None:
        variables, memory = before.take(settings, parts.encoder, parts.objective, images)
        begins = begins.with_variables(variables)
    if memory is None:
        embed_first = functools.partial(embed, parallel.replicate(begins.variables))
        memory = parts.objective.first_memory(images, embed_first)
    return begins.replace(memory=memory)


def check_devices(run_settings: RunSettings, num_devices: int) -> None:
    """Raises InputError where a batch cannot be divided over the devices."""
    if run_settings.batch_size % num_devices:
        hint = f"there are {num_devices} devices; use a multiple"
        refuse("batch_size", run_settings.batch_size, hint)


def check_images(settings: Settings, parts: StepParts, images: Images) -> None:
    """Raises InputError for training images that are too few, or not what a run's parts take."""
    run_settings, objective, num_images = settings[RunSettings], parts.objective, len(images)
    kind = images.preparation.kind
    for part, field, name in (
        (parts.encoder, "model.name", settings[ModelSettings].name),
        (parts.augmentation, "augmentation.name", settings[AugmentationSettings].name),
        (objective, "objective", settings[ObjectiveSettings].objective),
    ):
        takes = getattr(part, "takes", None)
        if takes not in (None, kind):
            hint = f"it takes {takes}, and the data set has {kind}; use another, as in --config="
            refuse(field, name, hint + _EXAMPLES[kind])
    objective.check_images(num_images, images.shape)
    if run_settings.batch_size > num_images:
        fits = sizing.batch_size(num_images, jax.device_count())
        hint = f"the data set has {num_images} images; "
        if fits > num_images:  # a device takes one at least
            hint += f"use more images, or fewer than the {jax.device_count()} devices"
        else:
            hint += f"use batch_size={fits}, or more images"
        refuse("batch_size", run_settings.batch_size, hint)
    shape = augmentation.input_shape(parts.augmentation, images.preparation)
    if objective.feature not in (known := models.features(parts.encoder, shape)):
        hint = f"it learns the encoder's {objective.feature}; {settings[ModelSettings].name} has "
        refuse("objective", settings[ObjectiveSettings].objective, hint + ", ".join(known))
