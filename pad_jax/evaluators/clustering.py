"""k-means into the true number of classes: the paper's evaluation protocol (2)."""

import warnings
from collections.abc import Iterator

import numpy as np
import scipy.optimize
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from pad_jax.evaluators import Features


class Clustering:
    """k-means on the training images' features: ACC, NMI and ARI, their mean over several runs.

    A run is scikit-learn's KMeans with a seed of its own. With more than one run, "kmeans_acc_std"
    is ACC's standard deviation over them.

    Args:
      runs: number of runs.
      inits: starts of each, of which the partition of the smallest inertia counts.
      max_rows: of larger sets a random sample of this many rows is clustered.
    """

    def __init__(self, runs: int = 1, inits: int = 3, max_rows: int = 200_000):
        self._runs, self._inits, self._max_rows = runs, inits, max_rows

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        rows, labels = features.train, features.train_labels
        if len(rows) > self._max_rows:
            sample = np.random.default_rng(0).choice(len(rows), self._max_rows, replace=False)
            rows, labels = rows[sample], labels[sample]
        classes = len(np.unique(labels))
        scores = []
        for seed in range(self._runs):
            kmeans = KMeans(classes, n_init=self._inits, random_state=seed)
            with warnings.catch_warnings():
                # Fewer distinct rows than classes: the score says it, a warning adds nothing.
                warnings.simplefilter("ignore", ConvergenceWarning)
                cluster = kmeans.fit_predict(rows)
            scores.append(
                (
                    clustering_accuracy(labels, cluster),
                    normalized_mutual_info_score(labels, cluster),
                    adjusted_rand_score(labels, cluster),
                )
            )
        mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0)
        for name, value in zip(("acc", "nmi", "ari"), mean, strict=True):
            yield f"kmeans_{name}{features.suffix}", float(value)
        if self._runs > 1:
            yield f"kmeans_acc_std{features.suffix}", float(spread[0])


def clustering_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Share of samples in the class their cluster is matched to, under the best matching (ACC).

    Args:
      labels: integers [N] >= 0, the classes.
      clusters: integers [N] >= 0; their number may differ from that of the classes.
    """
    counts = np.zeros((clusters.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    matched = scipy.optimize.linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / len(labels))
