"""The tables of the paper, as overrides of a config; trained by --mode=sweep.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

    python -m pad_jax.main --config=configs/cifar10.py --mode=sweep --table=table3 --seeds=3

Any config can be swept; the paper's figures stand beside ours where it has some for the data set,
which is told by the name of the config. Table 6 was measured on CIFAR-10 alone.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from pad_jax.errors import InputError


class Row(NamedTuple):
    """A row of a table.

    Attributes:
      name: what the table calls it.
      overrides: fields of the config by dotted name; none for PAD as the config has it.
      paper: for some of the table's columns, the paper's figure in % (None where it has none).
    """

    name: str
    overrides: Mapping[str, Any]
    paper: Mapping[str, float | None]

    def changes(self, config: ConfigDict) -> str:
        """What it changes of a config, as the name of a folder; rows of one name are one run."""
        parts = [
            f"{field.split('.')[-1]}={value}"
            for field, value in self.overrides.items()
            if value != operator.attrgetter(field)(config)
        ]
        return ",".join(parts) or "pad"


class Table(NamedTuple):
    """A table of the paper.

    Attributes:
      caption: its title.
      columns: for each column its heading and the metric of the last epoch that it shows.
      rows: in order.
    """

    caption: str
    columns: Mapping[str, str]
    rows: Sequence[Row]


# "Weighted kNN / FC", and the same of the embedding, which the paper does not report.
_KNN = {"kNN": "eval/knn_accuracy_fc", "kNN of embedding": "eval/knn_accuracy"}
_SETS = ("cifar10", "cifar100", "svhn", "imagenet")
_PAD = (81.5, 48.7, 91.2)  # kNN of PAD, the row all ablations are compared with

# Methods that others published, in the same trainer. "random" is the encoder as it is initialised;
# its one epoch with learning rate 0 only gives batch norm its statistics.
# Where the kind is no SCS, singletons are classes to the end.
_NO_SCS = {"grouping.singletons_until": 1.0}
_RANDOM = {
    "num_epochs": 1,
    "optimizer.learning_rate": 0.0,
    "grouping.kind": "singleton",
    **_NO_SCS,
}
_INSTANCE = {"grouping.kind": "singleton", "loss.hpe": "none", **_NO_SCS}
# The same again for PAD, so that no override makes its row something else.
_OURS = {"objective": "pad", "grouping.kind": "scs", "grouping.cyclic": True, "loss.hpe": "kl"}
_ROTNET = {"objective": "rotation"}
_DEEPCLUSTER = {"objective": "clusters", "optimizer.decay_at": ()}  # constant, as published
_AND = {"grouping.kind": "anchor_neighbors", "loss.hpe": "none", **_NO_SCS}


def get_table(name: str, config: ConfigDict, dataset: str) -> Table:
    """A table of the paper.

    Args:
      name: one of TABLES.
      config: the config its rows start from.
      dataset: the name of that config, by which the paper's figures are found.

    Raises:
      InputError: for another name.
    """
    if name not in TABLES:
        raise InputError(f"--table={name} is unknown; use one of: {', '.join(TABLES)}")
    return TABLES[name](config, dataset)


def _table1(config: ConfigDict, dataset: str) -> Table:
    rows = (
        ("Random", _RANDOM, (34.5, 12.1, 56.8, 3.5), (67.3, 32.7, 79.2, 14.1)),
        ("DeepCluster", _DEEPCLUSTER, (62.3, 22.7, 84.9, 26.8), (77.9, 41.9, 92.0, 38.2)),
        ("Instance", _INSTANCE, (60.3, 32.7, 79.8, 31.3), (70.1, 39.4, 89.3, 35.6)),
        ("RotNet", _ROTNET, (72.5, 32.1, 77.5, 9.2), (84.1, 57.4, 92.3, 36.5)),
        ("AND", _AND, (74.8, 41.5, 90.9, 31.3), (77.6, 47.9, 93.7, 37.8)),
        ("PAD", _OURS, (81.5, 48.7, 91.2, 35.1), (84.7, 58.6, 93.2, 38.6)),
    )
    return Table(
        f"Table 1 on {dataset}: image classification",
        {**_KNN, "linear": "eval/linear_accuracy_conv5"},
        [
            Row(
                row,
                overrides,
                {"kNN": _of(dataset, _SETS, knn), "linear": _of(dataset, _SETS, linear)},
            )
            for row, overrides, knn, linear in rows
        ],
    )


def _table2(config: ConfigDict, dataset: str) -> Table:
    # The clustering protocol trains on all images; a config without test images does so already.
    train, test = config.dataset.train_split, config.dataset.test_split
    protocol = {"dataset.train_split": f"{train}+{test}", "dataset.test_split": ""} if test else {}
    sets = ("mnist", "stl10", "cifar10", "cifar100")
    rows = (
        ("Random CNN", _RANDOM, (48.1, 20.1, 18.6, 10.3)),
        ("DeepCluster", _DEEPCLUSTER, (65.6, 33.4, 37.4, 18.9)),
        ("Instance", _INSTANCE, ()),
        ("AND", _AND, ()),
        ("PAD", _OURS, (98.2, 46.5, 62.6, 28.8)),
    )
    return Table(
        f"Table 2 on {dataset}: k-means into the true number of classes",
        {"ACC": "eval/kmeans_acc", "NMI": "eval/kmeans_nmi", "ARI": "eval/kmeans_ari"},
        [
            Row(row, {**overrides, **protocol}, {"ACC": _of(dataset, sets, acc)})
            for row, overrides, acc in rows
        ],
    )


def _table3(config: ConfigDict, dataset: str) -> Table:
    neighbors = {"grouping.kind": "neighbors", "grouping.num_neighbors": 10, **_NO_SCS}
    return _knn_table(
        f"Table 3 on {dataset}: effect of affinity diffusion",
        dataset,
        ("singletons (Instance of Table 1)", _INSTANCE, (60.3, 32.7, 79.8)),
        ("10 nearest neighbours", neighbors, (77.5, 34.5, 89.5)),
        ("diffusion", _OURS, _PAD),
    )


def _table4(config: ConfigDict, dataset: str) -> Table:
    return _knn_table(
        f"Table 4 on {dataset}: cyclic and scale constraints",
        dataset,
        ("not cyclic", {"grouping.cyclic": False}, (73.3, 30.6, 91.1)),
        (
            "no limit of scale",
            {"grouping.max_size": None, "grouping.final_max_size": None},
            (20.2, 1.8, 20.3),
        ),
        ("both", _OURS, _PAD),
    )


def _table5(config: ConfigDict, dataset: str) -> Table:
    return _knn_table(
        f"Table 5 on {dataset}: hard positive enhancement",
        dataset,
        ("without", {"loss.hpe": "none"}, (69.8, 30.9, 80.9)),
        ("FCS", {"loss.hpe": "cosine"}, (72.7, 39.1, 90.4)),
        ("KL", _OURS, _PAD),
    )


def _table6(config: ConfigDict, dataset: str) -> Table:
    figures = {
        "grouping.num_neighbors": {1: 78.3, 3: 79.3, 5: 81.5, 10: 79.7},
        "grouping.max_size": {5: 80.2, 10: 81.5, 50: 80.7, 100: 73.5},
        "loss.hpe_weight": {0.2: 78.4, 0.5: 78.5, 0.8: 81.5, 1.0: 78.9},
    }
    symbols = dict(zip(figures, ("k", "s", "lambda"), strict=True))
    fixed = {"grouping.max_size": {"grouping.final_max_size": None}}  # else s may grow
    return _knn_table(
        f"Table 6 on {dataset}: parameters",
        dataset,
        *(
            (f"{symbols[field]} = {value}", {field: value} | fixed.get(field, {}), (figure,))
            for field, row in figures.items()
            for value, figure in row.items()
        ),
    )


TABLES = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "table5": _table5,
    "table6": _table6,
}


def _knn_table(caption: str, dataset: str, *rows: tuple[str, dict, tuple]) -> Table:
    return Table(
        caption,
        _KNN,
        [
            Row(name, overrides, {"kNN": _of(dataset, _SETS, figures)})
            for name, overrides, figures in rows
        ],
    )


def _of(dataset: str, datasets: tuple[str, ...], figures: tuple[float, ...]) -> float | None:
    """The figure of one data set."""
    return dict(zip(datasets, figures, strict=False)).get(dataset)
