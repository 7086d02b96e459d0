"""Diffusion over the affinity graph: what is put into some rows reaches those that are near.

Zhou et al., "Learning with local and global consistency", NIPS 2004; the graph is built as Iscen et
al., "Label propagation for deep semi-supervised learning", CVPR 2019, build it.
"""

import functools

import numpy as np
import scipy.sparse

from pad_jax.graph.rows import divided_by_length
from pad_jax.graph.search import Graph

# Gamma is Iscen et al.'s, whose alpha is 0.99. With that, of few names in a pile without clear
# classes, one floods all the others (docs/studies/labels.md).
ALPHA, GAMMA = 0.95, 3.0
_EXACT, _ENOUGH = 1e-6, 1e-3  # residuals, as shares of what is put in; for labels and for rows
_MAX_STEPS = 200
_COLUMNS = 32  # solved at a time: five arrays of [N, 32] are held


class Diffusion:
    """(I - alpha S)^-1 over a graph.

    S = D^-1/2 W D^-1/2 with W = A + A^T, A_ij = max(similarity, 0)^gamma on the graph's edges and D
    the row sums of W.

    Args:
      graph: the nearest rows of each row, [N, k].
      alpha: how far it reaches: about 1 / (1 - alpha) steps along edges.
      gamma: the exponent; the higher, the less weak edges carry.
    """

    def __init__(self, graph: Graph, *, alpha: float = ALPHA, gamma: float = GAMMA):
        self.alpha = alpha
        self.matrix = normalized_affinity(graph, gamma)

    def __call__(self, given: np.ndarray, tolerance: float = _EXACT) -> np.ndarray:
        """Z of (I - alpha S) Z = Y, by conjugate gradients (Hestenes and Stiefel 1952).

        Args:
          given: Y, numbers [N, C]: what is put into each row.
          tolerance: of the length of each column, the residual at which its solution is done.

        Returns:
          float64 [N, C]; exactly 0 where nothing of a column can reach a row.
        """
        result = np.empty(given.shape)
        for i in range(0, given.shape[1], _COLUMNS):
            columns = slice(i, i + _COLUMNS)
            result[:, columns] = self._solve(given[:, columns].astype(np.float64), tolerance)
        return result

    def _solve(self, residual: np.ndarray, tolerance: float) -> np.ndarray:
        """All columns side by side, from a solution of zeros, whose residual is what is given."""
        solution, direction = np.zeros_like(residual), residual.copy()
        square = np.einsum("nc,nc->c", residual, residual)
        goal = tolerance**2 * square
        for _ in range(_MAX_STEPS):
            if (square <= goal).all():
                break
            moved = direction - self.alpha * (self.matrix @ direction)
            step = _ratio(square, np.einsum("nc,nc->c", direction, moved))
            solution += step * direction
            residual -= step * moved
            before, square = square, np.einsum("nc,nc->c", residual, residual)
            direction *= _ratio(square, before)
            direction += residual
        return solution


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def normalized_affinity(graph: Graph, gamma: float = GAMMA) -> scipy.sparse.csr_array:
    """S of ``Diffusion``, symmetric, float64 [N, N]; zeros in a row without similar neighbours."""
    n, k = graph.indices.shape
    weights = np.maximum(graph.similarities.astype(np.float64), 0.0) ** gamma
    places = (weights.ravel(), graph.indices.ravel(), np.arange(0, n * k + 1, k))
    one_way = scipy.sparse.csr_array(places, shape=(n, n))
    both_ways = (one_way + one_way.T).tocsr()
    both_ways.eliminate_zeros()
    degree = both_ways.sum(axis=1)
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros(n), where=degree > 0)
    scaling = scipy.sparse.diags_array(scale)
    return (scaling @ both_ways @ scaling).tocsr()


class Pile:
    """All images, as labels spread over them.

    Args:
      embeddings: float32 [N, D], unit rows.
      graph: their affinity graph, [N, k].

    Attributes:
      diffusion: over the graph.
    """

    def __init__(self, embeddings: np.ndarray, graph: Graph):
        self.diffusion = Diffusion(graph)
        self._embeddings = embeddings

    def __len__(self) -> int:
        return len(self._embeddings)

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """The embeddings diffused over the graph themselves, float32 [N, D], unit rows.

        Each becomes a mean of what can be reached from it, near ones first: what images of one kind
        share stays, what is one image's alone goes. k-means finds purer parts in them, and the
        nearest name is right more often. Smoothing over a graph as in Wu et al., "Simplifying graph
        convolutional networks", ICML 2019, with the weights of personalised PageRank (Klicpera et
        al., ICLR 2019).
        """
        diffused = self.diffusion(self._embeddings, _ENOUGH)
        return divided_by_length(diffused).astype(np.float32)
