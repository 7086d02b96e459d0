"""Groups and clusters of anybody's features, as scikit-learn has its clusterers."""

import functools
import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pad_jax.graph.groups import by_falling_size, similarities_to_means
from pad_jax.graph.hierarchy import (
    least_size,
    rows_below,
    stable_clusters,
    strong_component_tree,
)
from pad_jax.graph.modularity import clusters
from pad_jax.graph.queries import assign
from pad_jax.graph.rows import unit_rows
from pad_jax.graph.search import Graph
from pad_jax.graph.subgraphs import (
    edges_within,
    strongest_edges,
    strongly_connected_subgraphs,
)
from pad_jax.graph.trust import trusted_edges, trusted_size

_GROUP_NEIGHBORS = 5  # of the groups in clusters: AffinityGroups' default
_ROUNDING = 1e-3  # of similarities that others have computed, in float16 at worst


class _Clusterer(ClusterMixin, BaseEstimator):
    """What clusterers over the affinity graph share: rows, the graph, labels for new rows."""

    n_neighbors: int
    labels_: np.ndarray
    _fit_X: np.ndarray  # noqa: N815 - scikit-learn's name of it

    def predict(self, X: Any) -> np.ndarray:
        """The label of the row of ``fit`` most similar to each row, of those with a label.

        Args:
          X: numbers [Q, D].

        Returns:
          int64 [Q], never -1: ``assign`` tells how far that row is.

        Raises:
          ValueError: if no row of ``fit`` has a label, or as ``fit`` raises.
        """
        return self.assign(X)[0]

    def assign(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """``predict``, with the similarity told beside it.

        Args:
          X: numbers [Q, D].

        Returns:
          (labels int64 [Q], similarities float32 [Q], cosines with the row whose label it is).

        Raises:
          ValueError: as ``predict``.
        """
        check_is_fitted(self)
        X = validate_data(self, _as_numbers(X), reset=False)
        return assign(self._fit_X, self.labels_, X)

    def _validated(self, X: Any, precomputed_knn: Any) -> tuple[np.ndarray, Graph]:
        """The rows, normalised, and their graph, [N, n_neighbors_] each."""
        _refuse_unless(_is_count(self.n_neighbors, 1), "n_neighbors", self.n_neighbors, "1 or more")
        X = validate_data(self, _as_numbers(X), ensure_min_samples=2)
        rows = unit_rows(X)
        n = len(rows)
        if self.n_neighbors >= n:
            warnings.warn(
                f"n_neighbors={self.n_neighbors} is more than the other rows; {n - 1} are taken",
                stacklevel=3,
            )
        self.n_neighbors_ = k = min(self.n_neighbors, n - 1)
        if precomputed_knn is not None:
            return rows, _checked(precomputed_knn, n, k)
        from pad_jax.graph.neighbors import nearest_neighbors  # JAX, which a given graph needs not

        return rows, nearest_neighbors(rows, k)


class AffinityGroups(_Clusterer):
    """Small groups of rows that are surely alike: strongly connected subgraphs (SCS).

    Each row is linked to its ``n_neighbors`` most similar rows. A group is a set of at most
    ``max_size`` rows in which each can be reached from each along these links, so that a row that
    only points at others belongs to none. Found by the search of Huang, Dong, Gong, Zhu:
    Unsupervised Deep Learning via Affinity Diffusion, AAAI 2020. Groups are pure and many; for few
    and large ones see ``AffinityHierarchy``.

    Args:
      n_neighbors: k of the graph. More than the other rows: all of them, with a warning.
      max_size: the most rows a group can have, at least 2; None for no limit; "auto" for 10 up to
        half a cluster of the links, the farther the clusters stand apart.
      edge_share: share of the links, the most similar ones, that are searched; above 0, at most 1.
        Fewer links, fewer and surer groups. "auto" for those up to the peak of their modularity,
        without those between clusters.
      cyclic: False makes a group of all that is visited from its first row, without a way back.
      random_state: seed of the order in which rows are tried.

    Attributes:
      labels_: int64 [N], the group of each row, 0 .. G-1 by falling size (of two as large, the one
        with the lower first row is first); -1 for rows in none.
      similarities_: float32 [N], cosine of each row with the mean of its group; 0 for rows in none.
      n_neighbors_: the k that was taken.
      n_features_in_: D.
      feature_names_in_: of the columns, where X had names.
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        max_size: int | str | None = 10,
        edge_share: float | str = 1.0,
        cyclic: bool = True,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.n_neighbors = n_neighbors
        self.max_size = max_size
        self.edge_share = edge_share
        self.cyclic = cyclic
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, precomputed_knn: Any = None) -> Self:
        """Finds the groups.

        Args:
          X: numbers [N, D], rows of any length but zero; they are normalised.
          y: not used.
          precomputed_knn: (indices int [N, k], similarities [N, k]), a graph of these rows that
            exists, nearest first, without the rows themselves, k at least ``n_neighbors``: then its
            first columns. What ``pad_jax.nearest_neighbors`` gives.

        Returns:
          The estimator.

        Raises:
          ValueError: for parameters out of range, a graph that cannot be one of so many rows, and
            rows that are all zeros or not finite.
        """
        share, max_size = self.edge_share, self.max_size
        limit_is_legal = max_size is None or _is_auto(max_size) or _is_count(max_size, 2)
        _refuse_unless(limit_is_legal, "max_size", max_size, "2 or more, 'auto' or None")
        share_is_legal = _is_auto(share) or _is_share(share)
        use = "a share of the edges, such as 0.1, or 'auto'"
        _refuse_unless(share_is_legal, "edge_share", share, use)
        cyclic_is_legal = isinstance(self.cyclic, bool | np.bool_)
        _refuse_unless(cyclic_is_legal, "cyclic", self.cyclic, "True or False")
        rows, graph = self._validated(X, precomputed_knn)
        structure = functools.cache(lambda: clusters(graph))
        edges = graph.indices
        if _is_auto(share):
            edges = trusted_edges(graph, structure())
        elif (part := float(share)) < 1:
            edges = strongest_edges(edges, graph.similarities, part)
        limit = trusted_size(structure()) if isinstance(max_size, str) else max_size
        group_id = strongly_connected_subgraphs(
            edges, limit, cyclic=bool(self.cyclic), seed=_seed(self.random_state)
        )
        self._fit_X, self.labels_ = rows, by_falling_size(group_id)
        self.similarities_ = similarities_to_means(rows, self.labels_)
        return self


class AffinityHierarchy(_Clusterer):
    """How many kinds of things there are: the stable clusters of the affinity graph.

    Edges of the graph enter from the most similar few to all, its strong components grow and come
    together, and the clusters are those that stand apart for longest, as HDBSCAN selects its own
    (``hierarchy.stable_clusters`` has the rule and its citation). Not in the PAD paper.

    One cluster of nearly all rows is the answer for rows without classes that their graph could
    tell apart, none the one where not even ``min_size`` rows are connected: see ``n_clusters_``.

    Args:
      n_neighbors: k of the graph. More than the other rows: all of them, with a warning.
      min_size: rows of the smallest cluster, at least 2; None for the square root of
        N, at least 5.

    Attributes:
      labels_: int64 [N], the cluster of each row, 0 .. K-1 by falling size; -1 for rows in none.
      n_clusters_: K, which may be 1, or 0.
      groups_: int64 [N], small groups inside the clusters, as ``AffinityGroups`` finds and numbers
        them by its defaults, but without the links between two clusters, and between one and the
        rows in none. So each group is part of one cluster, or of no cluster as a whole.
      tree_: the ``hierarchy.Tree`` of all strong components.
      clusters_: int32 [K], the clusters' nodes in the tree.
      n_neighbors_, n_features_in_, feature_names_in_: as those of ``AffinityGroups``.
    """

    def __init__(self, n_neighbors: int = 10, min_size: int | None = None):
        self.n_neighbors = n_neighbors
        self.min_size = min_size

    def fit(self, X: Any, y: Any = None, precomputed_knn: Any = None) -> Self:
        """Finds the clusters.

        Args:
          X, y, precomputed_knn: as those of ``AffinityGroups.fit``.

        Returns:
          The estimator.

        Raises:
          ValueError: as ``AffinityGroups.fit`` raises.
        """
        min_size = self.min_size
        size_is_legal = min_size is None or _is_count(min_size, 2)
        _refuse_unless(size_is_legal, "min_size", min_size, "2 or more, or None")
        rows, graph = self._validated(X, precomputed_knn)
        if min_size is None:
            min_size = least_size(len(rows))
        self.tree_ = strong_component_tree(graph)
        self.clusters_ = stable_clusters(self.tree_, min_size)
        self.n_clusters_ = len(self.clusters_)
        self._fit_X, self.labels_ = rows, rows_below(self.tree_, self.clusters_)
        inside = edges_within(graph.indices[:, :_GROUP_NEIGHBORS], self.labels_)
        self.groups_ = by_falling_size(strongly_connected_subgraphs(inside))
        return self


def _checked(precomputed_knn: Any, n: int, k: int) -> Graph:
    """The first k columns of a graph that somebody else has made, if it is one of n rows."""
    try:
        indices, similarities = map(np.asarray, precomputed_knn)
    except (TypeError, ValueError):
        raise ValueError(
            "precomputed_knn must be a pair (indices [N, k], similarities [N, k])"
        ) from None
    wrong = None
    if indices.ndim != 2 or indices.shape != similarities.shape or len(indices) != n:
        shapes = f"{list(indices.shape)} and {list(similarities.shape)}"
        wrong = f"its arrays are {shapes}; of {n} rows both must be [{n}, k]"
    elif indices.shape[1] < k:
        wrong = f"it has {indices.shape[1]} neighbours a row, fewer than n_neighbors={k}"
    elif indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() >= n:
        wrong = f"its indices must be integers in 0..{n - 1}"
    elif (indices[:, 0] == np.arange(n)).mean() > 0.5:
        wrong = "rows are their own nearest neighbours; leave the first column out"
    elif not (np.abs(similarities) <= 1 + _ROUNDING).all():  # NaN is not, either
        wrong = "its similarities must be cosines, in -1..1"
    elif (np.diff(similarities.astype(np.float32)) > _ROUNDING).any():
        wrong = "its similarities must fall along each row: cosines, not distances, nearest first"
    if wrong:
        raise ValueError(f"precomputed_knn: {wrong}")
    indices, similarities = indices[:, :k].astype(np.int32), similarities[:, :k]
    return Graph(np.ascontiguousarray(indices), np.ascontiguousarray(similarities, np.float32))


def _as_numbers(X: Any) -> Any:
    """X, which scikit-learn will check; it takes JAX's bfloat16 for strings."""
    return np.asarray(X, np.float32) if str(getattr(X, "dtype", "")) == "bfloat16" else X


def _seed(random_state: int | np.random.RandomState | None) -> int:
    """A number as it is, so that results are those of the search with this seed."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float | np.floating) and bool(0 < value <= 1)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= least)


def _refuse_unless(legal: bool, name: str, value: Any, use: str) -> None:
    if not legal:
        raise ValueError(f"{name}={value!r} is not possible; use {use}")
