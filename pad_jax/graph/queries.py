"""New rows among rows that are known: the most similar ones, and whose group is nearest."""

import numpy as np

from pad_jax.graph import search as searches
from pad_jax.graph.rows import unit_rows
from pad_jax.graph.search import Graph


def search(queries: np.ndarray, features: np.ndarray, k: int = 10) -> Graph:
    """The k rows most similar to each query by cosine similarity, exactly.

    Args:
      queries: numbers [Q, D], rows of any length but zero.
      features: numbers [N, D], likewise.
      k: at most N.

    Returns:
      A ``Graph``, the pair (indices int32 [Q, k], similarities float32 [Q, k]): nearest first, ties
      to the lower index. A query that is one of the rows finds itself.

    Raises:
      ValueError: if k is not in 1..N, if D differs, or for rows that ``unit_rows`` refuses.
    """
    features = _named("features", features)
    queries = _named("queries", queries)
    if queries.shape[1] != features.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} numbers a row, features {features.shape[1]}; "
            "make both by the same encoder"
        )
    if not len(queries) and 1 <= k <= len(features):
        return Graph(np.zeros((0, k), np.int32), np.zeros((0, k), np.float32))
    return searches.search(queries, features, k)


def assign(
    features: np.ndarray, labels: np.ndarray, queries: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The group of the row most similar to each query, of the rows that are in a group.

    Every query gets a group, however far it is: the similarity says how much that means.

    Args:
      features: numbers [N, D], rows of any length but zero.
      labels: int [N], the group of each row, -1 for none.
      queries: numbers [Q, D].

    Returns:
      (labels int [Q], of the dtype of ``labels``, never -1; similarities float32 [Q], cosines with
      that row). Ties go to the lower row.

    Raises:
      ValueError: if no row is in a group, for labels that are not one for each row, or as
        ``search`` raises.
    """
    features, labels = _named("features", features), np.asarray(labels)
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"labels are {list(labels.shape)}, for {len(features)} rows of features; give one a row"
        )
    grouped = np.flatnonzero(labels >= 0)
    if not len(grouped):
        raise ValueError(
            "no row is in a group, so nothing can be assigned to one; find groups with more "
            "neighbours, or in other features"
        )
    nearest = search(queries, features[grouped], 1)
    return labels[grouped[nearest.indices[:, 0]]], nearest.similarities[:, 0]


def _named(name: str, x: np.ndarray) -> np.ndarray:
    try:
        return unit_rows(x)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
