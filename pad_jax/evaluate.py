"""Evaluates an encoder on a labelled data set with the paper's protocols."""

import logging
from typing import Any

import flax.linen as nn
import numpy as np
from ml_collections import ConfigDict

from pad_jax.data import Dataset
from pad_jax.data.images import Images
from pad_jax.embedding import Embedder
from pad_jax.evaluators import labelled
from pad_jax.evaluators.clustering import Clustering
from pad_jax.evaluators.knn import Knn

_log = logging.getLogger(__name__)

_MAX_PIXEL_BYTES = 2**32


class Evaluation:
    """All figures of an encoder, named ``eval/...``.

    Args:
      config: the field ``eval`` of a run's config.
      encoder: images to named features.
      dataset: whose labels are used here only; without any there are no figures.
    """

    def __init__(self, config: ConfigDict, encoder: nn.Module, dataset: Dataset):
        self._config, self._dataset = config, dataset
        self._embed = Embedder(encoder, tuple(config.features), config.batch_size)

    def __call__(self, variables: Any, *, final: bool) -> dict[str, float]:
        """Evaluates the encoder with these variables, which lie on the devices.

        The final evaluation runs k-means ``kmeans_runs`` times instead of once, and evaluates the
        raw pixels beside the encoder.
        """
        config, (train, test) = self._config, self._dataset
        if not (train.labels >= 0).any():
            return {}
        if final:
            _log.info("Evaluating, with %d runs of k-means.", config.kmeans_runs)
        if test is not None and not (test.labels >= 0).any():
            _log.warning("The test images have no labels: kNN leaves one training image out.")
        embedded = [None if s is None else self._embed(variables, s) for s in (train, test)]
        kinds = {name: [e and e[name] for e in embedded] for name in config.features}
        if final and config.pixels and self._pixels_fit():
            kinds["pixels"] = [None if s is None else _pixels(s) for s in (train, test)]
        knn = Knn(config.knn_neighbors, config.knn_temperature)
        runs = config.kmeans_runs if final else 1
        evaluators = {
            "embedding": (knn, Clustering(runs)),
            "pixels": (knn, Clustering(runs, max_rows=10_000)),  # long rows are slow to cluster
        }
        figures = {}
        for name, (rows, test_rows) in kinds.items():
            features = labelled(name, rows, train.labels, test_rows, test and test.labels)
            for evaluator in evaluators.get(name, (knn,)):
                figures |= {f"eval/{key}": value for key, value in evaluator.run(features)}
        return figures

    def _pixels_fit(self) -> bool:
        size = sum(4 * len(s) * np.prod(s.shape) for s in self._dataset if s is not None)
        if size > _MAX_PIXEL_BYTES:
            _log.info("Raw pixels are not evaluated: they would take %.0f GiB.", size / 2**30)
        return size <= _MAX_PIXEL_BYTES


def _pixels(images: Images) -> np.ndarray:
    """The images themselves as features, float32 [N, H W C] in 0 to 1."""
    rows = np.arange(len(images))[:, None]
    return np.stack([x.reshape(-1) for x in images.batches(rows)]).astype(np.float32) / 255
