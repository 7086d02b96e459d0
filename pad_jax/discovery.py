"""Between epochs: what the encoder has discovered of the images, which the next epoch learns."""

import time
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from pad_jax import diagnostics, metrics, neighbors, parallel, subgraphs
from pad_jax.data.images import Images
from pad_jax.embedding import Embedder
from pad_jax.entropy import entropies
from pad_jax.objectives import clusters, pad
from pad_jax.subgraphs import Groups
from pad_jax.train_state import TrainState


class Discovery(NamedTuple):
    """The groups of an epoch and, where they come of one, the affinity graph.

    Attributes:
      epoch: how many epochs of training were done before.
      groups: of the N samples.
      features: float32 [N, D], what they were found in, or None.
      neighbors: int32 [N, k], nearest first, or None.
      similarities: float32 [N, k], the cosines of these, or None.
      edges: int32 [N, k], the edges searched: ``neighbors`` with a loop in place of each left out,
        or None.
    """

    epoch: int
    groups: Groups
    features: np.ndarray | None = None
    neighbors: np.ndarray | None = None
    similarities: np.ndarray | None = None
    edges: np.ndarray | None = None


def discover(
    config: ConfigDict, state: TrainState, embed: Embedder, images: Images, epoch: int
) -> tuple[Discovery, metrics.Row]:
    """The groups that an epoch is to learn, with statistics of them.

    For PAD the affinity graph (Eq 1) is built and searched (Fig 3); for DeepCluster the features
    are clustered; RotNet finds its targets in the images themselves. A memory of random rows has
    nothing to find: the first epoch then learns every image as a class of its own.
    """
    start = time.perf_counter()
    features = current_features(config, state, embed, images)
    row = {"time/features": time.perf_counter() - start}
    if features is None:
        return Discovery(epoch, subgraphs.singletons(len(images))), row
    if epoch == 0 and _memory_is_random(config):
        kind, k = config.grouping.kind, config.grouping.num_neighbors
        groups = subgraphs.before_training(kind, len(images), k)
        return Discovery(epoch, groups), row | _statistics("scs", groups, images.labels)
    find = _find_clusters if config.objective == "clusters" else _find_subgraphs
    found, statistics = find(config, features, images.labels, epoch)
    # One process decides for all: another's rounding may tip a tie the other way.
    groups = jax.tree.map(parallel.from_first_process, found.groups)
    return found._replace(groups=groups), row | statistics


def groups_to_learn(config: ConfigDict, found: Discovery) -> Groups:
    """The groups as an epoch's loss takes them.

    To the end of the run in the paper, to ``grouping.singletons_until`` of it here, an image in no
    group is a class of its own. That pushes it and the images of its class apart. Where there is no
    group at all they stay classes.
    """
    if found.epoch < round(config.grouping.singletons_until * config.num_epochs):
        return found.groups
    learnt = subgraphs.without_singletons(found.groups)
    return learnt if (learnt.group_id >= 0).any() else found.groups


def current_features(
    config: ConfigDict, state: TrainState, embed: Embedder, images: Images
) -> np.ndarray | None:
    """What groups are found in, float32 [N, D]: the memory, or freshly embedded images.

    Rows are of length one, but for DeepCluster; None for RotNet, which has no groups.
    """
    if config.objective == "rotation":
        return None
    if config.objective == "pad" and config.grouping.features == "memory":
        return parallel.fetch_rows(state.memory, len(images))
    (features,) = embed(state.variables, images).values()
    return features


def _memory_is_random(config):
    return (
        config.objective == "pad"
        and config.memory.init == "random"
        and config.grouping.features == "memory"
    )


def _find_subgraphs(config, features, labels, epoch):
    grouping = config.grouping
    start = time.perf_counter()
    nearest, similarities = neighbors.nearest_neighbors(features, grouping.num_neighbors)
    graph_done = time.perf_counter()
    edges = nearest
    if grouping.kind == "anchor_neighbors":
        entropy = entropies(features, pad.temperature_at(config, epoch))
        share = anchor_share(epoch, config.num_epochs, grouping.rounds)
        groups = subgraphs.anchor_neighbors(nearest[:, 0], entropy, share)
    else:
        if grouping.kind == "scs" and grouping.edge_share < 1:
            edges = subgraphs.strongest_edges(nearest, similarities, grouping.edge_share)
        groups = subgraphs.find_groups(
            grouping.kind,
            edges,
            features,
            max_size=size_limit(
                epoch, config.num_epochs, grouping.max_size, grouping.final_max_size
            ),
            cyclic=grouping.cyclic,
            seed=(config.seed, epoch),
        )
    row = {"time/graph": graph_done - start, "time/search": time.perf_counter() - graph_done}
    row |= _statistics("scs", groups, labels)
    precision = diagnostics.neighbor_precision(nearest, labels)
    row |= {f"neighbors/{name}": value for name, value in precision.items()}
    return Discovery(epoch, groups, features, nearest, similarities, edges), row


def size_limit(
    epoch: int, num_epochs: int, max_size: int | None, final_max_size: int | None
) -> int | None:
    """The scale threshold s of an epoch, from ``max_size`` in the first to ``final_max_size``.

    It grows by the same factor every epoch. Not in the paper: an encoder that is still poor needs a
    low threshold, a good one does not.
    """
    if max_size is None or final_max_size is None:
        return max_size
    share = min(epoch / max(num_epochs - 1, 1), 1.0)
    return round(max_size * (final_max_size / max_size) ** share)


def anchor_share(epoch: int, num_epochs: int, rounds: int) -> float:
    """The share of anchors in AND: r / R in round r = 1 ... R of equally many epochs."""
    return min(epoch * rounds // num_epochs + 1, rounds) / rounds


def _find_clusters(config, features, labels, epoch):
    start = time.perf_counter()
    groups = clusters.find_clusters(
        features,
        config.clusters.count,
        num_components=config.clusters.components,
        seed=(config.seed, epoch),
    )
    row = {"time/clusters": time.perf_counter() - start}
    return Discovery(epoch, groups, features), row | _statistics("clusters", groups, labels)


def _statistics(prefix, groups, labels):
    statistics = diagnostics.group_statistics(groups, labels)
    statistics["size_histogram"] = diagnostics.size_histogram(groups)
    return {f"{prefix}/{name}": value for name, value in statistics.items()}
