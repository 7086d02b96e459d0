"""Algorithm 1 in reading order: the only file that sequences."""

import contextlib
import functools
import logging
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from pad_jax import (
    beginning,
    data,
    models,
    objectives,
    parallel,
    predecessor,
    processes,
    progress,
    report,
    signals,
    sizing,
    state,
    storage,
)
from pad_jax import config as configs
from pad_jax.data.images import Images, few
from pad_jax.data.source import DatasetSettings
from pad_jax.epoch import EpochRunner
from pad_jax.evaluators.evaluation import Evaluation, EvaluationSettings
from pad_jax.graph import diagnostics
from pad_jax.graph.discovery import Discovery
from pad_jax.objectives.base import Objective
from pad_jax.optimizer import learning_rate_schedule
from pad_jax.paths import local
from pad_jax.predecessor import Predecessor
from pad_jax.profiling import Profile
from pad_jax.run import doubts, folder, metrics, saving
from pad_jax.run import found as of_groups
from pad_jax.run.begun import Begun
from pad_jax.run.breaks import Breaks
from pad_jax.run.checkpoints import Checkpoints, CheckpointSettings
from pad_jax.settings import RunSettings, Settings
from pad_jax.signals import Stopped
from pad_jax.state import TrainState
from pad_jax.steps import StepParts

_log = logging.getLogger(__name__)
_LOOKED_AT = 256  # images whose likeness is followed; one batch of embedding, by default


def train_and_evaluate(
    config: ConfigDict, workdir: str | os.PathLike, *, profile: str | os.PathLike | None = None
) -> metrics.Row:
    """Trains an encoder as ``config`` says, going on from the newest checkpoint in ``workdir``.

    Args:
      config: as ``pad_jax.config.default()`` makes it; what it leaves to choose (see
        ``pad_jax.sizing``) is chosen here.
      workdir: the run's folder; made where there is none. ``~`` stands for the home folder.
      profile: a folder for a trace of one graph and some steps (``pad_jax.profiling``).

    Returns:
      The last row of metrics, with the final evaluation.

    Raises:
      InputError: where the config or the data cannot be used, or a step is not finite.
      TypeError: for what is no config.
    """
    if not isinstance(config, ConfigDict):
        raise TypeError(
            f"config is a {type(config).__name__}; give a ConfigDict, as pad_jax.config.default() "
            "makes it"
        )
    workdir = local(workdir, "workdir")
    config = sizing.resolved(config, workdir)
    settings = configs.read(config)
    run_settings, platform = settings[RunSettings], parallel.platform()
    beginning.check_devices(run_settings, jax.device_count())
    encoder = models.create(settings, platform)
    objective = objectives.create(settings, platform)
    before = predecessor.find(settings, workdir)
    folder.check_workdir(workdir, config)
    if folder.is_finished(workdir, run_settings.num_epochs):
        _log.info("This run is finished.")
        return metrics.last_row(workdir, run_settings.num_epochs)
    dataset = data.load(settings)
    images = dataset.train
    parts = beginning.step_parts(settings, encoder, objective, len(images), images.preparation)
    beginning.check_images(settings, parts, images)
    evaluate = Evaluation(settings, encoder, dataset, parts.augmentation, (objective.feature,))
    if before is not None:
        before.check(settings, encoder, images)
    folder.make_workdir(workdir)
    with storage.errors(workdir), folder.locked(workdir):
        folder.write(workdir, config, dataset)
        _log.info(
            "Training on %d x %s: %d images of %s.",
            *(jax.device_count(), jax.devices()[0].device_kind),
            *(len(dataset.train), settings[DatasetSettings].name),
        )
        checkpoints = Checkpoints(workdir, settings[CheckpointSettings].keep)
        trace = Profile(profile)
        # Closing waits for the checkpoint that is being written, also where a run is interrupted.
        with contextlib.closing(checkpoints), contextlib.closing(trace):
            train_epochs(settings, workdir, dataset, parts, evaluate, checkpoints, before, trace)
    return metrics.last_row(workdir)


