"""The weighted k-nearest-neighbour classifier of the paper's evaluation protocol (1)."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax.evaluators.base import EvaluationSettings, Evaluator, Features, Occasion
from pad_jax.graph.rows import divided_by_length
from pad_jax.graph.search import over_similarities
from pad_jax.settings import RESULTS, Settings, at_least, more_than, names, setting


@dataclasses.dataclass(frozen=True)
class KnnSettings:
    """The weighted kNN classifier."""

    SECTION: ClassVar[str] = "eval"

    features: tuple[str, ...] = setting(
        ("embedding", "fc"),
        "what kNN looks at",
        names("use some of the encoder's features, such as embedding and fc"),
        "paper",
        affects=RESULTS,
    )
    knn_neighbors: int = setting(
        200, "how many vote", at_least(1), "Wu et al. 2018", affects=RESULTS
    )
    knn_temperature: float = setting(
        0.1,
        "tau of the weights exp(similarity / tau)",
        more_than(0, 0.1),
        "Wu et al. 2018",
        affects=RESULTS,
    )


class Knn(Evaluator):
    """Weighted kNN accuracy on the test images; without any, each training image by all others."""

    SETTINGS = (KnnSettings,)
    field = "eval.features"

    def __init__(self, settings: Settings):
        self._settings, self._eval_settings = settings[KnnSettings], settings[EvaluationSettings]

    def features(self, occasion: Occasion) -> Sequence[str]:
        return self._eval_settings.with_samples(self._settings.features, occasion)

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        settings, leave_one_out = self._settings, features.test is None
        predicted = predict(
            features.train,
            features.train_labels,
            features.train if leave_one_out else features.test,
            settings.knn_neighbors,
            settings.knn_temperature,
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
    train, queries = (divided_by_length(np.asarray(x, np.float32)) for x in (train, queries))
    return over_similarities(
        _vote,
        queries,
        train,
        jnp.asarray(labels, jnp.int32),
        temperature,
        static=(k, int(labels.max()) + 1),
        leave_one_out=leave_one_out,
    )


def _vote(similarities, labels, temperature, k, classes):
    similarity, neighbors = lax.top_k(similarities, k)
    # Weights relative to the nearest neighbour's: the same winner, and no overflow. (A maximum: XLA
    # turns top_k into a sort of everything where its first column is sliced.)
    nearest = jnp.max(similarity, axis=1, keepdims=True)
    weights = jnp.exp((similarity - nearest) / temperature)
    scores = jnp.zeros((len(similarities), classes))
    query = jnp.arange(len(similarities))[:, None]
    return scores.at[query, labels[neighbors]].add(weights).argmax(1).astype(jnp.int32)
