"""PAD and what it is compared with over files of features, for docs/studies/features.md.

    python -m tests.studies.feature_groups flowers=flowers.npz imagenette=imagenette.npz --out=DIR

A file has the features and labels of images, with or without augmented views of them. Every method
is run with each seed; labels are read to measure. Means are printed as a table of each file; DIR of
``--out`` gets runs.csv with a line for each run.
"""

import argparse
import csv
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import normalized_mutual_info_score

import pad_jax
from configs import features as features_config
from pad_jax import config as configs
from pad_jax import data, runtime
from pad_jax.data.images import Images
from pad_jax.evaluators import knn
from pad_jax.evaluators.clustering import clustering_accuracy
from pad_jax.graph import diagnostics
from pad_jax.graph.groups import Groups

Figures = dict[str, float]

COLUMNS = ("acc", "nmi", "knn", "purity", "coverage", "edges", "seconds")
NO_HPE: dict[str, Any] = {"loss.hpe": "none"}
CLASSES: dict[str, Any] = {"grouping.singletons_until": 1.0}  # of images in no group, too
SINGLETONS: dict[str, Any] = {"grouping.kind": "singleton"} | CLASSES
# Overrides of configs/features.py by method; those with VIEWS are for files that have some.
METHODS: dict[str, dict[str, Any]] = {
    "singletons without HPE (Instance)": SINGLETONS | NO_HPE,
    "singletons with HPE": SINGLETONS,
    "AND": {"grouping.kind": "anchor_neighbors"} | CLASSES | NO_HPE,
    "neighbours": {"grouping.kind": "neighbors", "grouping.num_neighbors": 10} | CLASSES,
    "PAD as published": {
        "grouping.features": "memory",
        "grouping.num_neighbors": 5,
        "loss.hpe_weight": 0.8,
        **CLASSES,
    },
    "PAD as published, fresh graph": {
        "grouping.num_neighbors": 5,
        "loss.hpe_weight": 0.8,
        **CLASSES,
    },
    "PAD without HPE": NO_HPE,
    "PAD, as configured": {},
    "PAD, mlp": {"model.name": "mlp"},
}
VIEWS: dict[str, dict[str, Any]] = {
    "PAD, views and dropout": {},
    "PAD, views alone": {"augmentation.dropout": 0.0},
}


def main() -> None:
    runtime.configure()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", help="NAME=FILE")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="methods with this in their name")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "runs.csv").open("a", newline="") as file:
        writer = csv.writer(file)
        for given in options.files:
            name, _, path = given.partition("=")
            print(f"\n{name}\n\n| method | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|")
            for method, runs in measured(pathlib.Path(path), range(options.seeds), options.only):
                for seed, figures in enumerate(runs):
                    writer.writerow([name, method, seed, *(figures.get(c, "") for c in COLUMNS)])
                file.flush()
                print(f"| {method} | {' | '.join(mean(runs, c) for c in COLUMNS)} |", flush=True)


def mean(runs: list[Figures], column: str) -> str:
    """The mean over runs, of accuracies with the runs' own figures."""
    values = [figures[column] for figures in runs if column in figures]
    if not values:
        return ""
    if column == "seconds":
        return f"{np.mean(values):.0f}"
    return f"{np.mean(values):.3f}" + f" ± {np.std(values, ddof=1):.3f}" * (len(values) > 1)


def measured(path: pathlib.Path, seeds: range, only: str) -> Iterator[tuple[str, list[Figures]]]:
    """Each method with its runs on a file."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = np.load(path)
        features, labels = arrays["features"], arrays["labels"]
        plain = pathlib.Path(folder, "plain.npz")
        np.savez(plain, features=features if features.ndim == 2 else features[0], labels=labels)
        images = data.load(configs.read(config_of(plain, 0))).train
        [standard] = images.batches(np.arange(len(images))[None])
        as_they_are = np.load(plain)["features"].astype(np.float32)
        for method, rows in (
            ("k-means on the features", as_they_are),
            ("k-means on the features, standardised", standard),
        ):
            if only in method:
                yield method, [timed(kmeans, rows, labels, seed) for seed in seeds]
        for min_size in (2, 15):
            if only in (method := f"HDBSCAN, clusters of {min_size} or more"):
                yield method, [timed(hdbscan, standard, labels, min_size)]
        for method, overrides in METHODS.items():
            if only in method:
                yield method, [timed(train, plain, images, s, overrides) for s in seeds]
        for method, overrides in VIEWS.items():
            if only in method and features.ndim == 3:
                yield method, [timed(train, path, images, s, overrides) for s in seeds]


def timed(run, *args) -> Figures:
    start = time.perf_counter()
    figures = run(*args)
    return {"seconds": time.perf_counter() - start} | figures


def config_of(path: pathlib.Path, seed: int, **overrides: Any):
    config = features_config.get_config()
    config.dataset.root, config.seed = str(path), seed
    config.update_from_flattened_dict(overrides)
    return config


def kmeans(rows: np.ndarray, labels: np.ndarray, seed: int) -> Figures:
    """Into the true number of classes, as ``Clustering`` does it."""
    classes = len(np.unique(labels))
    cluster = KMeans(classes, n_init=10, random_state=seed).fit_predict(rows)
    predicted = knn.predict(rows, labels, rows, leave_one_out=True)
    return {
        "acc": clustering_accuracy(labels, cluster),
        "nmi": float(normalized_mutual_info_score(labels, cluster)),
        "knn": float(np.mean(predicted == labels)),
    }


def hdbscan(rows: np.ndarray, labels: np.ndarray, min_size: int) -> Figures:
    """What it leaves out is right in no class, and a singleton among groups."""
    cluster = HDBSCAN(min_cluster_size=min_size, copy=True).fit_predict(rows)
    noise = cluster < 0
    numbered = np.where(noise, cluster.max() + 1 + np.cumsum(noise), cluster)
    first = np.unique(numbered, return_index=True)[1]
    group_id = first[np.unique(numbered, return_inverse=True)[1]].astype(np.int32)
    statistics = diagnostics.group_statistics(Groups(group_id, group_id), labels)
    clustered = cluster[~noise]
    share = len(clustered) / len(labels)
    return {
        "acc": share * clustering_accuracy(labels[~noise], clustered) if len(clustered) else 0.0,
        "nmi": float(normalized_mutual_info_score(labels, numbered)),
        "purity": statistics.get("purity", np.nan),
        "coverage": statistics["coverage"],
    }


def train(path: pathlib.Path, images: Images, seed: int, overrides: dict[str, Any]) -> Figures:
    """A run; its figures are those of the last epoch."""
    fields = {"eval.pixels": False, "checkpoint.every_epochs": 1000} | overrides
    workdir = tempfile.mkdtemp()
    try:
        row = pad_jax.train_and_evaluate(config_of(path, seed, **fields), workdir)
    finally:
        shutil.rmtree(workdir)
    names = {"acc": "eval/kmeans_acc", "nmi": "eval/kmeans_nmi", "knn": "eval/knn_accuracy"}
    figures = {column: row[name] for column, name in names.items()}
    for column in ("purity", "coverage"):
        if value := next((v for k, v in row.items() if k.endswith(f"/{column}")), None):
            figures[column] = value
    edges = [v for k, v in row.items() if k.startswith("neighbors/precision_at_")]
    return figures | ({"edges": edges[-1]} if edges else {})


if __name__ == "__main__":
    main()
