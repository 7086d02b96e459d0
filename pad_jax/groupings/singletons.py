"""Every sample a class of its own: instance discrimination (Wu et al., CVPR 2018)."""

import numpy as np

from pad_jax.graph import groups
from pad_jax.graph.search import Graph
from pad_jax.groupings.base import Grouping


class Singletons(Grouping):
    """No groups. With HPE, two views of an image are each other's positives."""

    nothing = "Every image is a class of its own in this run: there are no groups to show."

    def find(
        self, graph: Graph, edges: np.ndarray, features: np.ndarray, epoch: int
    ) -> groups.Groups:
        return groups.singletons(len(features))
