"""AffinityGroups and AffinityHierarchy beside scikit-learn's HDBSCAN, and alone on 1,281,167 rows.

On the digits' pixels and on any files NAME=FILE.npz with ``embeddings`` (or ``features``) and
``labels``, of each some sizes. Our times include the graph; HDBSCAN has all cores, too. Then what a
run asks of every graph, its clusters and its modularity by level, beside the graph itself.
"""

import argparse
import math
import pathlib

import numpy as np
from sklearn.cluster import HDBSCAN
from sklearn.datasets import load_digits

from pad_jax import AffinityGroups, AffinityHierarchy, runtime
from pad_jax.graph.diagnostics import purity_by_group
from pad_jax.graph.modularity import clusters
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.rows import unit_rows
from pad_jax.graph.search import Graph
from pad_jax.objectives.memory import random_rows
from tests.benchmarks import measure
from tests.benchmarks.search import K, gaussian_graph

DIM, LARGE = 128, 16 * 80_073  # ImageNet's number of images, to a row
MIN_SHARE = 0.005  # of a cluster, for both
STRUCTURE_K = 10  # of configs/auto.py


def rows_of(file: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = np.load(file)
    rows = arrays["embeddings" if "embeddings" in arrays else "features"]
    return rows.astype(np.float32), arrays["labels"]


def some(rows, labels, count):
    """A random subset, the same one every time, without rows of zeros."""
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    chosen = chosen[rows[chosen].any(1)]
    return unit_rows(rows[chosen]), labels[chosen]


def found(labels: np.ndarray, classes: np.ndarray) -> dict:
    inside = labels >= 0
    size = np.bincount(labels[inside])
    purity = purity_by_group(labels[inside], classes[inside], len(size))
    return {
        "clusters": len(size),
        "coverage": float(inside.mean()),
        "purity": float(purity @ size / max(size.sum(), 1)),
    }


def compare(name: str, rows: np.ndarray, classes: np.ndarray, theirs: bool) -> list[dict]:
    """A row each for groups and clusters, HDBSCAN's figures beside ours."""
    min_size = max(5, math.ceil(MIN_SHARE * len(rows)))
    pairs = {
        "groups": (AffinityGroups(), 2),
        f"clusters of {min_size} and more": (AffinityHierarchy(min_size=min_size), min_size),
    }
    results = []
    for kind, (ours, size) in pairs.items():
        ours.fit(rows)  # compiled
        seconds = min(measure.seconds(lambda ours=ours: ours.fit(rows)) for _ in range(3))
        result = {"rows": f"{name}, {len(rows)} x {rows.shape[1]}", "what": kind}
        result |= found(ours.labels_, classes) | {"seconds": seconds}
        if theirs:
            other = HDBSCAN(min_cluster_size=size, n_jobs=-1, copy=True)
            slow = measure.seconds(lambda other=other: other.fit(rows))
            beside = found(other.labels_, classes) | {"seconds": slow}
            result |= {f"HDBSCAN {key}": value for key, value in beside.items()}
            result["times faster"] = slow / seconds
        results.append(result)
        print(result, flush=True)  # the slow ones take their time
    return results


def structure(rows: np.ndarray) -> dict:
    """The clusters of a graph and its modularity by level, beside the making of the graph."""
    graph = nearest_neighbors(rows, STRUCTURE_K)
    clusters(graph)  # compiled
    of_graph, of_clusters = (
        min(measure.seconds(function) for _ in range(3))
        for function in (lambda: nearest_neighbors(rows, STRUCTURE_K), lambda: clusters(graph))
    )
    return {
        "rows": f"{len(rows)} x {rows.shape[1]}, k={STRUCTURE_K}",
        "what": "clusters and modularity",
        "seconds": of_clusters,
        "graph": of_graph,
        "share of the graph's": of_clusters / of_graph,
    }


def alone(points: int) -> list[dict]:
    """What comes after the graph, which graph.py measures, for ImageNet's number of rows.

    The graph is the exact one of Gaussian points in 8 dimensions, 16 copies of it.
    """
    indices = gaussian_graph(points, 8, copies=16)
    rows = random_rows(len(indices), DIM, seed=0)
    similarities = np.sort(np.random.default_rng(0).random(indices.shape, np.float32))[:, ::-1]
    results = []
    graph = Graph(indices, similarities)
    results.append(
        {
            "rows": f"{len(rows)}, k={K}, the graph given",
            "what": "clusters and modularity",
            "seconds": measure.seconds(lambda: clusters(graph)),
        }
    )
    for ours in (AffinityGroups(n_neighbors=K), AffinityHierarchy(n_neighbors=K)):
        few = np.arange(1000)[:, None] // 8 * 8 + np.arange(K)
        ours.fit(rows[:1000], precomputed_knn=(few[::-1], similarities[:1000]))  # compiled
        seconds = measure.seconds(
            lambda ours=ours: ours.fit(rows, precomputed_knn=(indices, similarities))
        )
        results.append(
            {
                "rows": f"{len(rows)} x {DIM}, k={K}, the graph given",
                "what": type(ours).__name__,
                "clusters": int(ours.labels_.max() + 1),
                "coverage": float((ours.labels_ >= 0).mean()),
                "seconds": seconds,
            }
        )
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="NAME=FILE.npz")
    parser.add_argument("--sizes", type=int, nargs="*", default=[2_000, 10_000, 50_000])
    parser.add_argument("--hdbscan", type=int, default=20_000, help="most rows it is given")
    parser.add_argument("--large", type=int, default=LARGE, help="0 for none")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    runtime.configure()
    digits = load_digits()
    rows = compare("digits, pixels", unit_rows(digits.data), digits.target, True)
    for name, file in (argument.split("=", 1) for argument in args.files):
        features, labels = rows_of(file)
        for count in sorted({min(size, len(features)) for size in args.sizes}):
            chosen, classes = some(features, labels, count)
            rows += compare(name, chosen, classes, count <= args.hdbscan)
            rows.append(structure(chosen))
    if args.large:
        rows += alone(args.large // 16)
    measure.report("Groups and clusters", rows, args.json)


if __name__ == "__main__":
    main()
