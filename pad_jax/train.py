"""Algorithm 1 in reading order: the only file that sequences."""

import contextlib
import functools
import logging
import pathlib
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from pad_jax import (
    data,
    memory,
    metrics,
    models,
    objectives,
    parallel,
    report,
    run_files,
    steps,
    subgraphs,
    train_state,
    trained,
)
from pad_jax.checkpoints import Checkpoints
from pad_jax.checks import check_config, check_devices, check_images
from pad_jax.data.augmentation import Augmentation
from pad_jax.data.batches import own_part, split_over_devices
from pad_jax.data.images import Images, ResidentImages
from pad_jax.discovery import current_features, discover, groups_to_learn
from pad_jax.embedding import Embedder
from pad_jax.errors import InputError
from pad_jax.evaluate import Evaluation
from pad_jax.objectives import Objective
from pad_jax.train_state import TrainState

_log = logging.getLogger(__name__)
_SYNC_DISPATCHES = 10  # how many may be under way before the host waits for them
# XLA's CPU convolutions are many times slower inside of a loop.
_STEPS_PER_DISPATCH = {"cpu": 1, "gpu": 32, "tpu": 32}


def train(config: ConfigDict, workdir: pathlib.Path) -> metrics.Row:
    """Trains an encoder as ``config`` says, going on from the newest checkpoint in ``workdir``.

    Returns:
      The last row of metrics, with the final evaluation.

    Raises:
      InputError: where the config or the data cannot be used.
    """
    check_config(config)
    check_devices(config, jax.device_count())
    encoder = models.create(**config.model)
    run_files.check_workdir(workdir, config)
    if run_files.is_finished(workdir, config.num_epochs):
        _log.info("This run is finished.")
        return metrics.last_row(workdir)
    dataset = data.load(config.dataset)
    check_images(config, len(dataset.train), dataset.train.shape)
    models.check_images(encoder, dataset.train.shape)
    run_files.make_workdir(workdir)
    # Closing waits for the checkpoint that is being written, also where a run is interrupted.
    with (
        run_files.locked(workdir),
        contextlib.closing(Checkpoints(workdir, config.checkpoint.keep)) as checkpoints,
    ):
        run_files.write(workdir, config, dataset)
        _log.info("Training on %d x %s.", jax.device_count(), jax.devices()[0].device_kind)
        train_epochs(config, workdir, encoder, dataset, checkpoints)
    return metrics.last_row(workdir)


def train_epochs(
    config: ConfigDict,
    workdir: pathlib.Path,
    encoder: nn.Module,
    dataset: data.Dataset,
    checkpoints: Checkpoints,
) -> None:
    """Algorithm 1, from the newest checkpoint to the last epoch."""
    images = dataset.train
    schedule = learning_rate_schedule(config, len(images))
    settings = step_settings(config, encoder, schedule, len(images))
    objective = settings.objective
    embed = Embedder(encoder, (objective.feature,), config.eval.batch_size)
    run_epoch = EpochRunner(config, settings, images)
    evaluate_variables = Evaluation(config.eval, encoder, dataset)

    host_state = init_state(config, settings, len(images), images.shape)
    first_epoch = checkpoints.latest_epoch() or 0
    if first_epoch:
        host_state = checkpoints.restore(first_epoch, host_state)
        _log.info("Going on after epoch %d.", first_epoch)
    elif host_state.memory is not None:
        host_state = host_state.replace(memory=first_memory(config, host_state, embed, images))
    state = train_state.to_devices(host_state)
    writer = metrics.MetricWriter(workdir, first_epoch, int(host_state.step))

    for epoch in range(first_epoch, config.num_epochs):
        found, row = discover(config, state, embed, images, epoch)
        state = state.with_groups(groups_to_learn(config, found))
        found = found._replace(features=None)  # as many rows as the memory has, not needed any more
        state = objective.begin_epoch(state, config.seed, epoch)
        state, values = run_epoch(state, found.groups, epoch)
        row |= values
        if not np.isfinite(row["train/loss"]):
            raise InputError(
                f"the loss of epoch {epoch + 1} is {row['train/loss']}; lower "
                "optimizer.learning_rate and choose another --workdir"
            )

        done = epoch + 1
        last = done == config.num_epochs
        step = done * settings.steps_per_epoch
        row["train/learning_rate"] = float(schedule(step - 1))
        evaluated = last or (config.eval.every_epochs and done % config.eval.every_epochs == 0)
        if evaluated:
            start = time.perf_counter()
            row |= evaluate_variables(state.variables, final=last)
            row["time/evaluation"] = time.perf_counter() - start
        writer.write(step, done, row)
        metrics.log(f"epoch {done}/{config.num_epochs}", row)
        if last:
            found, _ = discover(config, state, embed, images, done)
            run_files.write_groups(workdir, images.names, found.groups)
        if evaluated:  # before the checkpoint: a run cut off here comes by again
            features = found.features if last else current_features(config, state, embed, images)
            embed_now = functools.partial(embed, state.variables)
            report.write(workdir, dataset, found, features, embed_now)
        if last or done % config.checkpoint.every_epochs == 0:
            checkpoints.save(done, train_state.to_host(state))
    writer.close()


