"""--mode=evaluate: evaluates a run's newest checkpoint, also on another data set."""

import os

from ml_collections import ConfigDict

from pad_jax import config as configs
from pad_jax import data, model, parallel
from pad_jax.data import augmentation
from pad_jax.data.preparation import PIXELS
from pad_jax.errors import InputError
from pad_jax.evaluators.evaluation import Evaluation
from pad_jax.modes.base import Call, Mode
from pad_jax.run import metrics


def evaluate(config: ConfigDict, workdir: str | os.PathLike) -> metrics.Row:
    """Evaluates the newest checkpoint in ``workdir`` on the data set of ``config``.

    Returns:
      A row of metrics.

    Raises:
      InputError: where there is no checkpoint, or the data cannot be used.
    """
    settings = configs.read(config)
    trained = model.load(workdir)
    dataset = data.load(settings, trained.preparation)
    given, trained_on = dataset.train.preparation, trained.preparation
    if given.kind != trained_on.kind:
        raise InputError(
            f"dataset: it has {given}; give a data set of {trained_on}, as in training"
        )
    if given.kind == PIXELS and given.shape != trained_on.shape:
        raise InputError(
            f"dataset: images are {given}, the encoder was trained on {trained_on}; set "
            "dataset.image_size and dataset.channels"
        )
    augment = augmentation.create(trained.settings)  # gives images as the encoder knows them
    evaluation = Evaluation(settings, trained.encoder, dataset, augment)
    figures = evaluation(parallel.replicate(trained.variables), trained.epoch, final=True)
    if not figures:
        raise InputError(
            "nothing can be evaluated: the training images have no labels; give a data set that has"
        )
    return {"epoch": trained.epoch} | {k: v for k, v in figures.items() if k.startswith("eval/")}


def _run(call: Call) -> str:
    return metrics.results_table(evaluate(call.config, call.run_folder))


MODE = Mode(_run, works_on_run=True)
