"""What the groups of an epoch look like (Fig 4). Labels are read here, never by training."""

import numpy as np

from pad_jax.subgraphs import Groups


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
    if groups.members is None:
        _, group, size = np.unique(groups.group_id, return_inverse=True, return_counts=True)
        sample = np.arange(n)
    else:
        sample, group = groups.members.ravel(), np.arange(n).repeat(groups.members.shape[1])
        sample, group = sample[sample >= 0], group[sample >= 0]
        size = np.bincount(group, minlength=n)
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


def size_histogram(groups: Groups) -> list[list[int]]:
    """[size, number of groups of that size] for every size of two or more that occurs."""
    if groups.members is None:
        _, size = np.unique(groups.group_id, return_counts=True)
    else:
        size = np.sum(groups.members >= 0, axis=1)
    pairs = zip(*np.unique(size[size > 1], return_counts=True), strict=True)
    return [[int(value), int(count)] for value, count in pairs]


def _agreement(group: np.ndarray, label: np.ndarray) -> dict[str, float]:
    known = label >= 0
    group, label = group[known], label[known].astype(np.int64)
    # The number of members of each (group, class) that occurs, and the group it belongs to.
    pairs, members = np.unique(group * (label.max() + 1) + label, return_counts=True)
    owner = pairs // (label.max() + 1)
    size, majority = np.bincount(owner, members).astype(np.int64), np.zeros(owner.max() + 1)
    np.maximum.at(majority, owner, members)
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