def evaluate(config: ConfigDict, workdir: pathlib.Path) -> metrics.Row:
    """Evaluates the newest checkpoint in ``workdir`` on the data set of ``config``.

    Returns:
      A row of metrics.

    Raises:
      InputError: where there is no checkpoint, or the data cannot be used.
    """
    check_config(config)
    model = trained.load(workdir)
    dataset = data.load(config.dataset)
    if dataset.train.shape != model.image_shape:
        raise InputError(
            f"dataset: images are of shape {dataset.train.shape}, the encoder was trained on "
            f"{model.image_shape}; set dataset.image_size and dataset.channels"
        )
    variables = parallel.replicate(model.variables)
    figures = Evaluation(config.eval, model.encoder, dataset)(variables, final=True)
    if not figures:
        raise InputError(
            "nothing can be evaluated: the training images have no labels; give a data set that has"
        )
    return {"epoch": model.epoch} | figures


def learning_rate_schedule(config: ConfigDict, num_images: int) -> optax.Schedule:
    """The learning rate by step: scaled by batch_size / 128, decayed at shares of the run."""
    optimizer = config.optimizer
    total = config.num_epochs * (num_images // config.batch_size)
    boundaries = np.round(np.multiply(optimizer.decay_at, total)).astype(np.int32)
    first = optimizer.learning_rate * config.batch_size / 128
    rates = (first * optimizer.decay_factor ** np.arange(len(boundaries) + 1)).astype(np.float32)
    return lambda step: jnp.asarray(rates)[jnp.sum(step >= boundaries)]


def step_settings(
    config: ConfigDict, encoder: nn.Module, schedule: optax.Schedule, num_images: int
) -> steps.StepSettings:
    """What the config says of a training step, with the learning rate of ``schedule``."""
    objective = objectives.create(config)
    return steps.StepSettings(
        encoder=encoder,
        objective=objective,
        optimizer=create_optimizer(config, objective, schedule),
        augmentation=Augmentation(**config.augmentation),
        seed=config.seed,
        steps_per_epoch=num_images // config.batch_size,
    )


def create_optimizer(
    config: ConfigDict, objective: Objective, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """SGD with Nesterov momentum; weight decay is added to the gradients of what is trained.

    The baselines do not train the embedding: decay alone would shrink it to nothing.
    """

    def all_but_embedding(params):
        return {name: name != "embedding" for name in params}

    return optax.chain(
        optax.add_decayed_weights(
            config.optimizer.weight_decay,
            None if objective.feature == "embedding" else all_but_embedding,
        ),
        optax.sgd(schedule, momentum=config.optimizer.momentum, nesterov=True),
    )


def init_state(
    config: ConfigDict,
    settings: steps.StepSettings,
    num_images: int,
    image_shape: tuple[int, int, int],
) -> TrainState:
    """The state before the first memory, on the host: random encoder, zero rows, singletons.

    The baselines have no memory, but a head.
    """
    encoder, objective = settings.encoder, settings.objective
    example = np.zeros((1, *image_shape), np.float32)
    variables = parallel.fetch(jax.jit(encoder.init)(jax.random.key(config.seed), example))
    features = jax.eval_shape(encoder.apply, variables, example)[objective.feature]
    params = variables["params"] | objective.init_head(features.shape[-1], config.seed)
    rows, groups = None, subgraphs.singletons(num_images)
    if config.objective == "pad":
        rows = np.zeros((num_images, config.model.embedding_dim), np.float32)
        groups = subgraphs.before_training(
            config.grouping.kind, num_images, config.grouping.num_neighbors
        )
    return TrainState(
        step=np.zeros((), np.int32),
        params=params,
        batch_stats=variables["batch_stats"],
        opt_state=parallel.fetch(settings.optimizer.init(params)),
        memory=rows,
        groups=groups,
    )


def first_memory(
    config: ConfigDict, state: TrainState, embed: Embedder, images: Images
) -> np.ndarray:
    """The memory that training begins with, float32 [N, D]."""
    if config.memory.init == "random":
        return memory.random_rows(len(images), config.model.embedding_dim, config.seed)
    return embed(parallel.replicate(state.variables), images)["embedding"]


class EpochRunner:
    """The training steps of an epoch, compiled once for the whole run.

    Args:
      config: the run's config.
      settings: of its steps.
      images: the training images; resident ones are put on the devices here.
    """

    def __init__(self, config: ConfigDict, settings: steps.StepSettings, images: Images):
        self._config, self._images = config, images
        self._objective, self._steps_per_epoch = settings.objective, settings.steps_per_epoch
        self._steps_per_dispatch = 1
        if isinstance(images, ResidentImages):
            self._steps_per_dispatch = _STEPS_PER_DISPATCH[jax.default_backend()]
            self._step = steps.pmap_resident_train_steps(settings, self._steps_per_dispatch)
            self._resident = parallel.replicate(images.array)
        else:
            self._step = steps.pmap_train_step(settings)

    def __call__(
        self, state: TrainState, groups: subgraphs.Groups, epoch: int
    ) -> tuple[TrainState, dict[str, float]]:
        """Trains one epoch; the means of its metrics over the steps, and its speed."""
        config, num_steps = self._config, self._steps_per_epoch
        plan = self._objective.plan(groups, config.batch_size, config.seed, epoch)
        sums = parallel.replicate({name: np.float32(0) for name in self._objective.metrics})
        start = time.perf_counter()
        dispatches = metrics.progress(
            self._dispatches(plan, groups),
            images=plan.size,
            images_each=self._steps_per_dispatch * config.batch_size,
            title=f"epoch {epoch + 1}/{config.num_epochs}",
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

    def _dispatches(self, plan: np.ndarray, groups: subgraphs.Groups):
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
