"""Evaluates an encoder on a labelled data set with the paper's protocols."""

import functools
import logging
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from pad_jax import runtime
from pad_jax.data import Dataset
from pad_jax.data.images import Images
from pad_jax.embedding import Embedder
from pad_jax.evaluators import Evaluator, labelled
from pad_jax.evaluators.clustering import Clustering
from pad_jax.evaluators.knn import Knn
from pad_jax.evaluators.linear import LinearProbe

_log = logging.getLogger(__name__)


class Evaluation:
    """All figures of an encoder, named ``eval/...``.

    Args:
      config: the field ``eval`` of a run's config.
      encoder: images to named features.
      dataset: whose labels are used here only; without any there are no figures.
    """

    def __init__(self, config: ConfigDict, encoder: nn.Module, dataset: Dataset):
        self._config, self._encoder, self._dataset = config, encoder, dataset
        self._embedders = {}

    def __call__(self, variables: Any, *, final: bool) -> dict[str, float]:
        """Evaluates the encoder with these variables, which lie on the devices.

        The final evaluation runs k-means ``kmeans_runs`` times instead of once, trains the linear
        probe, and evaluates the raw pixels beside the encoder.
        """
        train, test = self._dataset
        if not (train.labels >= 0).any():
            return {}
        if final:
            _log.info("Evaluating, with %d runs of k-means.", self._config.kmeans_runs)
        if test is not None and not (test.labels >= 0).any():
            _log.warning("The test images have no labels: kNN leaves one training image out.")
        evaluators = self._evaluators(final)
        names = tuple(name for name in evaluators if name != "pixels")
        if names not in self._embedders:
            self._embedders[names] = Embedder(self._encoder, names, self._config.batch_size)
        embed = self._embedders[names]
        rows, test_rows = ({} if s is None else embed(variables, s) for s in self._dataset)
        figures = {}
        for name in evaluators:
            if name == "pixels":
                rows[name], test_rows[name] = (s and _pixels(s) for s in self._dataset)
            # Popped, so that long features are gone before the next ones are evaluated.
            features = labelled(
                name, rows.pop(name), train.labels, test_rows.pop(name, None), test and test.labels
            )
            for evaluator in evaluators[name]:
                figures |= {f"eval/{key}": value for key, value in evaluator.run(features)}
            del features
            runtime.give_back_freed_memory()
        return figures

    def _evaluators(self, final: bool) -> dict[str, list[Evaluator]]:
        """What evaluates which kind of features."""
        config = self._config
        knn = Knn(config.knn_neighbors, config.knn_temperature)
        evaluators = {name: [knn] for name in config.features if name in self._held}
        runs = config.kmeans_runs if final else 1
        clustering = Clustering(runs, config.kmeans_inits)
        evaluators.setdefault("embedding", []).append(clustering)
        test = self._dataset.test
        if final and test is not None and (test.labels >= 0).any():
            for name in (n for n in config.probe if n in self._held):
                evaluators.setdefault(name, []).append(LinearProbe())
        if final and "pixels" in self._held:
            # Long rows are slow to cluster.
            clustering = Clustering(config.kmeans_runs, config.kmeans_inits, max_rows=10_000)
            evaluators["pixels"] = [knn, clustering]
        return evaluators

    @functools.cached_property
    def _held(self) -> set[str]:
        """The kinds of features that are short enough to be held; the embedding always is."""
        config, held = self._config, {"embedding"}
        images = jax.ShapeDtypeStruct((1, *self._dataset.train.shape), jnp.float32)
        variables = jax.eval_shape(self._encoder.init, jax.random.key(0), images)
        features = jax.eval_shape(self._encoder.apply, variables, images) | {"pixels": images}
        count = sum(len(s) for s in self._dataset if s is not None)
        pixels = ["pixels"] if config.pixels else []
        for name in sorted({*config.features, *config.probe, *pixels} - held):
            gib = 4 * features[name].size * count / 2**30
            if gib <= config.max_feature_gib:
                held.add(name)
            else:
                _log.info("%s is not evaluated: %.1f GiB; see eval.max_feature_gib.", name, gib)
        return held


def _pixels(images: Images) -> np.ndarray:
    """The images themselves as features, float32 [N, H W C] in 0 to 1."""
    rows = np.arange(len(images))[:, None]
    return np.stack([x.reshape(-1) for x in images.batches(rows)]).astype(np.float32) / 255
