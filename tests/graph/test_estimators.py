"""The clusterers: what they find, what scikit-learn asks of them, what they refuse."""

import pickle
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

import pad_jax
from pad_jax.graph.groups import by_falling_size
from pad_jax.graph.modularity import clusters
from pad_jax.graph.rows import unit_rows
from pad_jax.graph.subgraphs import strongest_edges, strongly_connected_subgraphs
from pad_jax.graph.trust import trusted_edges, trusted_size

# What is expected of every clusterer, and not of one by cosines.
NOT_FOR_COSINES = {
    "check_estimators_dtypes": "one of its rows of integers is all zeros, which has no cosine",
}


def expected_to_fail(estimator):
    return NOT_FOR_COSINES


@parametrize_with_checks(
    [pad_jax.AffinityGroups(), pad_jax.AffinityHierarchy(n_neighbors=5)],
    expected_failed_checks=expected_to_fail,
)
def test_scikit_learn_s_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few rows, and of the checks themselves
        check(estimator)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def fitted(digits):
    return pad_jax.AffinityGroups().fit(digits.data)


@pytest.fixture(scope="module")
def graph(digits):
    """A graph of more neighbours than either clusterer takes."""
    return pad_jax.nearest_neighbors(digits.data, 12)


def naive_similarities(rows, labels):
    rows = rows.astype(np.float64) / np.linalg.norm(rows, axis=1, keepdims=True)
    result = np.zeros(len(rows))
    for i, label in enumerate(labels):
        if label >= 0:
            mean = rows[labels == label].mean(0)
            result[i] = rows[i] @ mean / np.linalg.norm(mean)
    return result


def test_digits(digits, fitted):
    """The pixels of 1,797 digits: nearly all of them in groups that hardly ever mix."""
    grouped = fitted.labels_ >= 0
    assert grouped.mean() > 0.84
    right = sum(
        np.bincount(digits.target[fitted.labels_ == g]).max()
        for g in range(fitted.labels_.max() + 1)
    )
    assert right / grouped.sum() > 0.995


@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize(("max_size", "cyclic"), [(10, True), (4, False), (None, True)])
def test_the_groups_are_those_of_the_search(digits, graph, share, max_size, cyclic):
    edges = strongest_edges(graph.indices[:, :5], graph.similarities[:, :5], share)
    expected = strongly_connected_subgraphs(edges, max_size, cyclic=cyclic, seed=3)
    groups = pad_jax.AffinityGroups(5, max_size, share, cyclic, random_state=3)
    labels = groups.fit_predict(digits.data)
    single = np.bincount(expected, minlength=len(labels))[expected] == 1
    np.testing.assert_array_equal(labels < 0, single)
    together = expected[~single][:, None] == expected[~single]
    np.testing.assert_array_equal(labels[~single][:, None] == labels[~single], together)


def test_labels_fall_in_size_and_the_lower_first_row_is_first(fitted):
    labels = fitted.labels_
    size = np.bincount(labels[labels >= 0])
    assert size.min() >= 2
    first = [np.flatnonzero(labels == g)[0] for g in range(len(size))]
    assert sorted(range(len(size)), key=lambda g: (-size[g], first[g])) == list(range(len(size)))


def test_similarities_to_the_group_s_mean(digits, fitted):
    expected = naive_similarities(digits.data, fitted.labels_)
    assert fitted.similarities_.dtype == np.float32
    np.testing.assert_allclose(fitted.similarities_, expected, atol=1e-6)
    assert (fitted.similarities_[fitted.labels_ < 0] == 0).all()


def test_predict_and_assign_are_one_rule(digits, fitted, rng):
    queries = digits.data[:200] + rng.normal(0, 3, (200, 64))
    labels, similarities = fitted.assign(queries)
    np.testing.assert_array_equal(fitted.predict(queries), labels)
    grouped = np.flatnonzero(fitted.labels_ >= 0)
    nearest = pad_jax.search(queries, digits.data[grouped], 1)
    np.testing.assert_array_equal(labels, fitted.labels_[grouped[nearest.indices[:, 0]]])
    np.testing.assert_array_equal(similarities, nearest.similarities[:, 0])
    assert labels.min() >= 0


def test_rows_in_a_group_are_assigned_to_it(digits, fitted):
    grouped = fitted.labels_ >= 0
    np.testing.assert_array_equal(fitted.predict(digits.data[grouped]), fitted.labels_[grouped])


