"""Evaluates an encoder: runs the evaluators that a config names on the features they ask for."""

import functools
import logging
import time
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import numpy as np

from pad_jax import models, processes, registry, runtime
from pad_jax.data import Dataset, augmentation
from pad_jax.data.augmentation import Augmentation
from pad_jax.data.batches import ordered_plan
from pad_jax.data.images import Images, ResidentImages
from pad_jax.embedding import Embedder
from pad_jax.evaluators import EVALUATORS, caveats
from pad_jax.evaluators.base import EvaluationSettings, Evaluator, Features, Occasion, labelled
from pad_jax.settings import RunSettings, Settings, refuse

_log = logging.getLogger(__name__)
_AT_A_TIME = 256  # samples that are read together


class Evaluation:
    """All figures of an encoder, named ``eval/...``.

    Args:
      settings: of the run.
      encoder: images to named features.
      dataset: whose labels are used here only.
      augment: gives images as the encoder takes them.
      also: features that ``embedder`` computes besides those that are evaluated.

    Raises:
      InputError: where an evaluator asks for features that the encoder does not have.
    """

    def __init__(
        self,
        settings: Settings,
        encoder: nn.Module,
        dataset: Dataset,
        augment: Augmentation,
        also: Sequence[str] = (),
    ):
        self._settings = settings[EvaluationSettings]
        self._encoder, self._dataset, self._plain = encoder, dataset, augment.plain
        self._samples, self._also = dataset.train.preparation.kind, also
        train, test = dataset
        self._has_labels = bool((train.labels >= 0).any())
        self._evaluators: list[Evaluator] = []
        for name in self._settings.evaluators:
            evaluator = registry.find(EVALUATORS, name, "eval.evaluators")(settings)
            if self._has_labels or not evaluator.needs_labels:
                self._evaluators.append(evaluator)
        self._has_test = test is not None and bool((test.labels >= 0).any())
        if self._has_labels and test is not None and not self._has_test:
            _log.warning(
                "The test images have no labels: kNN classifies each training image by all others."
            )
        shape = augmentation.input_shape(augment, train.preparation)
        self._sizes = models.features(encoder, shape) | {self._samples: np.zeros(shape)}
        num_epochs = settings[RunSettings].num_epochs
        occasions = [self._occasion(e, f) for e in range(1, num_epochs + 1) for f in (False, True)]
        self._asked: set[str] = set()
        for evaluator in self._evaluators:
            asked = {name for occasion in occasions for name in evaluator.features(occasion)}
            for name in sorted(asked - self._sizes.keys()):
                hint = f"the encoder has no such feature; use some of: {', '.join(self._sizes)}"
                refuse(evaluator.field, name, hint)
            self._asked |= asked

    def __call__(self, variables: Any, epoch: int, *, final: bool) -> dict[str, float]:
        """Evaluates the encoder with these variables, which lie on the devices.

        Args:
          variables: of the encoder.
          epoch: how many epochs are done.
          final: whether it is the last evaluation, which does most.

        Returns:
          Figures by name, and the seconds it took; nothing where no evaluator is due. Of several
          processes the first one alone has figures.
        """
        start = time.perf_counter()
        wanted: dict[str, list[Evaluator]] = {}
        for evaluator in self._evaluators:
            for name in evaluator.features(self._occasion(epoch, final)):
                if name in self._held:
                    wanted.setdefault(name, []).append(evaluator)
        if not wanted:
            return {}
        train, test = self._dataset
        rows, test_rows = (
            {} if s is None else self._embed(variables, s, wanted) for s in (train, test)
        )
        figures = processes.on_first(lambda: self._run(wanted, rows, test_rows, final), {})
        return figures | {"time/evaluation": time.perf_counter() - start}

    def _run(
        self,
        wanted: dict[str, list[Evaluator]],
        rows: dict[str, np.ndarray],
        test_rows: dict[str, np.ndarray],
        final: bool,
    ) -> dict[str, float]:
        """What evaluators say of features by name, those of the training and of the test images."""
        train, test = self._dataset
        figures: dict[str, float] = {}
        for name, evaluators in wanted.items():
            if final:
                by = ", ".join(type(evaluator).__name__ for evaluator in evaluators)
                _log.info("Evaluating %s: %s.", name, by)
            if name == self._samples:
                rows[name], test_rows[name] = (s and _samples(s) for s in (train, test))
            # Popped, so that long features are gone before the next ones are evaluated; evaluators
            # of all rows first, so that these are gone before those with a label are copied.
            both = rows.pop(name), test_rows.pop(name, None)
            for needs_labels in (False, True):
                due = [e for e in evaluators if e.needs_labels == needs_labels]
                if not due:
                    continue
                features = self._features(name, *both, final, needs_labels)
                if needs_labels:
                    del both
                for evaluator in due:
                    # Of an evaluator of the user's these may be NumPy's or JAX's numbers.
                    figures |= {f"eval/{k}": float(value) for k, value in evaluator.run(features)}
                del features
            runtime.give_back_freed_memory()
        if final and any(e.needs_labels for own in wanted.values() for e in own):
            said = caveats.sentence(train.labels, test.labels if test is not None else None)
            if said:
                _log.warning("%s", said)
        return figures

    def _occasion(self, epoch: int, final: bool) -> Occasion:
        return Occasion(epoch, final, self._has_test, self._samples)

    def _embed(self, variables: Any, images: Images, wanted) -> dict[str, np.ndarray]:
        names = [name for name in wanted if name != self._samples]
        return self.embedder(variables, images, names) if names else {}

    @functools.cached_property
    def embedder(self) -> Embedder:
        """Of all features that a run asks for, so that its encoder is compiled for them once."""
        names = tuple(sorted({*self._held, *self._also} - {self._samples}))
        return Embedder(self._encoder, names, self._settings.batch_size, self._plain)

    def _features(
        self, name: str, train: np.ndarray, test: np.ndarray | None, final: bool, known_only: bool
    ) -> Features:
        labels, test_labels = (None if s is None else s.labels for s in self._dataset)
        if known_only:
            return labelled(name, train, labels, test, test_labels, final=final)
        train, test = (x if x is None else x.reshape(len(x), -1) for x in (train, test))
        return Features(name, train, labels, test, test_labels, final)

    @functools.cached_property
    def _held(self) -> set[str]:
        """The kinds of features that are short enough to be held; the embedding always is."""
        held = {"embedding"}
        count = sum(len(s) for s in self._dataset if s is not None)
        for name in sorted(self._asked - held):
            gib = 4 * int(np.prod(self._sizes[name].shape)) * count / 2**30
            if gib <= self._settings.max_feature_gib:
                held.add(name)
            else:
                _log.info("%s is not evaluated: %.1f GiB; see eval.max_feature_gib.", name, gib)
        return held


def _samples(images: Images) -> np.ndarray:
    """The samples themselves as features, float32 [N, F]."""
    if isinstance(images, ResidentImages):
        return images.preparation.rows(images.array)
    found = None
    for i, batch in enumerate(images.batches(ordered_plan(len(images), _AT_A_TIME))):
        rows = images.preparation.rows(batch)
        if found is None:
            found = np.empty((len(images), rows.shape[1]), np.float32)
        own = found[i * _AT_A_TIME :][:_AT_A_TIME]
        own[:] = rows[: len(own)]  # the last batch is filled up
    return found
