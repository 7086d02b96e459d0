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

import functools
import pathlib
from unittest import mock

import numpy as np
from absl import app, flags, logging
from matplotlib import colormaps
from matplotlib.figure import Figure
from ml_collections import config_flags

from pad_jax import data, metrics, runtime, subgraphs, train

_CONFIG = config_flags.DEFINE_config_file("config", None, "What all runs have in common.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the runs.", required=True)
_ONLY = flags.DEFINE_list("only", [], "Names of the runs to train, as in the table; all if empty.")

_GROUP_SIZE = 5  # about the mean size of PAD's groups
_FRESH = {"grouping.features": "embed"}
RUNS = {
    "singletons": {"grouping.kind": "singleton"},
    "singletons without HPE": {"grouping.kind": "singleton", "loss.hpe": "none"},
    "PAD memory": {},
    "PAD": _FRESH,
    "edges 0.1": _FRESH | {"grouping.edge_share": 0.1},
    **{f"purified {share}": _FRESH for share in ("0.5", "1")},
    **{f"drawn {precision}": _FRESH for precision in ("0.5", "0.6", "0.7", "0.8", "0.9")},
}
_search = subgraphs.strongly_connected_subgraphs


def purified(labels, share, neighbors, max_size, *, cyclic, seed):
    """Group ids of the search, without this share of the members of minority classes."""
    group_id = _search(neighbors, max_size, cyclic=cyclic, seed=seed)
    counts = np.zeros((len(labels), labels.max() + 1), np.int32)
    np.add.at(counts, (group_id, labels), 1)
    wrong = labels != counts[group_id].argmax(1)
    leaves = wrong & (np.random.default_rng(seed).random(len(labels)) < share)
    # Those who leave get numbers that no group has: one of them may have given its group its own.
    group = np.where(leaves, len(labels) + np.arange(len(labels)), group_id)
    return subgraphs.smallest_index(group)


def drawn(labels, precision, neighbors, max_size, *, cyclic, seed):
    """Group ids without regard to the graph."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # by class, at random within
    anyone = np.flatnonzero(rng.random(len(order)) >= precision)
    order[anyone] = order[rng.permutation(anyone)]
    group = np.empty(len(order), np.int64)
    group[order] = np.arange(len(order)) // _GROUP_SIZE
    return subgraphs.smallest_index(group)


def draw(workdir):
    """Writes the curves of all runs in the folder to ``curves.svg``."""
    panels = {
        "weighted kNN": "eval/knn_accuracy",
        "pair precision of the groups": "scs/pair_precision",
    }
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, (title, key) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for color, name in zip(colormaps["tab20"].colors, RUNS, strict=False):
            # Without groups the precision is 0, and no curve.
            rows = [row for row in metrics.read(_folder(workdir, name)) if row.get(key)]
            if rows:
                epochs, values = [row["epoch"] for row in rows], [row[key] for row in rows]
                axes.plot(epochs, values, color=color, marker=".", label=name)
        axes.set(title=title, xlabel="epoch")
        axes.locator_params("x", integer=True)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(workdir / "curves.svg", metadata={"Date": None})


def _folder(workdir, name):
    return workdir / name.replace(" ", "_")


def main(_):
    runtime.configure()
    logging.set_verbosity(logging.WARNING)
    workdir = pathlib.Path(_WORKDIR.value)
    labels = data.load(_CONFIG.value.dataset).train.labels
    print("| groups | mean pair precision, % | kNN, % | kNN of fc, % |\n| --- | --- | --- | --- |")
    for name in _ONLY.value or RUNS:
        config = _CONFIG.value.copy_and_resolve_references()
        config.update_from_flattened_dict(RUNS[name])
        kind, _, value = name.partition(" ")
        find = {"purified": purified, "drawn": drawn}.get(kind)
        find = functools.partial(find, labels, float(value)) if find else _search
        run = _folder(workdir, name)
        with mock.patch.object(subgraphs, "strongly_connected_subgraphs", find):
            last = train.train(config, run)
        precisions = [row["scs/pair_precision"] for row in metrics.read(run)]
        figures = np.mean(precisions), last["eval/knn_accuracy"], last["eval/knn_accuracy_fc"]
        print(f"| {name} | {' | '.join(f'{100 * x:.1f}' for x in figures)} |", flush=True)
    draw(workdir)


if __name__ == "__main__":
    app.run(main)
