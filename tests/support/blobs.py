"""Piles of images that tests of labels are made with, and dense float64 diffusion over them."""

import numpy as np

from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.labelling.diffusion import Pile


def blobs(n=80, kinds=4, noise=0.5, seed=0):
    """Images of some kinds around centres of their own.

    Returns:
      (rows float32 [n, 12], kind int64 [n], the pile, its graph of 5 neighbours).
    """
    rng = np.random.default_rng(seed)
    centers = 3 * np.eye(kinds, 12)
    kind = np.arange(n) % kinds
    x = centers[kind] + noise * rng.standard_normal((n, 12))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    graph = nearest_neighbors(x, 5)
    return x, kind, Pile(x, graph), graph


def dense_affinity(graph, gamma):
    """S, edge by edge."""
    n = len(graph.indices)
    one_way = np.zeros((n, n))
    for i in range(n):
        for j, similarity in zip(graph.indices[i], graph.similarities[i], strict=True):
            one_way[i, j] = max(float(similarity), 0.0) ** gamma
    both_ways = one_way + one_way.T
    degree = both_ways.sum(1)
    scale = np.array([1 / np.sqrt(d) if d > 0 else 0.0 for d in degree])
    return scale[:, None] * both_ways * scale


def dense_diffusion(graph, given, alpha, gamma=3.0):
    s = dense_affinity(graph, gamma)
    return np.linalg.solve(np.eye(len(s)) - alpha * s, np.asarray(given, np.float64))
