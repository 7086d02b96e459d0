"""What is discovered between epochs, and from what: values."""

from typing import NamedTuple

import numpy as np

from pad_jax.graph.clusters import Clusters
from pad_jax.graph.groups import Groups
from pad_jax.graph.search import Graph


class Evidence(NamedTuple):
    """What groups are found from.

    Attributes:
      epoch: how many epochs of training are done.
      features: float32 [N, D], unit rows.
      graph: their affinity graph, [N, k].
      clusters: what stands apart in it.
    """

    epoch: int
    features: np.ndarray
    graph: Graph
    clusters: Clusters


class Discovery(NamedTuple):
    """The groups of an epoch and, where they come of one, the affinity graph.

    Attributes:
      epoch: how many epochs of training were done before.
      groups: of the N samples.
      graph: the affinity graph they were found in, [N, k], or None.
      edges: int32 [N, k], the edges searched: the graph's with a loop in place of each left out; or
        None.
      clusters: what stands apart in the graph, or None.
    """

    epoch: int
    groups: Groups
    graph: Graph | None = None
    edges: np.ndarray | None = None
    clusters: Clusters | None = None
