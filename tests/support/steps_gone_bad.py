"""Four training steps on random features, of which one has a sample that is not finite."""

from typing import NamedTuple

import jax
import numpy as np

from pad_jax import beginning, models, objectives, parallel, state, steps
from pad_jax import config as configs
from pad_jax.data.batches import split_over_devices
from pad_jax.data.images import ResidentImages
from pad_jax.data.preparation import Standardization
from pad_jax.graph.groups import Groups
from pad_jax.settings import RunSettings
from pad_jax.state import TrainState
from pad_jax.steps import StepParts
from tests.support.small_runs import assert_same_state

BAD = 2  # the third step


class Setup(NamedTuple):
    """What is trained: see the module."""

    parts: StepParts
    first: TrainState
    images: ResidentImages
    plan: np.ndarray


def prepared(objective: str) -> Setup:
    """64 samples, a batch of 16, groups of 8; the hard positive of a sample is itself."""
    n, size = 64, 16
    config = configs.default(objective=objective, batch_size=size, clusters__count=10)
    config.model.name, config.model.hidden_dim = "mlp", 32
    config.model.embedding_dim, config.augmentation.name = 16, "perturbations"
    settings = configs.read(config)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, 12)).astype(np.float32)
    plan = rng.permutation(n).astype(np.int32).reshape(-1, size)
    rows[plan[BAD, 5], 3] = np.inf
    preparation = Standardization(np.zeros(12, np.float32), np.ones(12, np.float32))
    images = ResidentImages(rows, np.full(n, -1), [], preparation=preparation)
    encoder, made = models.create(settings), objectives.create(settings)
    parts = beginning.step_parts(settings, encoder, made, n)
    first = beginning.init_state(settings[RunSettings], parts, images)
    if first.memory is not None:
        memory = rng.standard_normal(first.memory.shape).astype(np.float32)
        first = first.replace(memory=memory / np.linalg.norm(memory, axis=1, keepdims=True))
    groups = Groups(np.arange(n, dtype=np.int32) // 8, np.arange(n, dtype=np.int32))
    return Setup(parts, first.replace(groups=groups), images, plan)


def trained(setup: Setup, plan: np.ndarray, at_once: int = 1) -> tuple[TrainState, dict]:
    """The state, on the host, and the sums after the steps of a plan, so many in a dispatch."""
    on_devices = state.to_devices(setup.first)
    sums = parallel.replicate({name: np.float32(0) for name in setup.parts.objective.metrics})
    step = steps.pmap_resident_train_steps(setup.parts, at_once)
    images = parallel.replicate(setup.images.array)
    shards = parallel.shard(split_over_devices(plan, axis=1))
    for first in range(0, len(plan), at_once):
        on_devices, sums = step(on_devices, sums, images, shards, np.int32(first))
    return state.to_host(on_devices, len(setup.images)), parallel.fetch(sums)


def assert_same(a: TrainState, b: TrainState) -> None:
    """Two states, on the host, are equal bit for bit."""

    def by_name(tree):
        leaves = jax.tree_util.tree_leaves_with_path(tree)
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}

    assert_same_state(by_name(a), by_name(b))
