"""Evaluators against naive loops and brute force."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pad_jax.evaluators import knn, linear
from pad_jax.evaluators.base import labelled
from pad_jax.evaluators.clustering import Clustering, ClusteringSettings, clustering_accuracy
from pad_jax.evaluators.knn import Knn, KnnSettings
from pad_jax.evaluators.linear import LinearProbe
from pad_jax.graph import search
from pad_jax.settings import Settings


def knn_of(neighbors):
    return Knn(Settings(KnnSettings(knn_neighbors=neighbors)))


def clustering(**fields):
    return Clustering(Settings(ClusteringSettings(**fields)))


def probe(**options):
    return LinearProbe(Settings(), **options)


def naive_knn(train, labels, queries, k, temperature, own=None):
    def unit(x):
        return x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True)

    similarity = unit(queries) @ unit(train).T
    predicted = []
    for i, row in enumerate(similarity):
        if own is not None:
            row[i] = -np.inf
        scores = np.zeros(labels.max() + 1)
        for j in np.argsort(-row, kind="stable")[:k]:
            scores[labels[j]] += np.exp(row[j] / temperature)
        predicted.append(scores.argmax())
    return np.array(predicted)


@pytest.fixture
def blobs(rng):
    """Four overlapping classes."""
    labels = rng.integers(0, 4, 500).astype(np.int32)
    return rng.standard_normal((500, 10)).astype(np.float32) + np.eye(4, 10)[labels] * 2, labels


@pytest.mark.parametrize("k", [1, 7, 200, 10_000])
@pytest.mark.parametrize("block", [200, 10**9])
def test_knn_equals_a_naive_loop(blobs, monkeypatch, k, block):
    monkeypatch.setattr(search, "_BLOCK", block * 300)
    x, y = blobs[0].astype(np.float32), blobs[1]
    ours = knn.predict(x[:300], y[:300], x[300:], k, 0.1)
    np.testing.assert_array_equal(ours, naive_knn(x[:300], y[:300], x[300:], k, 0.1))


def test_leave_one_out(blobs):
    x, y = blobs
    ours = knn.predict(x, y, x, 5, 0.1, leave_one_out=True)
    np.testing.assert_array_equal(ours, naive_knn(x, y, x, 5, 0.1, own=True))
    run = dict(knn_of(5).run(labelled("embedding", x, y)))
    assert run["knn_accuracy"] == pytest.approx(np.mean(ours == y))


@pytest.mark.parametrize("rows", [12, 300])  # of the first 20 votes are all there are
def test_few_neighbours_are_reported_beside_many(blobs, rows):
    x, y = blobs
    figures = dict(knn_of(200).run(labelled("fc", x[:rows], y[:rows], x[300:], y[300:])))
    expected = {
        name: np.mean(naive_knn(x[:rows], y[:rows], x[300:], k, 0.1) == y[300:])
        for name, k in (
            ("knn_accuracy_fc", 200),
            ("knn_accuracy_at_1_fc", 1),
            ("knn_accuracy_at_20_fc", 20),
        )
    }
    assert figures == pytest.approx(expected)
    assert len(set(expected.values())) == (3 if rows == 300 else 2)


@pytest.mark.parametrize("own", [1, 20, 5])
def test_the_numbers_of_neighbours_may_be_equal_and_in_any_order(blobs, own):
    x, y = blobs
    figures = dict(knn_of(own).run(labelled("embedding", x, y)))
    for name, k in (("knn_accuracy", own), ("knn_accuracy_at_1", 1), ("knn_accuracy_at_20", 20)):
        expected = np.mean(naive_knn(x, y, x, k, 0.1, own=True) == y)
        assert figures[name] == pytest.approx(expected)


def test_shuffled_labels_give_chance(blobs, rng):
    x, y = blobs
    features = labelled("fc", x[:300], rng.permutation(y[:300]), x[300:], rng.permutation(y[300:]))
    assert dict(knn_of(20).run(features))["knn_accuracy_fc"] < 0.4
    assert dict(clustering().run(features))["kmeans_ari_fc"] < 0.05
    assert dict(probe().run(features))["linear_accuracy_fc"] < 0.4


def test_rows_without_a_label_are_left_out(blobs):
    x, y = blobs
    unknown = np.where(np.arange(500) % 2, y, -1)
    features = labelled("embedding", x, unknown, x, unknown)
    assert len(features.train) == len(features.test) == 250
    assert (features.train_labels >= 0).all()
    with pytest.raises(ValueError, match="not one"):
        labelled("embedding", x, np.full(500, -1))


def test_class_numbers_may_be_anything(blobs):
    x, y = blobs
    odd = np.array([7, 10**9, 3, 12])[y]
    for evaluator in (knn_of(5), clustering()):
        plain, renamed = (
            dict(evaluator.run(labelled("embedding", x[:300], v[:300], x[300:], v[300:])))
            for v in (y, odd)
        )
        assert renamed == pytest.approx(plain)


@pytest.mark.parametrize("clusters", [2, 4, 6])
def test_clustering_accuracy_equals_brute_force(rng, clusters):
    labels, found = rng.integers(0, 4, 60), rng.integers(0, clusters, 60)
    size = max(4, clusters)
    best = max(
        np.mean(np.array(names)[found] == labels) for names in itertools.permutations(range(size))
    )
    assert clustering_accuracy(labels, found) == pytest.approx(best)


def test_clustering_of_separate_blobs(rng):
    labels = np.repeat(np.arange(3), 50)
    x = np.eye(3, 8)[labels] + 0.05 * rng.standard_normal((150, 8))
    values = dict(
        clustering(kmeans_runs=3).run(labelled("embedding", x.astype(np.float32), labels))
    )
    assert values == {
        "kmeans_acc": 1.0,
        "kmeans_nmi": pytest.approx(1.0),
        "kmeans_ari": 1.0,
        "kmeans_acc_std": 0.0,
        "largest_class": pytest.approx(1 / 3),
    }


def test_the_largest_class_is_what_one_cluster_of_everything_would_score(rng):
    labels = rng.permutation(np.repeat([0, 3, 4], [20, 50, 30]))
    x = rng.standard_normal((100, 4)).astype(np.float32)
    figures = dict(clustering().run(labelled("embedding", x, labels)))
    everything = clustering_accuracy(labels, np.zeros(100, np.int64))
    assert figures["largest_class"] == everything == 0.5
    assert "largest_class" not in dict(clustering().run(labelled("pixels", x, labels)))
    few_rows = Clustering(Settings(), max_rows=10)  # those that are clustered; not the classes
    assert dict(few_rows.run(labelled("embedding", x, labels)))["largest_class"] == 0.5


def test_more_inits_spare_clustering_bad_minima():
    images, labels = load_digits(return_X_y=True)
    features = labelled("embedding", images.astype(np.float32), labels)
    one, many = (
        dict(clustering(kmeans_runs=5, kmeans_inits=inits).run(features)) for inits in (1, 10)
    )
    assert many["kmeans_acc_std"] < 0.01 < one["kmeans_acc_std"]
    assert many["kmeans_acc"] > one["kmeans_acc"]


def test_clustering_survives_fewer_distinct_rows_than_classes():
    x, labels = np.ones((10, 2), np.float32), np.arange(10) % 3
    assert 0 < dict(clustering().run(labelled("embedding", x, labels)))["kmeans_acc"] <= 0.5


@pytest.fixture(params=["digits", "blobs"])
def small_set(request):
    if request.param == "blobs":
        return request.getfixturevalue("blobs")
    images, labels = load_digits(return_X_y=True)
    return images.astype(np.float32), labels


@pytest.mark.parametrize("scale", [1, 1e-3])
def test_probe_equals_logistic_regression(small_set, scale):
    x, y = small_set
    half = len(x) // 2
    figures = probe().run(
        labelled("embedding", x[:half] * scale, y[:half], x[half:] * scale, y[half:])
    )
    standard = StandardScaler().fit(x[:half])
    oracle = LogisticRegression(max_iter=5000).fit(standard.transform(x[:half]), y[:half])
    expected = oracle.score(standard.transform(x[half:]), y[half:])
    assert dict(figures)["linear_accuracy"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("block", [1, 1000, 2**24])
def test_moments_of_all_rows(rng, block, monkeypatch):
    monkeypatch.setattr(linear, "_BLOCK", block)
    rows = (100 + rng.standard_normal((301, 7))).astype(np.float32)
    mean, deviation = linear._moments(rows)
    np.testing.assert_allclose(mean, rows.astype(np.float64).mean(0), rtol=1e-6)
    np.testing.assert_allclose(deviation, rows.astype(np.float64).std(0), rtol=1e-6)


def test_probe_never_sees_the_test_labels(blobs):
    """Its layers and its learning rate: another test label only moves the figure by one row."""
    x, y = blobs
    other = y[300:].copy()
    other[0] = (other[0] + 1) % 4
    scores = [
        dict(probe(epochs=3).run(labelled("fc", x[:300], y[:300], x[300:], test_labels)))
        for test_labels in (y[300:], other)
    ]
    assert abs(scores[0]["linear_accuracy_fc"] - scores[1]["linear_accuracy_fc"]) == (
        pytest.approx(1 / 200)
    )


def test_probe_without_test_images_or_with_few_rows(blobs):
    x, y = blobs
    assert dict(probe().run(labelled("embedding", x, y))) == {}
    few = labelled("embedding", x[:2], np.array([0, 1]), x[2:4], np.array([0, 1]))
    assert 0 <= dict(probe(epochs=2).run(few))["linear_accuracy"] <= 1
