"""--mode=evaluate: evaluates a checkpoint of a run, also on another data set."""

import logging
import os

import numpy as np
from ml_collections import ConfigDict

from pad_jax import config as configs
from pad_jax import data, model, outputs, parallel
from pad_jax.collection import Collection
from pad_jax.data import augmentation
from pad_jax.data.preparation import PIXELS
from pad_jax.errors import InputError
from pad_jax.evaluators.evaluation import Evaluation
from pad_jax.graph import diagnostics
from pad_jax.graph.groups import Groups, from_labels, similarities_to_means
from pad_jax.modes.base import Call, Mode
from pad_jax.modes.opening import open_call
from pad_jax.run import metrics

_log = logging.getLogger(__name__)


def evaluate(
    config: ConfigDict, workdir: str | os.PathLike, epoch: int | None = None
) -> metrics.Row:
    """Evaluates a checkpoint in ``workdir`` on the data set of ``config``, by its labels.

    Args:
      config: of the evaluation.
      workdir: the run's folder.
      epoch: of the checkpoint; by default of the newest.

    Returns:
      A row of metrics; no more than the epoch where no evaluator can do without labels.

    Raises:
      InputError: where there is no such checkpoint, or the data cannot be used.
    """
    settings = configs.read(config)
    trained = model.load(workdir, epoch)
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
    augment = augmentation.create(trained.settings, trained_on)  # images as the encoder knows them
    evaluation = Evaluation(settings, trained.encoder, dataset, augment)
    figures = evaluation(parallel.replicate(trained.variables), trained.epoch, final=True)
    return {"epoch": trained.epoch} | {k: v for k, v in figures.items() if k.startswith("eval/")}


def describe(collection: Collection) -> metrics.Row:
    """What can be said of images without labels; with labels how pure groups and clusters are.

    Returns:
      "groups/..." of the small groups, "clusters/..." of the clusters that the images fall into:
      "count"; "coverage", the share of images in one; "mean_size" and "max_size";
      "similarity", the mean cosine of an image with the mean of its group or cluster; with labels
      "purity" and "pair_precision".
    """
    row: metrics.Row = {}
    for prefix, label in (
        ("groups", collection.groups.labels_),
        ("clusters", collection.hierarchy.labels_),
    ):
        groups = Groups(from_labels(label), np.arange(len(label)))
        statistics = diagnostics.group_statistics(groups, collection.labels)
        similarities = similarities_to_means(collection.embeddings, label)[label >= 0]
        statistics["similarity"] = float(similarities.mean()) if len(similarities) else 0.0
        row |= {f"{prefix}/{name}": value for name, value in statistics.items()}
    return row


def _run(call: Call) -> str:
    row = evaluate(call.config, call.run_folder, call.epoch)
    collection = open_call(call, row["epoch"])  # the run may have gone on
    if not (collection.labels >= 0).any():
        _log.info("Without labels: what is said of groups and clusters needs none.")
    row |= describe(collection)
    path = call.run_folder / "evaluation.json"
    dataset = {name: call.config.dataset[name] for name in ("name", "root")}
    table = metrics.results_table(row)
    try:
        outputs.write_json(path, row | {"images": len(collection), "dataset": dataset})
    except InputError as error:  # of somebody else's run, say: the figures took their time
        _log.warning("Not written: %s", error)
        return table
    return f"{table}\nWritten: {path}"


MODE = Mode(_run, works_on_run=True, takes=("epoch",))
