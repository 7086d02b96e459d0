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

_ALSO = (1, 20)  # numbers of neighbours that vote besides the one that is set


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
    """Weighted kNN accuracy on the test images; without any, each training image by all others.

    ``knn_accuracy`` is that of ``eval.knn_neighbors``. Of a small set so many are most of a class,
    and say more of classes than of neighbours: ``knn_accuracy_at_1`` and ``knn_accuracy_at_20`` are
    those of the nearest one and of the nearest 20. No vote is of more neighbours than there are.
    """

    SETTINGS = (KnnSettings,)
    field = "eval.features"

    def __init__(self, settings: Settings):
        self._settings, self._eval_settings = settings[KnnSettings], settings[EvaluationSettings]

    def features(self, occasion: Occasion) -> Sequence[str]:
        return self._eval_settings.with_samples(self._settings.features, occasion)

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        settings, leave_one_out = self._settings, features.test is None
        predicted = predict_all(
            features.train,
            features.train_labels,
            features.train if leave_one_out else features.test,
            (settings.knn_neighbors, *_ALSO),
            settings.knn_temperature,
            leave_one_out=leave_one_out,
        )
        true = features.train_labels if leave_one_out else features.test_labels
        names = ["knn_accuracy", *(f"knn_accuracy_at_{k}" for k in _ALSO)]
        for name, own in zip(names, predicted, strict=True):
            yield f"{name}{features.suffix}", float(np.mean(own == true))


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
      num_neighbors: k; all, where there are fewer.
      temperature: tau.
      leave_one_out: whether query i is row i of ``train`` and must not vote for itself.

    Returns:
      int32 [M]; ties go to the lower class.
    """
    counts = (num_neighbors,)
    return predict_all(train, labels, queries, counts, temperature, leave_one_out=leave_one_out)[0]


def predict_all(
    train: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    counts: Sequence[int],
    temperature: float = 0.1,
    *,
    leave_one_out: bool = False,
) -> np.ndarray:
    """Classes by ``predict`` for several numbers of neighbours, in one pass.

    Args:
      train, labels, queries, temperature, leave_one_out: as ``predict`` takes them.
      counts: K numbers of neighbours; those of more than there are count as all.

    Returns:
      int32 [K, M], in the order of ``counts``.
    """
    most = len(train) - leave_one_out
    ks = tuple(sorted({min(k, most) for k in counts}))
    train, queries = (divided_by_length(np.asarray(x, np.float32)) for x in (train, queries))
    found = over_similarities(
        _vote,
        queries,
        train,
        np.asarray(labels, np.int32),
        temperature,
        static=(ks, int(labels.max()) + 1),
        leave_one_out=leave_one_out,
    )
    return found.T[[ks.index(min(k, most)) for k in counts]]


def _vote(similarities, labels, temperature, ks, classes):
    """The class for each k of ``ks``, which rise: int32 [b, len(ks)]."""
    similarity, neighbors = lax.top_k(similarities, ks[-1])
    # Weights relative to the nearest neighbour's: the same winner, and no overflow. (A maximum: XLA
    # turns top_k into a sort of everything where its first columns are sliced.)
    nearest = jnp.max(similarity, axis=1, keepdims=True)
    weights = jnp.exp((similarity - nearest) / temperature)
    # Each neighbour votes once, in the smallest k that it belongs to; those of larger ones add up.
    first = np.searchsorted(ks, np.arange(ks[-1]), side="right")
    scores = jnp.zeros((len(similarities), len(ks), classes))
    query = jnp.arange(len(similarities))[:, None]
    scores = scores.at[query, first, labels[neighbors]].add(weights).cumsum(axis=1)
    return scores.argmax(axis=2).astype(jnp.int32)
