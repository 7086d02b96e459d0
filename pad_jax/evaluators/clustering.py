"""k-means into the true number of classes: the paper's evaluation protocol (2)."""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from pad_jax import progress
from pad_jax.data.preparation import FEATURES, PIXELS
from pad_jax.evaluators.base import EvaluationSettings, Evaluator, Features, Occasion
from pad_jax.settings import RESULTS, Settings, at_least, setting

# Of larger sets a random sample of so many rows is clustered; the samples themselves, pixels or
# features, are long, and slow to cluster.
_MAX_ROWS, _MAX_SAMPLES = 200_000, 10_000


@dataclasses.dataclass(frozen=True)
class ClusteringSettings:
    """k-means on the embedding."""

    SECTION: ClassVar[str] = "eval"

    kmeans_runs: int = setting(
        10, "runs at the end; 1 while training", at_least(1), affects=RESULTS
    )
    kmeans_inits: int = setting(
        3,
        "starts of a run, of which the tightest partition counts",
        at_least(1),
        affects=RESULTS,
    )


class Clustering(Evaluator):
    """k-means on the training images' features: ACC, NMI and ARI, their mean over several runs.

    A run is scikit-learn's KMeans with a seed of its own. With more than one run, "kmeans_acc_std"
    is ACC's standard deviation over them. "largest_class" is the share of the largest class: the
    ACC of one cluster that holds everything, below which ACC says nothing.
    """

    SETTINGS = (ClusteringSettings,)

    def __init__(self, settings: Settings, max_rows: int = _MAX_ROWS):
        self._settings = settings[ClusteringSettings]
        self._eval_settings = settings[EvaluationSettings]
        self._max_rows = max_rows

    def features(self, occasion: Occasion) -> Sequence[str]:
        return self._eval_settings.with_samples(("embedding",), occasion)

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        from sklearn.cluster import KMeans  # here, not at the top: most programs do without
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

        settings = self._settings
        rows, labels = features.train, features.train_labels
        if not features.suffix:  # a figure of the labels, the same whatever is clustered
            yield "largest_class", float(np.bincount(labels).max() / len(labels))
        max_rows = _MAX_SAMPLES if features.name in (PIXELS, FEATURES) else self._max_rows
        if len(rows) > max_rows:
            sample = np.random.default_rng(0).choice(len(rows), max_rows, replace=False)
            rows, labels = rows[sample], labels[sample]
        classes = len(np.unique(labels))
        runs = settings.kmeans_runs if features.final else 1
        scores = []
        for seed in progress.bar(range(runs), runs, f"k-means of {features.name}", unit="run"):
            kmeans = KMeans(classes, n_init=settings.kmeans_inits, random_state=seed)
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
        if runs > 1:
            yield f"kmeans_acc_std{features.suffix}", float(spread[0])


def clustering_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Share of samples in the class their cluster is matched to, under the best matching (ACC).

    Args:
      labels: integers [N] >= 0, the classes.
      clusters: integers [N] >= 0; their number may differ from that of the classes.
    """
    import scipy.optimize

    counts = np.zeros((clusters.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    matched = scipy.optimize.linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / len(labels))
