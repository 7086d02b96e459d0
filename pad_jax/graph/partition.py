"""One cluster for every row, of as many as stand apart in their affinity graph.

NumPy in, NumPy out; this module never touches a device.
"""

import numpy as np

from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import by_falling_size, smallest_index
from pad_jax.graph.kmeans import repeatable
from pad_jax.graph.rows import divided_by_length, sampled

_MAX_ROWS = 200_000  # that k-means sees


def partition(found: Discovery, features: np.ndarray | None) -> np.ndarray:
    """k-means that begins with the clusters of a graph, and takes their number.

    The clusters have only the rows that are surely of one; the first centres are the directions of
    their means. Of more than 200,000 rows a random sample moves the centres. The same on every run
    of a machine.

    Args:
      found: of N rows. Its clusters may be None, as where there is no graph.
      features: float32 [N, D], the unit rows that its graph is of; None where there is none.

    Returns:
      int32 [N], 0 .. K-1 by falling size, of two as large the one with the lower first row before
      the other; -1 everywhere where no clusters stand apart. Fewer than K where rows coincide.
    """
    clusters = found.clusters
    if clusters is None or features is None or not (clusters.stand_apart and clusters.count):
        return np.full(len(found.groups.group_id), -1, np.int32)
    from sklearn.cluster import KMeans  # here, not at the top: it takes a second to load

    means = [features[clusters.labels == c].mean(0) for c in range(clusters.count)]
    centers = divided_by_length(np.stack(means))
    sample = sampled(features, _MAX_ROWS, np.random.default_rng(0))
    kmeans = KMeans(clusters.count, init=centers, n_init=1, random_state=0)
    with repeatable():
        label = kmeans.fit(sample).predict(features)
    return by_falling_size(smallest_index(label), min_size=1).astype(np.int32)
