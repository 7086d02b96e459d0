"""The kinds of images that stand apart in an affinity graph: figures, and a sentence on them."""

from collections.abc import Mapping

import numpy as np

from pad_jax.evaluators.clustering import clustering_accuracy
from pad_jax.graph.clusters import Clusters

_COUNT, _COVERAGE = "eval/clusters", "eval/clusters_coverage"


def figures(clusters: Clusters | None) -> dict[str, float]:
    """How many kinds of images stand apart, and the share of images that are surely of one.

    Both are 0 where none do; nothing is said where there is no graph.
    """
    if clusters is None:
        return {}
    if not clusters.stand_apart:
        return {_COUNT: 0.0, _COVERAGE: 0.0}
    return {_COUNT: float(clusters.count), _COVERAGE: clusters.coverage}


def agreement(cluster: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The share of images in the class that their cluster is matched to (ACC).

    Args:
      cluster: int [N], as ``graph.partition`` gives it: -1 everywhere where there is none.
      labels: int64 [N], -1 where the class is not known; such images do not count.

    Returns:
      The figure; nothing without clusters or without labels.
    """
    known = (labels >= 0) & (cluster >= 0)
    if not known.any():
        return {}
    classes = np.unique(labels[known], return_inverse=True)[1]
    return {f"{_COUNT}_acc": clustering_accuracy(classes, cluster[known])}


def sentence(row: Mapping) -> str:
    """What ``figures`` say, among other metrics or alone, in plain words; "" where they are not."""
    if _COUNT not in row:
        return ""
    if not row[_COUNT]:
        return "No kinds of images stand apart; the small groups are what there is to look at."
    return (
        f"About {row[_COUNT]:,.0f} kinds of images stand apart; {100 * row[_COVERAGE]:.0f} % of "
        "the images are surely of one of them."
    )
