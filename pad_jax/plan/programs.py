"""The programs of a run, compiled for devices that need not be at hand."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from pad_jax import beginning, models, objectives, steps
from pad_jax.data import augmentation
from pad_jax.data.preparation import Preparation
from pad_jax.data.source import DatasetSettings
from pad_jax.epoch import STEPS_PER_DISPATCH
from pad_jax.evaluators.evaluation import EvaluationSettings
from pad_jax.graph.neighbors import pmap_search
from pad_jax.groupings import GroupingSettings
from pad_jax.objectives import ObjectiveSettings
from pad_jax.plan.costs import Cost, count
from pad_jax.plan.topologies import Topology
from pad_jax.settings import RunSettings, Settings, refuse
from pad_jax.state import TrainState
from pad_jax.steps import StepParts

_Shape = jax.ShapeDtypeStruct


class Program(NamedTuple):
    """One of a run's programs, on one device.

    Attributes:
      cost: of a training step, of a batch that is embedded, or of a whole graph.
      arguments: bytes of what it takes; of the training the run's state and samples.
      temporaries: bytes that it needs besides, with results that take no argument's place.
      compiled: seconds that took.
    """

    cost: Cost
    arguments: float
    temporaries: float
    compiled: float


class Programs(NamedTuple):
    """What a run compiles.

    Attributes:
      training: its step.
      embedding: a batch of ``eval.batch_size``.
      graph: the affinity graph of all samples; None where a run has none.
      parts: of its steps.
      memory_bank: bytes on one device of what is kept for each sample.
      is_resident: whether the samples lie on each device.
      embedded: samples of a batch that is embedded.
    """

    training: Program
    embedding: Program
    graph: Program | None
    parts: StepParts
    memory_bank: float
    is_resident: bool
    embedded: int


def compile_run(
    settings: Settings, preparation: Preparation, num_samples: int, topology: Topology
) -> Programs:
    """Compiles a run's programs, without its samples.

    Args:
      settings: of the run.
      preparation: its samples' shape and type.
      num_samples: N.
      topology: the devices to compile for.

    Raises:
      InputError: where the settings do not fit together, or a batch not the devices.
    """
    beginning.check_devices(settings[RunSettings], len(topology.devices))
    encoder = models.create(settings, topology.platform)
    objective = objectives.create(settings, topology.platform)
    parts = beginning.step_parts(settings, encoder, objective, num_samples, preparation)
    if not parts.steps_per_epoch:
        size = settings[RunSettings].batch_size
        refuse("batch_size", size, f"there are {num_samples} images; lower it")
    shape = augmentation.input_shape(parts.augmentation, preparation)
    example = np.zeros((1, *shape), np.float32)
    state = jax.eval_shape(
        lambda variables: beginning.blank_state(parts, variables, example, num_samples),
        models.variables(encoder, shape),
    )
    state = _on_devices(state, len(topology.devices))
    images = _Shape((num_samples, *preparation.shape), preparation.dtype)
    each = -(-settings[EvaluationSettings].batch_size // len(topology.devices))
    batch = _Shape((len(topology.devices), each, *preparation.shape), preparation.dtype)
    plain = parts.augmentation.plain
    embed = steps.pmap_embed_step(encoder, (objective.feature,), plain, topology.devices)
    embedding = _compile(embed, embed, (state.variables, batch))
    return Programs(
        training=_training(settings, images, topology, parts, state),
        # The encoder is the training's.
        embedding=embedding._replace(arguments=embedding.arguments - _bytes(state.variables)),
        graph=_graph(settings, num_samples, topology),
        parts=parts,
        memory_bank=_bytes((state.memory, state.groups)) / len(topology.devices),
        is_resident=_is_resident(settings, images),
        embedded=len(topology.devices) * each,
    )


def _is_resident(settings: Settings, images: _Shape) -> bool:
    return _bytes(images) <= settings[DatasetSettings].max_resident_gib * 2**30


def _training(
    settings: Settings, images: _Shape, topology: Topology, parts: StepParts, state: TrainState
) -> Program:
    """The step of a run whose ``images`` [N, ...] lie on each device, or are streamed."""
    devices, size = len(topology.devices), settings[RunSettings].batch_size
    sums = {name: _Shape((), np.float32) for name in parts.objective.metrics}
    if not _is_resident(settings, images):
        index = _Shape((devices, size // devices), np.int32)
        batch = _Shape((*index.shape, *images.shape[1:]), images.dtype)
        step = steps.pmap_train_step(parts, topology.devices)
        return _compile(step, step, (state, sums, index, *[batch] * parts.num_views))
    plan = _Shape((devices, parts.steps_per_epoch, size // devices), np.int32)
    at_once = STEPS_PER_DISPATCH[topology.platform]
    step, whole = (
        steps.pmap_resident_train_steps(parts, each, topology.devices) for each in (1, at_once)
    )
    return _compile(whole, step, (state, sums, images, plan, _Shape((), np.int32)))


def _graph(settings: Settings, num_samples: int, topology: Topology) -> Program | None:
    if settings[ObjectiveSettings].objective != "pad":
        return None
    k = settings[GroupingSettings].num_neighbors
    search = pmap_search(num_samples, k, topology.platform, topology.devices)
    dim = settings[models.ModelSettings].embedding_dim
    features = _Shape((num_samples, dim), np.float32)
    first = {0: np.int32(0)}  # the first device has the most to do
    device = _Shape((len(topology.devices),), np.int32)
    return _compile(search, search, (device, features), known=first)


def _compile(
    whole: Callable, counted: Callable, arguments: tuple, known: dict[int, Any] | None = None
) -> Program:
    """Compiles a pmapped function; ``counted`` is the part of it that the cost is of."""
    cost = count(counted, *arguments, known=known)
    start = time.perf_counter()
    analysis = whole.lower(*arguments).compile().memory_analysis()
    results = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return Program(
        cost,
        analysis.argument_size_in_bytes,
        analysis.temp_size_in_bytes + max(results, 0),
        time.perf_counter() - start,
    )


def _on_devices(state: TrainState, devices: int) -> TrainState:
    """The shapes of a state on devices, as ``state.to_devices`` divides it."""

    def divided(x):
        return _Shape((devices, -(-x.shape[0] // devices), *x.shape[1:]), x.dtype)

    return state.replace(
        memory=jax.tree.map(divided, state.memory), groups=jax.tree.map(divided, state.groups)
    )


def _bytes(tree: Any) -> float:
    return float(sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree)))