def test_a_graph_that_exists_is_taken(digits, fitted, graph):
    for given in (graph, (graph.indices.astype(np.int64), graph.similarities.astype(np.float64))):
        again = clone(fitted).fit(digits.data, precomputed_knn=given)
        np.testing.assert_array_equal(again.labels_, fitted.labels_)
    wrong = graph._replace(indices=np.roll(graph.indices, 100, axis=0))
    other = clone(fitted).fit_predict(digits.data, precomputed_knn=wrong)
    assert (other != fitted.labels_).any()  # it is the graph given that decides


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, s: i, "must be a pair"),
        (lambda i, s: (i[:, 0], s[:, 0]), "its arrays are"),
        (lambda i, s: (i, s[:, :4]), "its arrays are"),
        (lambda i, s: (i[:-1], s[:-1]), r"both must be \[30, k\]"),
        (lambda i, s: (i[:, :4], s[:, :4]), "4 neighbours a row, fewer than n_neighbors=5"),
        (lambda i, s: (i.astype(float), s), "integers in 0..29"),
        (lambda i, s: (np.where(i == 3, -1, i), s), "integers in 0..29"),
        (lambda i, s: (np.where(i == 3, 30, i), s), "integers in 0..29"),
        (lambda i, s: (np.c_[np.arange(30), i], np.c_[np.ones(30), s]), "leave the first column"),
        (lambda i, s: (i, s + np.float32(2)), "cosines, in -1..1"),
        (lambda i, s: (i, np.where(s == s[3, 3], np.nan, s)), "cosines, in -1..1"),
        (lambda i, s: (i, 1 - s), "must fall along each row"),
    ],
)
def test_graphs_that_are_none_of_these_rows(unit_rows, change, message):
    rows = unit_rows(30, 3)
    graph = change(*pad_jax.nearest_neighbors(rows, 6))
    with pytest.raises(ValueError, match=message):
        pad_jax.AffinityGroups().fit(rows, precomputed_knn=graph)


def test_more_neighbors_than_rows(unit_rows):
    rows = unit_rows(5, 3)
    with pytest.warns(UserWarning, match="n_neighbors=5 is more than the other rows; 4 are taken"):
        groups = pad_jax.AffinityGroups().fit(rows)
    assert groups.n_neighbors_ == 4
    assert set(groups.labels_) == {0}


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8", "int32", "bfloat16"])
def test_rows_of_any_dtype(digits, fitted, dtype):
    rows = digits.data[:300]
    expected = clone(fitted).fit_predict(rows)
    rows = jnp.asarray(rows, jnp.bfloat16) if dtype == "bfloat16" else rows.astype(dtype)
    groups = clone(fitted).fit(rows)
    np.testing.assert_array_equal(groups.labels_, expected)
    assert groups.predict(rows).min() >= 0


def test_the_seed_is_of_the_order_of_the_search(digits, graph):
    def labels(state):
        groups = pad_jax.AffinityGroups(random_state=state)
        return groups.fit_predict(digits.data, precomputed_knn=graph)

    np.testing.assert_array_equal(labels(1), labels(np.int64(1)))
    assert (labels(1) != labels(2)).any()
    state = np.random.RandomState
    np.testing.assert_array_equal(labels(state(1)), labels(state(1)))


@pytest.mark.parametrize(
    "bad",
    [
        {"n_neighbors": 0},
        {"n_neighbors": 2.5},
        {"max_size": 1},
        {"edge_share": 0},
        {"edge_share": 1.1},
        {"edge_share": "all"},
        {"cyclic": "no"},
        {"cyclic": None},
    ],
)
def test_bad_parameters(unit_rows, bad):
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} is not possible; use"):
        pad_jax.AffinityGroups(**bad).fit(unit_rows(20, 3))


@pytest.mark.parametrize(("value", "message"), [(0, "row 7 is all zeros"), (np.nan, "NaN")])
def test_rows_without_a_direction(unit_rows, value, message):
    rows = unit_rows(20, 3)
    rows[7] = value
    with pytest.raises(ValueError, match=message):
        pad_jax.AffinityGroups().fit(rows)


@pytest.mark.parametrize("estimator", [pad_jax.AffinityGroups, pad_jax.AffinityHierarchy])
def test_a_fit_that_fails_leaves_the_one_before(digits, estimator):
    before, other = digits.data[:100], digits.data[100:250]
    fitted = estimator(n_neighbors=5).fit(before)
    expected = fitted.predict(before)
    with pytest.raises(ValueError, match="precomputed_knn"):
        fitted.fit(other, precomputed_knn=(np.zeros((150, 5)), np.zeros((150, 5))))
    np.testing.assert_array_equal(fitted.predict(before), expected)


def test_a_fitted_one_is_pickled(digits, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(digits.data[:50]), fitted.predict(digits.data[:50]))


