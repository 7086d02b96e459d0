"""An order of groups in which similar ones lie beside each other."""

import numpy as np

_NEIGHBORS = 16  # of an end that it may be joined to
_BLOCK = 2**24  # similarities held at a time: 64 MiB


def similar_order(rows: np.ndarray) -> np.ndarray:
    """A path through all rows whose steps are short: the greedy-edge heuristic of a tour.

    The most similar two are joined first, then the next, as long as both are ends of different
    pieces (Bentley, Fast algorithms for geometric traveling salesman problems, ORSA Journal on
    Computing 1992, "greedy"). Joins are looked for among each end's nearest 16 ends, again and
    again until one piece is left, so nothing of size [G, G] is held.

    Args:
      rows: float32 [G, D], unit rows.

    Returns:
      int64 [G]: the rows' numbers in order; the same for the same rows.
    """
    pieces = [[i] for i in range(len(rows))]
    while len(pieces) > 1:
        pieces = _join(pieces, rows)
    return np.array(pieces[0] if pieces else [], np.int64)


def _join(pieces: list[list[int]], rows: np.ndarray) -> list[list[int]]:
    """Joins pieces at similar ends, at least two of them."""
    ends = np.array(sorted({end for piece in pieces for end in (piece[0], piece[-1])}))
    piece_of = {end: i for i, piece in enumerate(pieces) for end in (piece[0], piece[-1])}
    nearest, similarity = nearest_rows(rows[ends], min(_NEIGHBORS, len(ends) - 1))
    sources = np.repeat(ends, nearest.shape[1])
    targets = ends[nearest.ravel()]
    order = np.argsort(-similarity.ravel(), kind="stable")
    for a, b in zip(sources[order].tolist(), targets[order].tolist(), strict=True):
        i, j = piece_of.get(a), piece_of.get(b)
        if i is None or j is None or i == j:
            continue  # no longer an end, or the other end of the same piece
        first, second = pieces[i], pieces[j]
        if first[-1] != a:
            first.reverse()
        if second[0] != b:
            second.reverse()
        if len(first) > 1:
            del piece_of[a]
        if len(second) > 1:
            del piece_of[b]
        first.extend(second)
        pieces[j] = []
        piece_of[first[0]] = piece_of[first[-1]] = i
    return [piece for piece in pieces if piece]


def nearest_rows(
    rows: np.ndarray, k: int, queries: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows most similar to each query, for some thousands of rows, without a device.

    Args:
      rows: float32 [G, D], unit rows.
      k: at most G; at most G - 1 without queries.
      queries: float32 [Q, D], unit rows; None for the rows themselves, which are not their own
        neighbours.

    Returns:
      (indices int64 [Q, k], similarities float32 [Q, k]), nearest first, ties to the lower index.
    """
    asked = rows if queries is None else queries
    indices = np.zeros((len(asked), k), np.int64)
    similarities = np.zeros((len(asked), k), np.float32)
    at_once = max(1, _BLOCK // max(len(rows), 1))
    for first in range(0, len(asked) if k else 0, at_once):
        block = slice(first, first + at_once)
        similarity = asked[block] @ rows.T
        if queries is None:
            own = np.arange(len(similarity))
            similarity[own, first + own] = -np.inf
        some = np.sort(np.argpartition(-similarity, k - 1, axis=1)[:, :k], axis=1)
        values = np.take_along_axis(similarity, some, axis=1)
        best = np.argsort(-values, axis=1, kind="stable")
        indices[block] = np.take_along_axis(some, best, axis=1)
        similarities[block] = np.take_along_axis(values, best, axis=1)
    return indices, similarities
