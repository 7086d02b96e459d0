"""The weighted k-nearest-neighbour classifier of the paper's evaluation protocol (1)."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax.evaluators import Features
from pad_jax.rows import padded_blocks, unit_rows

_BLOCK = 2**24  # similarities held at a time: 64 MB


class Knn:
    """Weighted kNN accuracy on the test images; without any, each training image by all others.

    Args:
      num_neighbors: how many neighbours vote, at most as many as there are.
      temperature: tau of the weights exp(similarity / tau).
    """

    def __init__(self, num_neighbors: int = 200, temperature: float = 0.1):
        self._num_neighbors, self._temperature = num_neighbors, temperature

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        leave_one_out = features.test is None
        predicted = predict(
            features.train,
            features.train_labels,
            features.train if leave_one_out else features.test,
            self._num_neighbors,
            self._temperature,
            leave_one_out=leave_one_out,
        )
        true = features.train_labels if leave_one_out else features.test_labels
        yield f"knn_accuracy{features.suffix}", float(np.mean(predicted == true))


def predict(
    train: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    num_neighbors: int = 200,
    temperature: float = 0.1,
    *,
    leave_one_out: bool = False,
) -> np.ndarray:
    """Classes by s_c = sum over the top-k neighbours of class c of exp(s_i / tau).

    Args:
      train: float32 [N, D], any length of rows; cosine similarities are taken.
      labels: integers [N], the classes, >= 0.
      queries: float32 [M, D].
      num_neighbors: k, at most N.
      temperature: tau.
      leave_one_out: whether query i is row i of ``train`` and must not vote for itself.

    Returns:
      int32 [M]; ties go to the lower class.
    """
    k = min(num_neighbors, len(train) - leave_one_out)
    block = max(1, min(len(queries), _BLOCK // len(train)))
    train, queries = (unit_rows(np.asarray(x, np.float32)) for x in (train, queries))
    classes = int(labels.max()) + 1
    train, labels = jnp.asarray(train), jnp.asarray(labels, jnp.int32)
    predicted = []
    for i, rows in enumerate(padded_blocks(queries, block)):
        own = i * block + np.arange(block) if leave_one_out else np.full(block, len(train))
        predicted.append(_vote(train, labels, rows, own, k, classes, temperature))
    return np.concatenate(predicted)[: len(queries)]


@functools.partial(jax.jit, static_argnums=(4, 5))
def _vote(train, labels, queries, own, k, classes, temperature):
    similarity = jnp.matmul(queries, train.T, precision=lax.Precision.HIGHEST)
    similarity = jnp.where(own[:, None] == jnp.arange(len(train)), -jnp.inf, similarity)
    similarity, neighbors = lax.top_k(similarity, k)
    # Weights relative to the nearest neighbour's: the same winner, and no overflow. (A maximum: XLA
    # turns top_k into a sort of everything where its first column is sliced.)
    nearest = jnp.max(similarity, axis=1, keepdims=True)
    weights = jnp.exp((similarity - nearest) / temperature)
    scores = jnp.zeros((len(queries), classes))
    query = jnp.arange(len(queries))[:, None]
    return scores.at[query, labels[neighbors]].add(weights).argmax(1).astype(jnp.int32)
