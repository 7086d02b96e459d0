"""DeepCluster's pseudo-labels, and the batches drawn evenly over them."""

import numpy as np
from sklearn.cluster import KMeans

from pad_jax.data.batches import epoch_plan, uniform_plan
from pad_jax.objectives import clusters


def blobs(rng, sizes, num_features=20):
    centers = 10 * rng.standard_normal((len(sizes), num_features))
    label = np.repeat(np.arange(len(sizes)), sizes)
    return (centers[label] + rng.standard_normal((len(label), num_features))).astype(np.float32)


def test_clusters_repeat_themselves_and_none_is_empty(rng):
    features = blobs(rng, [40, 5, 100, 55])
    groups = clusters.find_clusters(features, 30, seed=(0, 1))
    assert groups.group_id.dtype == np.int32
    np.testing.assert_array_equal(np.unique(groups.group_id), np.arange(30))
    np.testing.assert_array_equal(groups.hard_positive, np.arange(200))
    again = clusters.find_clusters(features, 30, seed=(0, 1))
    np.testing.assert_array_equal(again.group_id, groups.group_id)
    other = clusters.find_clusters(features, 30, seed=(0, 2))
    assert (other.group_id != groups.group_id).any()


def test_clusters_are_those_of_the_whitened_features(rng):
    """Two groups apart along a direction of little variance, and one dead unit."""
    side = rng.integers(0, 2, 400)
    wide = 100 * rng.standard_normal(400)
    features = np.stack([wide, 2 * side + 0.05 * rng.standard_normal(400), np.zeros(400)], axis=1)
    found = clusters.find_clusters(features.astype(np.float32), 8, seed=0).group_id
    for cluster in range(8):
        assert len(np.unique(side[found == cluster])) == 1
    one = clusters._whiten(features.astype(np.float32), 256, rng)
    assert one.shape == (400, 2)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-5)


def test_rows_that_coincide_leave_clusters_empty(rng):
    features = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    found = clusters.find_clusters(features, 4, seed=0).group_id
    assert len(np.unique(found)) == 3
    plan = uniform_plan(found, batch_size=5, seed=0, epoch=0)
    assert np.bincount(found[plan.ravel()])[np.unique(found)].tolist() == [5, 5, 5]


def test_only_a_sample_of_large_sets_is_fitted(rng, monkeypatch):
    features = blobs(rng, [50, 50, 50, 50])
    monkeypatch.setattr(clusters, "_MAX_PCA_ROWS", 60)
    monkeypatch.setattr(clusters, "_MAX_KMEANS_ROWS", 80)
    fit, fitted = KMeans.fit, []
    monkeypatch.setattr(KMeans, "fit", lambda self, x: (fitted.append(len(x)), fit(self, x))[1])
    groups = clusters.find_clusters(features, 6, seed=0)
    assert fitted == [80]
    assert groups.group_id.shape == (200,)


def test_every_cluster_comes_equally_often(rng):
    group_id = rng.permutation(np.repeat([0, 1, 4, 7], [1, 9, 50, 240]))
    plan = uniform_plan(group_id, batch_size=40, seed=1, epoch=2)
    assert plan.shape == (7, 40) == epoch_plan(300, 40, 1, 2).shape
    assert plan.dtype == np.int32
    assert np.bincount(group_id[plan.ravel()])[[0, 1, 4, 7]].tolist() == [70, 70, 70, 70]
    rows, counts = np.unique(plan, return_counts=True)
    for group, least, most in ((0, 70, 70), (1, 7, 8), (4, 1, 2), (7, 1, 1)):
        seen = counts[group_id[rows] == group]
        assert (seen.min(), seen.max()) == (least, most)
    np.testing.assert_array_equal(plan, uniform_plan(group_id, 40, 1, 2))
    assert (plan != uniform_plan(group_id, 40, 1, 3)).any()