def train_epochs(
    settings: Settings,
    workdir: pathlib.Path,
    dataset: data.Dataset,
    parts: StepParts,
    evaluate: Evaluation,
    checkpoints: Checkpoints,
    before: Predecessor | None,
    trace: Profile,
) -> None:
    """Algorithm 1, from the newest checkpoint, or from the start, to the last epoch."""
    images, run_settings, objective = dataset.train, settings[RunSettings], parts.objective
    eval_settings, checkpoint_settings = settings[EvaluationSettings], settings[CheckpointSettings]
    schedule = jax.jit(learning_rate_schedule(settings, len(images)))
    run_epoch = EpochRunner(settings, parts, images, parallel.platform())
    if not objective.looks_for_groups(1):
        _log.info("Groups of one need no affinity graph: there is one after the last epoch alone.")
    embed = beginning.feature_embedder(settings, parts, evaluate.embedder)

    blank = beginning.init_state(run_settings, parts, images)
    saved = checkpoints.newest(blank)
    if saved is None:
        saved = beginning.first_state(settings, blank, parts, images, embed, before), None, 0
    host_state, begun, first_epoch = saved
    if begun is not None:
        _log.info("Going on %s.", begun.moment(parts.steps_per_epoch))
    elif first_epoch:
        _log.info("Going on after epoch %d.", first_epoch)
    train_state = state.to_devices(host_state)
    writer = metrics.MetricWriter(workdir, first_epoch, int(host_state.step))
    kept = min(checkpoint_settings.keep, run_settings.num_epochs)
    storage.check_space(workdir, storage.size(host_state), kept)
    watch, breaks = doubts.Watch(), Breaks(checkpoint_settings.every_minutes, trace.dispatched)
    looked_at = few(images, _LOOKED_AT)
    del host_state, saved, blank  # as large as what is on the devices
    late: metrics.Row = {}  # seconds of what comes after a row is written

    for epoch in range(first_epoch, run_settings.num_epochs):
        trace.begin(epoch, first_epoch, run_settings.num_epochs - 1)
        if begun is None:
            # Not every epoch's end is saved. What was resumed, or has not begun, is there anyway.
            save = functools.partial(saving.after, checkpoints, train_state, epoch, len(images))
            with saving.if_stopped(checkpoints, save if epoch > first_epoch else None):
                found, features, row = discover(objective, train_state, images, embed, epoch)
                learnt = parallel.from_first_process(objective.learnt(found))
                train_state = train_state.with_groups(learnt)
                train_state = objective.begin_epoch(train_state, epoch)
            # As many rows as the memory has, and a state whose groups are over.
            del features, save
            begun = Begun(found, row | late, run_epoch.start())
        train_state, begun = train_epoch(run_epoch, train_state, begun, breaks, checkpoints)
        trace.close()
        found, row = begun.found, {**begun.row, **run_epoch.means(begun.trained)}
        done, late = epoch + 1, {}
        last = done == run_settings.num_epochs
        save = functools.partial(saving.within, checkpoints, train_state, begun)
        with saving.if_stopped(checkpoints, save):
            seen = embed(train_state.variables, looked_at)
            row["features/similarity"] = diagnostics.mean_similarity(seen)
            step = done * parts.steps_per_epoch
            row["train/learning_rate"] = float(schedule(step - 1))
            row |= evaluate(train_state.variables, done, final=last)
            if last:
                found, features, final = discover(objective, train_state, images, embed, done)
                row |= processes.on_first(
                    functools.partial(of_groups.write, workdir, images, found, features), {}
                )
                if "graph/support" in final:
                    row["eval/support"] = final["graph/support"]
            writer.write(step, done, row)
            watch.look({"epoch": done} | row)
            metrics.log(f"epoch {done}/{run_settings.num_epochs}", row)
            start = time.perf_counter()
            if last or eval_settings.report_is_due(done):
                embed_now = functools.partial(embed, train_state.variables)
                if not last:
                    features = objective.current_features(train_state, images, embed_now)
                report.write(workdir, dataset, objective, found, features, embed_now)
                late["time/report"] = time.perf_counter() - start
        begun = None
        # After the report: a run cut off before comes by here again.
        start = time.perf_counter()
        if last or done % checkpoint_settings.every_epochs == 0 or breaks.is_due():
            with signals.held():
                saving.after(checkpoints, train_state, done, len(images))
            breaks.saved()
            late["time/checkpoint"] = time.perf_counter() - start
    writer.close()
    checkpoints.finish()


def train_epoch(
    run_epoch: EpochRunner,
    train_state: TrainState,
    begun: Begun,
    breaks: Breaks,
    checkpoints: Checkpoints,
) -> tuple[TrainState, Begun]:
    """Trains an epoch to its end; saves it in between where it is time to, or a signal comes.

    Raises:
      Stopped: by a signal, after the step that was under way has been saved.
    """
    groups, num_steps = begun.found.groups, run_epoch.steps_per_epoch
    with signals.held():
        while True:
            train_state, trained = run_epoch(
                train_state, groups, begun.epoch, begun.trained, pause=breaks
            )
            begun = begun._replace(trained=trained)
            if not breaks.stops() and trained.steps == num_steps:
                return train_state, begun
            saving.within(checkpoints, train_state, begun)
            breaks.saved()
            if breaks.stop_by:
                checkpoints.wait()
                said = f"stopped {begun.moment(num_steps)}; the same command goes on from there"
                raise Stopped(breaks.stop_by, said)


def discover(
    objective: Objective,
    train_state: TrainState,
    images: Images,
    embed: Callable[[Any, Images], np.ndarray],
    epoch: int,
) -> tuple[Discovery, np.ndarray | jax.Array | None, metrics.Row]:
    """The groups that an epoch is to learn, what they were found in, and figures of them.

    Of several processes the first one alone has the graph and the figures.
    """
    start, features = time.perf_counter(), None
    if objective.looks_for_groups(epoch):
        embed_now = functools.partial(embed, train_state.variables)
        features = objective.current_features(train_state, images, embed_now)
    row: metrics.Row = {"time/features": time.perf_counter() - start}
    with progress.clock("groups"), jax.profiler.TraceAnnotation("groups"):
        found, seconds = objective.discover(train_state, features, len(images), epoch)
    found = found._replace(groups=parallel.from_first_process(found.groups))
    row |= seconds | processes.on_first(
        lambda: of_groups.figures(found, features, images.labels, objective.prefix), {}
    )
    return found, features, row