@pytest.fixture(scope="module")
def hierarchy(digits):
    return pad_jax.AffinityHierarchy().fit(digits.data)


def test_clusters_of_digits(digits, hierarchy):
    """Most of the pixels of 1,797 digits in clusters of nearly one digit, large ones first."""
    labels = hierarchy.labels_
    size = np.bincount(labels[labels >= 0])
    assert len(size) == hierarchy.n_clusters_ == len(hierarchy.clusters_)
    assert 8 <= len(size) <= 13
    assert size.tolist() == sorted(size, reverse=True)
    assert size.min() >= 43  # the square root of the rows
    assert size.sum() > 0.8 * len(labels)
    of_the_majority = sum(np.bincount(digits.target[labels == c]).max() for c in range(len(size)))
    assert of_the_majority > 0.94 * size.sum()
    tree = hierarchy.tree_
    assert tree.size[hierarchy.clusters_ - len(labels)].tolist() == size.tolist()


def test_groups_lie_inside_clusters(hierarchy, fitted):
    for group in range(hierarchy.groups_.max() + 1):
        members = hierarchy.labels_[hierarchy.groups_ == group]
        assert 2 <= len(members) <= 10
        assert (members == members[0]).all()
    # As many rows as without the clusters, or nearly.
    grouped = (hierarchy.groups_ >= 0).mean()
    assert grouped > 0.95 * (fitted.labels_ >= 0).mean()
    # Found by AffinityGroups itself they need not lie inside.
    of_group = [hierarchy.labels_[fitted.labels_ == g] for g in range(fitted.labels_.max() + 1)]
    assert any((members != members[0]).any() for members in of_group)


def test_clusters_are_predicted_by_the_nearest_row_in_one(digits, hierarchy):
    labels, similarities = hierarchy.assign(digits.data)
    clustered = hierarchy.labels_ >= 0
    np.testing.assert_array_equal(labels[clustered], hierarchy.labels_[clustered])
    assert labels.min() >= 0
    assert similarities[~clustered].max() < 1
    np.testing.assert_array_equal(hierarchy.predict(digits.data), labels)


def test_blobs_apart_and_rows_without_classes(rng):
    centers = np.eye(4).repeat(50, axis=0) * 10
    apart = pad_jax.AffinityHierarchy().fit(centers + rng.standard_normal((200, 4)))
    assert apart.n_clusters_ == 4
    for rows in apart.labels_.reshape(4, 50):
        assert len(set(rows[rows >= 0])) == 1
        assert (rows >= 0).mean() > 0.9
    one = pad_jax.AffinityHierarchy().fit(rng.standard_normal((200, 4)))
    assert one.n_clusters_ == 1
    assert (one.labels_ == 0).mean() > 0.9


def test_no_cluster(unit_rows):
    rows = unit_rows(20, 3)
    none = pad_jax.AffinityHierarchy(n_neighbors=3, min_size=21).fit(rows)
    assert none.n_clusters_ == 0
    assert (none.labels_ == -1).all()
    assert none.groups_.max() >= 0
    with pytest.raises(ValueError, match="no row is in a group"):
        none.predict(rows)


def test_the_hierarchy_of_a_graph_that_exists(digits, hierarchy, graph):
    again = clone(hierarchy).fit(digits.data, precomputed_knn=graph)
    np.testing.assert_array_equal(again.labels_, hierarchy.labels_)
    np.testing.assert_array_equal(again.groups_, hierarchy.groups_)


@pytest.mark.parametrize("min_size", [1, 2.5])
def test_bad_min_size(unit_rows, min_size):
    with pytest.raises(ValueError, match=f"min_size={min_size} is not possible; use 2 or more"):
        pad_jax.AffinityHierarchy(min_size=min_size).fit(unit_rows(30, 3))


def test_auto_is_what_the_graph_allows(digits):
    found = pad_jax.AffinityGroups(10, max_size="auto", edge_share="auto").fit(digits.data)
    graph = pad_jax.nearest_neighbors(unit_rows(digits.data), 10)
    structure = clusters(graph)
    edges, size = trusted_edges(graph, structure), trusted_size(structure)
    expected = strongly_connected_subgraphs(edges, size)
    np.testing.assert_array_equal(found.labels_, by_falling_size(expected))
    assert 10 < np.bincount(found.labels_[found.labels_ >= 0]).max() <= size


@pytest.mark.parametrize("name", ["max_size", "edge_share"])
def test_auto_is_the_only_word(digits, name):
    with pytest.raises(ValueError, match=f"{name}='much' .* 'auto'"):
        pad_jax.AffinityGroups(**{name: "much"}).fit(digits.data)
