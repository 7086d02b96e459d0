"""Groups of samples, as an epoch learns them, and the hard positive of each sample.

NumPy in, NumPy out; this module never touches a device.
"""

from typing import NamedTuple

import numpy as np


class Groups(NamedTuple):
    """The groups of one epoch.

    Attributes:
      group_id: int32 [N], the smallest index in each sample's group; singletons have their own, or
        -1 where they are no classes (``without_singletons``).
      hard_positive: int32 [N], the member of the group least similar to the sample; singletons have
        themselves.
      members: int32 [N, m] or None. Where the groups are no partition (kinds "neighbors" and
        "anchor_neighbors"), the rows of C(i) for each i, filled up with -1, and ``group_id`` is
        every sample's own index.
    """

    group_id: np.ndarray
    hard_positive: np.ndarray
    members: np.ndarray | None = None


class TemperedGroups(NamedTuple):
    """Groups that bring the temperature of their loss along, where the settings leave it to them.

    A type of its own, so that the state of other runs has the fields that it always had: their
    checkpoints hold these.

    Attributes:
      group_id, hard_positive, members: of ``Groups``.
      temperature: float32 [N], tau of each sample.
    """

    group_id: np.ndarray
    hard_positive: np.ndarray
    members: np.ndarray | None
    temperature: np.ndarray


def clusters_of_groups(cluster: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The cluster that most members of each group are in, where groups lie across clusters.

    Args:
      cluster: int [M], 0 .. K-1, -1 for none.
      group: int [M], 0 .. G-1; every group has members.

    Returns:
      int64 [G], -1 for none. Of equally many a cluster comes before none, and the lower number
      first: the larger one, where they are numbered by falling size.
    """
    none = int(cluster.max(initial=-1)) + 1  # comes last
    numbers = np.where(cluster < 0, none, cluster).astype(np.int64)
    pairs = group.astype(np.int64) * (none + 1) + numbers
    pairs, votes = np.unique(pairs, return_counts=True)
    owner, numbers = np.divmod(pairs, none + 1)
    order = np.lexsort((numbers, -votes, owner))
    _, first = np.unique(owner[order], return_index=True)
    most = numbers[order][first]
    return np.where(most == none, -1, most)


def similarities_to_means(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cosine of each row with the mean of its group.

    Args:
      rows: float32 [N, D], unit rows.
      labels: int [N], 0 .. G-1, or -1 for none.

    Returns:
      float32 [N], 0 for rows in no group.
    """
    import scipy.sparse  # here, not at the top: training does without

    grouped = np.flatnonzero(labels >= 0)
    result = np.zeros(len(rows), np.float32)
    if len(grouped):
        group, rows = labels[grouped], rows[grouped]
        ones = np.ones(len(grouped), np.float32)
        sums = scipy.sparse.csr_matrix((ones, (group, np.arange(len(grouped))))) @ rows
        length = np.maximum(np.linalg.norm(sums, axis=1), 1e-12)
        # Every row's sum side by side would be as large as the rows; each is a member of one.
        inner = np.empty(len(grouped), np.float32)
        for i in range(0, len(grouped), 2**16):
            part = slice(i, i + 2**16)
            inner[part] = np.einsum("nd,nd->n", rows[part], sums[group[part]])
        result[grouped] = inner / length[group]
    return result


def singletons(num_samples: int) -> Groups:
    """Every sample a group of its own: instance discrimination."""
    own = np.arange(num_samples, dtype=np.int32)
    return Groups(own, own)


def without_singletons(groups: Groups) -> Groups:
    """The same groups, with -1 for the ``group_id`` of singletons: these are no classes."""
    own = np.arange(len(groups.group_id))
    alone = groups.hard_positive == own
    return groups._replace(group_id=np.where(alone, np.int32(-1), groups.group_id))


def hard_positives(group_id: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The least similar other member of each sample's group (before Eq 4).

    Args:
      group_id: int [N], equal for the members of a group, -1 for samples in none.
      features: float32 [N, D], unit rows.

    Returns:
      int32 [N]; ties go to the lower index, singletons and samples in no group have their own.

    Raises:
      ValueError: for so many features of another number of samples.
    """
    group_id, features = np.asarray(group_id), np.asarray(features)
    if len(group_id) != len(features):
        raise ValueError(f"there are {len(features)} rows of features for {len(group_id)} samples")
    if group_id.min(initial=0) < 0:
        group_id = from_labels(group_id)
    if features.dtype.kind != "f":
        features = features.astype(np.float32)
    hard = np.arange(len(group_id), dtype=np.int32)
    order = np.argsort(group_id, kind="stable").astype(np.int32)
    _, start, size = np.unique(group_id[order], return_index=True, return_counts=True)
    for m in np.unique(size[size > 1]):
        # Groups of one size together, as many at a time as keep the similarities within 64 MB.
        members = order[start[size == m][:, None] + np.arange(m)]
        at_once = max(1, 2**24 // (m * max(m, features.shape[1])))
        for i in range(0, len(members), at_once):
            block = members[i : i + at_once]
            hard[block] = _hardest(block, features)
    return hard


def _hardest(members: np.ndarray, features: np.ndarray) -> np.ndarray:
    """For groups int32 [G, m], the least similar other member of each member, int32 [G, m]."""
    rows = features[members]
    at_once = max(1, 2**24 // members.size)  # rows of a group whose similarities are held at a time
    farthest = []
    for i in range(0, members.shape[1], at_once):
        similarity = rows[:, i : i + at_once] @ rows.transpose(0, 2, 1)
        own = np.arange(similarity.shape[1])
        similarity[:, own, i + own] = np.inf
        farthest.append(similarity.argmin(2))
    return np.take_along_axis(members, np.concatenate(farthest, axis=1), axis=1)


def smallest_index(label: np.ndarray) -> np.ndarray:
    """Renames groups by whatever labels, [N], to the smallest index in each, int32 [N]."""
    _, first, group = np.unique(label, return_index=True, return_inverse=True)
    return first.astype(np.int32)[group]


def by_falling_size(group_id: np.ndarray, min_size: int = 2) -> np.ndarray:
    """Groups numbered from the largest on.

    Args:
      group_id: int [N], the smallest index in each row's group; singletons have their own.
      min_size: rows of a group that counts.

    Returns:
      int64 [N]: 0 .. G-1 by falling size, of two as large the one with the lower first row before
      the other; -1 for rows in no group that counts.
    """
    _, group, size = np.unique(group_id, return_inverse=True, return_counts=True)
    real = size >= min_size
    label = np.full(len(size), -1)
    label[np.argsort(-size, kind="stable")[: real.sum()]] = np.arange(real.sum())
    return label[group]


def from_labels(labels: np.ndarray) -> np.ndarray:
    """Groups by whatever numbers, int [N], -1 for rows in none, as ``group_id``, int32 [N]."""
    alone = labels.max(initial=-1) + 1 + np.arange(len(labels))
    return smallest_index(np.where(labels < 0, alone, labels))
