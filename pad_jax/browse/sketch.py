"""The groups' means in a few bytes each, by which the page itself compares groups."""

from typing import NamedTuple

import numpy as np

from pad_jax.graph.search import Graph

_WIDTH = 64  # numbers of a mean
_EDGES = 4000  # neighbours that are looked at
_NEAR = 0.9  # share of the neighbours that are near each other


class Sketch(NamedTuple):
    """Means of groups, coarsely.

    Attributes:
      means: int8 [G, P], P at most 64: rows of which the cosines are those of the means, nearly.
      near_enough: the cosine from which on two count as near: nine in ten neighbours of the
        affinity graph have it, or more.
    """

    means: np.ndarray
    near_enough: float


def sketch(means: np.ndarray, features: np.ndarray, graph: Graph) -> Sketch:
    """Projects means to their principal directions, and rounds.

    Args:
      means: float32 [G, D], unit rows.
      features: float32 [N, D], unit rows: the images.
      graph: of the images.
    """
    if not len(means):
        return Sketch(np.zeros((0, 1), np.int8), 1.0)
    basis = _directions(means)
    rng = np.random.default_rng(0)
    some = rng.integers(0, len(features), _EDGES)
    others = graph.indices[some, rng.integers(0, graph.indices.shape[1], _EDGES)]
    ends = (_projected(features[rows], basis) for rows in (some, others))
    cosine = np.einsum("ep,ep->e", *ends)
    projected = _projected(means, basis)
    rounded = np.rint(127 / np.abs(projected).max() * projected).astype(np.int8)
    return Sketch(rounded, float(np.quantile(cosine, 1 - _NEAR)))


def _directions(means: np.ndarray) -> np.ndarray:
    """The directions, [D, P], in which the means are longest; all of them where they are few."""
    if means.shape[1] <= _WIDTH:
        return np.eye(means.shape[1], dtype=np.float32)
    _, vectors = np.linalg.eigh((means.T @ means).astype(np.float64))
    return vectors[:, -_WIDTH:].astype(np.float32)


def _projected(rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Unit rows, [B, D] -> [B, P]."""
    rows = rows @ basis
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
