"""Evaluators: each turns features of labelled images into named figures.

An evaluator is an object with ``run(features)`` that yields (name, value) pairs. Figures of the
embedding bear the plain name, those of another feature its name behind: ``knn_accuracy``,
``knn_accuracy_fc``.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np


class Features(NamedTuple):
    """Features of one kind, of images whose class is known.

    Attributes:
      name: "embedding", "fc", "pixels", ...
      train: float32 [N, D].
      train_labels: integers [N], the classes, numbered from 0.
      test: float32 [M, D], or None without test images.
      test_labels: integers [M], or None.
    """

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray | None
    test_labels: np.ndarray | None

    @property
    def suffix(self) -> str:
        """What figures of this feature have behind their name."""
        return "" if self.name == "embedding" else f"_{self.name}"


class Evaluator(Protocol):
    def run(self, features: Features) -> Iterator[tuple[str, float]]: ...


def labelled(
    name: str,
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray | None = None,
    test_labels: np.ndarray | None = None,
) -> Features:
    """Features, flattened from [N, ...] to [N, D], of the images whose label is not -1."""

    def known(features, labels):
        if features is None or not (labels >= 0).any():
            return None, None
        rows = labels >= 0
        if not rows.all():  # long features are not copied without need
            features, labels = features[rows], labels[rows]
        return features.reshape(len(features), -1), labels

    train, train_labels = known(train, train_labels)
    test, test_labels = known(test, test_labels)
    if train is None:
        raise ValueError("not one of the training images has a label")
    # Classes become 0 .. C-1, whatever their numbers: counts and scores are arrays over them.
    both = train_labels if test is None else np.concatenate([train_labels, test_labels])
    classes = np.unique(both)
    train_labels = np.searchsorted(classes, train_labels)
    test_labels = None if test is None else np.searchsorted(classes, test_labels)
    return Features(name, train, train_labels, test, test_labels)
