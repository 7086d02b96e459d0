"""From which pair precision on do groups help? One encoder, one data set, groups of many kinds.

Trains one small run with singletons, with PAD's own groups, and with groups whose pair precision is
set by hand; prints the mean precision over the epochs and the kNN accuracy at the end, and draws
both over the epochs, of all runs in the folder, as curves.svg:

* ``purified r``: PAD's own groups, each of whose members that are not of its majority class leaves
  with probability r;
* ``drawn p``: groups of five drawn anew every epoch, of one class but that each member is, with
  probability 1 - p, any sample.

The last two read the labels: they are no methods, only a way to ask the question.

    python -m tests.studies.pair_precision --config=configs/cifar10.py --workdir=runs/precision

takes every override of the config; ``--only="PAD,drawn 0.7"`` trains some of the runs.
"""

import dataclasses
import functools
import pathlib
from typing import ClassVar

import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from pad_jax import config as configs
from pad_jax import data, runtime, train
from pad_jax.errors import InputError
from pad_jax.graph.groups import Groups, hard_positives, smallest_index
from pad_jax.groupings.base import Grouping
from pad_jax.groupings.scs import Subgraphs
from pad_jax.run import metrics
from pad_jax.settings import RunSettings, setting, share
from tests.studies import schedules

_GROUP_SIZE = 5  # about the mean size of PAD's groups
_FRESH = {"grouping.features": "embed"}
_HERE = "tests.studies.pair_precision"
RUNS = {
    "singletons": {"grouping.kind": "singleton"},
    "singletons without HPE": {"grouping.kind": "singleton", "loss.hpe": "none"},
    "PAD memory": {},
    "PAD": _FRESH,
    "edges 0.1": _FRESH | {"grouping.edge_share": 0.1},
    **{
        f"purified {value}": _FRESH
        | {"grouping.kind": f"{_HERE}:Purified", "study.share": float(value)}
        for value in ("0.5", "1")
    },
    **{
        f"drawn {value}": _FRESH
        | {"grouping.kind": f"{_HERE}:Drawn", "study.precision": float(value)}
        for value in ("0.5", "0.6", "0.7", "0.8", "0.9")
    },
}
# Of SCSs, and of groups that are none.
_PRECISION = ("scs/pair_precision", "groups/pair_precision")


@dataclasses.dataclass(frozen=True)
class PurifiedSettings:
    """How pure groups are made."""

    SECTION: ClassVar[str] = "study"

    share: float = setting(
        1.0,
        "of the members that are not of their group's class, so many leave",
        share("use 0 to 1"),
    )


@dataclasses.dataclass(frozen=True)
class DrawnSettings:
    """How pure groups are drawn."""

    SECTION: ClassVar[str] = "study"

    precision: float = setting(
        1.0, "probability that a member is of its group's class", share("use a probability")
    )


class _Labels:
    """The labels of a run's training images, which no method of the package looks at."""

    def __init__(self, settings):
        self._all_settings = settings

    @functools.cached_property
    def known(self):
        """int64 [N]."""
        labels = data.load(self._all_settings).train.labels
        if (labels < 0).any():
            raise InputError("dataset: the images have to be labelled, all of them")
        return labels


class Purified(Subgraphs):
    """PAD's own groups, without a share of the members of minority classes."""

    SETTINGS = (*Subgraphs.SETTINGS, PurifiedSettings)

    def __init__(self, settings):
        super().__init__(settings)
        self._share, self._labels = settings[PurifiedSettings].share, _Labels(settings)
        self._seed = settings[RunSettings].seed

    def find(self, evidence, edges):
        seed = (self._seed, evidence.epoch)
        found = super().find(evidence, edges)
        group_id = purified(found.group_id, self._labels.known, self._share, seed)
        return Groups(group_id, hard_positives(group_id, evidence.features))


class Drawn(Grouping):
    """Groups drawn without regard to the graph."""

    SETTINGS = (DrawnSettings,)

    def __init__(self, settings):
        self._precision, self._labels = settings[DrawnSettings].precision, _Labels(settings)
        self._seed = settings[RunSettings].seed

    def find(self, evidence, edges):
        group_id = drawn(self._labels.known, self._precision, (self._seed, evidence.epoch))
        return Groups(group_id, hard_positives(group_id, evidence.features))


def purified(group_id, labels, share, seed):
    """Group ids without this share of the members of minority classes."""
    counts = np.zeros((len(labels), labels.max() + 1), np.int32)
    np.add.at(counts, (group_id, labels), 1)
    wrong = labels != counts[group_id].argmax(1)
    leaves = wrong & (np.random.default_rng(seed).random(len(labels)) < share)
    # Those who leave get numbers that no group has: one of them may have given its group its own.
    group = np.where(leaves, len(labels) + np.arange(len(labels)), group_id)
    return smallest_index(group)


def drawn(labels, precision, seed):
    """Group ids of groups whose members are of one class, each with this probability."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # by class, at random within
    anyone = np.flatnonzero(rng.random(len(order)) >= precision)
    order[anyone] = order[rng.permutation(anyone)]
    group = np.empty(len(order), np.int64)
    group[order] = np.arange(len(order)) // _GROUP_SIZE
    return smallest_index(group)


def config_of(common, name):
    """The config of a run: what all have in common, and its own."""
    return configs.changed(common, RUNS[name])


def precision(row):
    """The pair precision of an epoch's groups."""
    return next(row[key] for key in _PRECISION if key in row)


def draw(workdir):
    """Writes the curves of all runs in the folder to ``curves.svg``."""
    panels = {
        "weighted kNN": lambda row: row.get("eval/knn_accuracy"),
        "pair precision of the groups": precision,
    }
    runs = {name: metrics.read(_folder(workdir, name)) for name in RUNS}
    schedules.draw(workdir / "curves.svg", runs, panels)


def _folder(workdir, name):
    return workdir / name.replace(" ", "_")


def main(_):
    runtime.configure()
    logging.set_verbosity(logging.WARNING)
    workdir = pathlib.Path(flags.FLAGS.workdir)
    print("| groups | mean pair precision, % | kNN, % | kNN of fc, % |\n| --- | --- | --- | --- |")
    for name in flags.FLAGS.only or RUNS:
        run = _folder(workdir, name)
        last = train.train_and_evaluate(config_of(flags.FLAGS.config, name), run)
        precisions = [precision(row) for row in metrics.read(run)]
        figures = np.mean(precisions), last["eval/knn_accuracy"], last["eval/knn_accuracy_fc"]
        print(f"| {name} | {' | '.join(f'{100 * x:.1f}' for x in figures)} |", flush=True)
    draw(workdir)


if __name__ == "__main__":  # not where a run imports its groups by their name
    config_flags.DEFINE_config_file("config", None, "What all runs have in common.")
    flags.DEFINE_string("workdir", None, "Folder of the runs.", required=True)
    flags.DEFINE_list("only", [], "Names of the runs to train, as in the table; all if empty.")
    app.run(main)
