"""DeepCluster: k-means pseudo-labels, assigned anew every epoch (Caron et al., ECCV 2018)."""

import dataclasses
import time
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pad_jax import parallel, processes
from pad_jax.data.batches import uniform_plan
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import Groups
from pad_jax.graph.kmeans import repeatable
from pad_jax.graph.rows import divided_by_length, sampled
from pad_jax.objectives import heads
from pad_jax.objectives.base import Objective
from pad_jax.settings import Settings, at_least, refuse, setting

# Of larger sets a random sample of this many rows is fitted; every row is then assigned.
_MAX_PCA_ROWS, _MAX_KMEANS_ROWS = 50_000, 200_000
_KMEANS_ITERATIONS = 20  # the published code's
# Components of less variance than this share of the first one's are rounding and dead units, which
# whitening would blow up to the size of the others.
_LEAST_VARIANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class ClusterSettings:
    """The clusters of DeepCluster."""

    SECTION: ClassVar[str] = "clusters"

    count: int = setting(
        100, "clusters: ten for each of ten classes; 10,000 for ImageNet", at_least(2)
    )
    components: int = setting(
        256,
        "principal components, at most, that k-means sees; tiny: 32",
        at_least(1),
        "DeepCluster",
    )


class Clusters(Objective):
    """Tells the cluster of an image, ``state.groups.group_id``, with a linear head on "fc".

    Cluster numbers mean nothing from one epoch to the next, so each begins with a new head. Every
    cluster comes equally often in an epoch: otherwise a few large ones would be all there is to
    learn ("trivial parametrization", section 3.3).
    """

    SETTINGS = (ClusterSettings,)
    metrics = ("loss", "cluster_accuracy")
    repeats = True
    prefix = "clusters"
    noun = "cluster"
    panels = heads.panels("cluster_accuracy", "clusters")

    def __init__(self, settings: Settings, platform: str | None = None):
        super().__init__(settings, platform)
        self._settings = settings[ClusterSettings]

    def loss(self, params, features, state, index, epoch):
        cluster = parallel.lookup(state.groups.group_id, parallel.gather(index))
        loss, accuracy = heads.cross_entropy(params["head"], features, parallel.local_part(cluster))
        return loss, {"loss": loss, "cluster_accuracy": accuracy}

    def check_images(self, num_images, image_shape):
        settings = self._settings
        if settings.count > num_images:
            refuse(
                "clusters.count",
                settings.count,
                f"the data set has {num_images} images; use at most {num_images}, or more images",
            )

    def init_head(self, num_features):
        return {"head": self._new_head(num_features, 0)}

    def begin_epoch(self, state, epoch):
        num_features = state.params["head"]["kernel"].shape[0]
        return heads.replace(state, self._new_head(num_features, epoch))

    def _new_head(self, num_features, epoch):
        return heads.init(num_features, self._settings.count, self._run_settings.seed, epoch)

    def current_features(self, state, images, embed):
        return embed(images)

    def discover(self, state, features, num_images, epoch):
        settings, start = self._settings, time.perf_counter()
        groups = processes.on_first(
            lambda: find_clusters(
                features,
                settings.count,
                num_components=settings.components,
                seed=(self._run_settings.seed, epoch),
            ),
            self.blank_groups(num_images),
        )
        return Discovery(epoch, groups), {"time/clusters": time.perf_counter() - start}

    def plan(self, groups, epoch):
        run_settings = self._run_settings
        return uniform_plan(groups.group_id, run_settings.batch_size, run_settings.seed, epoch)


def find_clusters(
    features: np.ndarray,
    num_clusters: int,
    *,
    num_components: int = 256,
    seed: int | Sequence[int] = 0,
) -> Groups:
    """k-means on features that are PCA-whitened and then of length one, as published.

    Time is bounded for any N, up to the assignment of every row; memory is that of the features.

    Args:
      features: float32 [N, F].
      num_clusters: at most N. scikit-learn fills a cluster that runs empty with the row farthest
        from its centre; only where rows coincide may clusters stay empty, and then they are no
        one's label.
      num_components: principal components kept, at most; fewer where they have no variance.
      seed: of the samples, the PCA and the first centres.

    Returns:
      Groups whose ``group_id`` is the cluster's number, 0..num_clusters-1, and whose hard positives
      are the samples themselves.
    """
    from sklearn.cluster import KMeans  # here, and below, not at the top: most runs do without

    rng = np.random.default_rng(seed)
    rows = _whiten(features, num_components, rng)
    # As published: one start, from centres that are random rows.
    kmeans = KMeans(
        num_clusters,
        init="random",
        n_init=1,
        max_iter=_KMEANS_ITERATIONS,
        tol=0,
        random_state=int(rng.integers(2**31)),
    )
    with repeatable():
        kmeans.fit(sampled(rows, max(_MAX_KMEANS_ROWS, num_clusters), rng))
    own = np.arange(len(rows), dtype=np.int32)
    return Groups(kmeans.predict(rows).astype(np.int32), own)


def _whiten(features: np.ndarray, num_components: int, rng: np.random.Generator) -> np.ndarray:
    """Principal components of variance one, [N, at most num_components], rows normalised."""
    from sklearn.decomposition import PCA

    sample = sampled(features, _MAX_PCA_ROWS, rng)
    pca = PCA(
        min(num_components, *sample.shape), whiten=True, random_state=int(rng.integers(2**31))
    ).fit(sample)
    variance = pca.explained_variance_
    return divided_by_length(pca.transform(features)[:, variance >= _LEAST_VARIANCE * variance[0]])
