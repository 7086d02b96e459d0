"""What an evaluator is, what it is given, and the settings that all of them share."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from pad_jax.data.preparation import PIXELS
from pad_jax.evaluators import EVALUATORS
from pad_jax.settings import (
    NOTHING,
    RESULTS,
    Rule,
    Settings,
    at_least,
    is_location,
    more_than,
    setting,
    yes_or_no,
)


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """What is evaluated when."""

    SECTION: ClassVar[str] = "eval"

    evaluators: tuple[str, ...] = setting(
        tuple(EVALUATORS),
        "knn, clustering, linear, package.module:Evaluator",
        Rule(
            lambda v: all(name in EVALUATORS or is_location(str(name)) for name in v),
            f"use some of: {', '.join(EVALUATORS)}; or package.module:Evaluator for your own",
        ),
        affects=RESULTS,
    )
    every_epochs: int = setting(
        10,
        "the report too, for the first time after one epoch; 0: only after the last epoch",
        at_least(0),
        affects=NOTHING,
    )
    batch_size: int = setting(
        256, "images of embedding at a time; does not change results", at_least(1), affects=NOTHING
    )
    max_feature_gib: float = setting(
        4.0,
        "GiB; features that take more are not evaluated (of large sets fc and conv5)",
        more_than(0, 4.0),
        affects=RESULTS,
    )
    pixels: bool = setting(
        True,
        "evaluate the samples themselves, raw pixels or features, beside the encoder, at the end",
        yes_or_no(),
        affects=RESULTS,
    )

    def is_due(self, epoch: int, final: bool) -> bool:
        """Whether an evaluation is due after so many epochs."""
        return final or bool(self.every_epochs and epoch % self.every_epochs == 0)

    def report_is_due(self, epoch: int) -> bool:
        """Whether a report is, before the last epoch; after the first, to show groups early."""
        return self.is_due(epoch, False) or (epoch == 1 and self.every_epochs > 0)

    def with_samples(self, names: Sequence[str], occasion: "Occasion") -> Sequence[str]:
        """Features by name where an evaluation is due, at the end the samples beside them."""
        if not self.is_due(occasion.epoch, occasion.final):
            return ()
        return (*names, occasion.samples) if occasion.final and self.pixels else names


class Features(NamedTuple):
    """Features of one kind, for an evaluator that needs labels of images whose class is known.

    Attributes:
      name: "embedding", "fc", "pixels" or "features" for the samples themselves, ...
      train: float32 [N, D].
      train_labels: integers [N], the classes, numbered from 0; for an evaluator that needs none,
        those of the data set, -1 where the class is not known.
      test: float32 [M, D], or None without test images.
      test_labels: integers [M], or None.
      final: whether this is the evaluation after the last epoch.
    """

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    final: bool = True

    @property
    def suffix(self) -> str:
        """What figures of this feature have behind their name."""
        return "" if self.name == "embedding" else f"_{self.name}"


class Occasion(NamedTuple):
    """When something is evaluated, and whether there is something to test on.

    Attributes:
      epoch: how many epochs are done.
      final: whether it is the evaluation after the last one, which does most.
      has_test: whether there are labelled test images.
      samples: what the samples themselves are as features, "pixels" or "features".
    """

    epoch: int
    final: bool
    has_test: bool
    samples: str = PIXELS


class Evaluator:
    """Figures of some features of the images, by the first process where there are several.

    Those of the embedding bear the plain name, those of another feature its name behind:
    ``knn_accuracy``, ``knn_accuracy_fc``.

    Attributes:
      SETTINGS: the settings dataclasses that it declares.
      needs_labels: whether it is given images whose class is known alone, and can do nothing
        without any.
      field: of the config that says which features, for errors.
    """

    SETTINGS: ClassVar[tuple[type, ...]] = ()
    needs_labels: ClassVar[bool] = True
    field: ClassVar[str] = "eval.evaluators"

    def __init__(self, settings: Settings):
        pass

    def features(self, occasion: Occasion) -> Sequence[str]:
        """The features that it looks at on an occasion; none where it is not its turn.

        Besides the encoder's own there is ``occasion.samples``, the samples themselves.
        """
        return ("embedding",) if occasion.final else ()

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        """Figures of one of them by name."""
        raise NotImplementedError


def labelled(
    name: str,
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray | None = None,
    test_labels: np.ndarray | None = None,
    *,
    final: bool = True,
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
    return Features(name, train, train_labels, test, test_labels, final)
