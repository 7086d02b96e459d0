"""What the groups of an epoch (Fig 4), and its affinity graph, look like.

Labels are read here, never by training.
"""

import numpy as np

from pad_jax.graph.clusters import Clusters
from pad_jax.graph.groups import Groups
from pad_jax.graph.rows import divided_by_length, sampled
from pad_jax.graph.search import Graph

_CURVE_POINTS = 20
_ROWS = 10_000  # whose edges are looked at, of more a random sample that is always the same
_ROUNDING = 1e-5  # of the numbers of a unit row


def group_statistics(groups: Groups, labels: np.ndarray) -> dict[str, float]:
    """Count, size and coverage of the groups; with labels, how well they agree with them.

    Args:
      groups: of N samples.
      labels: int64 [N], -1 where the class is not known.

    Returns:
      "count": number of groups of two or more; "mean_size": of these (0 when there is none);
      "max_size"; "coverage": share of samples in one. Where labels exist, over the labelled members
      of groups with at least two of them: "purity", the share of samples in their group's majority
      class (it flatters small groups), and "pair_precision", the share of within-group pairs that
      are of one class; both 0 when there is no such group.
    """
    n = len(groups.group_id)
    sample, group, size = membership(groups)
    real = size > 1
    statistics = {
        "count": float(real.sum()),
        "mean_size": float(size[real].mean()) if real.any() else 0.0,
        "max_size": float(size.max()) if real.any() else 0.0,
        "coverage": len(np.unique(sample[real[group]])) / n,
    }
    if (labels >= 0).any():
        statistics |= _agreement(group, labels[sample])
    return statistics


def membership(groups: Groups) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which samples are in which group, singletons included.

    Returns:
      (sample int [M], group int [M], size int [G]): each pair says that ``sample`` is a member of
      ``group``, numbered from 0; M is N where the groups are a partition.
    """
    n = len(groups.group_id)
    if groups.members is None:
        _, group, size = np.unique(groups.group_id, return_inverse=True, return_counts=True)
        return np.arange(n), group, size
    sample, group = groups.members.ravel(), np.arange(n).repeat(groups.members.shape[1])
    group, sample = group[sample >= 0], sample[sample >= 0]
    return sample, group, np.bincount(group, minlength=n)


def size_histogram(groups: Groups) -> list[list[int]]:
    """[size, number of groups of that size] for every size of two or more that occurs."""
    _, _, size = membership(groups)
    pairs = zip(*np.unique(size[size > 1], return_counts=True), strict=True)
    return [[int(value), int(count)] for value, count in pairs]


def purity_by_group(group: np.ndarray, label: np.ndarray, num_groups: int) -> np.ndarray:
    """Share of each group's majority class among its labelled members, float64 [num_groups].

    Args:
      group, label: int [M], the group and the class of each member, -1 where it is not known.
      num_groups: how many groups there are; those without two labelled members have NaN.
    """
    purity = np.full(num_groups, np.nan)
    if (label >= 0).any():
        _, _, size, majority = _count_classes(group, label)
        counted = np.flatnonzero(size > 1)
        purity[counted] = majority[counted] / size[counted]
    return purity


def _count_classes(group, label):
    """Counts labelled members: of each (group, class) that occurs, with its group, and by group."""
    known = label >= 0
    # Classes become 0 .. C-1: their own numbers may be as large as numbers are.
    classes, label = np.unique(label[known], return_inverse=True)
    pairs = group[known].astype(np.int64) * len(classes) + label
    pairs, members = np.unique(pairs, return_counts=True)
    owner = pairs // len(classes)
    size, majority = np.bincount(owner, members).astype(np.int64), np.zeros(owner.max() + 1)
    np.maximum.at(majority, owner, members)
    return members, owner, size, majority


def _agreement(group: np.ndarray, label: np.ndarray) -> dict[str, float]:
    members, owner, size, majority = _count_classes(group, label)
    counted = size > 1
    same = np.bincount(owner, members * (members - 1.0))[counted].sum()
    all_pairs = (size * (size - 1.0))[counted].sum()
    if not counted.any():
        return {"purity": 0.0, "pair_precision": 0.0}
    return {
        "purity": float(majority[counted].sum() / size[counted].sum()),
        "pair_precision": float(same / all_pairs),
    }


def neighbor_precision(neighbors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Share of the nearest, and of all k, neighbours that have the sample's own class.

    Args:
      neighbors: int32 [N, k], nearest first.
      labels: int64 [N], -1 where the class is not known; such samples and neighbours do not count.

    Returns:
      {"precision_at_1", "precision_at_<k>"}, empty without labels.
    """
    known = (labels[:, None] >= 0) & (labels[neighbors] >= 0)
    if not known.any():
        return {}
    same = known & (labels[:, None] == labels[neighbors])
    return {
        f"precision_at_{k}": float(same[:, :k].sum() / max(known[:, :k].sum(), 1))
        for k in sorted({1, neighbors.shape[1]})
    }


def graph_statistics(clusters: Clusters) -> dict[str, float | list]:
    """What stands apart in an affinity graph, and how far; no labels are read.

    Returns:
      "graph/peak_share": share of the edges at which the modularity of the strong components is
      highest; "graph/peak_modularity"; "graph/separation", 0 to 1: from ``clusters.APART`` on the
      clusters stand apart; "graph/components", their number; "graph/components_coverage", share of
      the samples in one; "graph/modularity": [share of the edges, modularity] at 20 equally
      spaced shares, the last of them 1.
    """
    shares = np.arange(1, _CURVE_POINTS + 1) / _CURVE_POINTS
    return {
        "graph/peak_share": clusters.levels.peak.edge_share,
        "graph/peak_modularity": clusters.levels.peak.modularity,
        "graph/separation": clusters.separation,
        "graph/components": float(clusters.count),
        "graph/components_coverage": clusters.coverage,
        "graph/modularity": np.stack([shares, clusters.levels.at(shares)], axis=1).tolist(),
    }


def mean_similarity(features: np.ndarray) -> float:
    """The mean cosine of two rows, over all pairs: 1 if all are alike.

    Args:
      features: float32 [N, F], of any length; of a single one it is 0. Rows of zeros have no
        direction that tells them from others: they count as similar to all.
    """
    rows = features.astype(np.float64)
    n, apart = len(rows), rows[rows.any(1)]
    if n < 2:
        return 0.0
    total = divided_by_length(apart).sum(0)
    pairs, pairs_apart = n * (n - 1), len(apart) * (len(apart) - 1)
    return float((total @ total - len(apart) + pairs - pairs_apart) / pairs)


def copied_edges(features: np.ndarray, graph: Graph) -> float:
    """The share of a graph's edges that join rows which are the same, up to rounding.

    Args:
      features: float32 [N, D], unit rows.
      graph: theirs, [N, k]; of more than 10,000 rows a sample's edges are looked at.
    """
    own = sampled(np.arange(len(features)), _ROWS, np.random.default_rng(0))
    # Cosines are rounded to about 1e-7: they tell which rows to look at, and no more.
    near = graph.similarities[own] >= 1 - 1e-6
    row, place = np.nonzero(near)
    row = own[row]
    difference = np.abs(features[row] - features[graph.indices[row, place]]).max(1, initial=0.0)
    return float((difference <= _ROUNDING).sum() / near.size)
