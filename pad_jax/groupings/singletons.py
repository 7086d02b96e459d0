"""Every sample a class of its own: instance discrimination (Wu et al., CVPR 2018)."""

import numpy as np

from pad_jax.graph import groups
from pad_jax.graph.discovery import Evidence
from pad_jax.groupings.base import Grouping


class Singletons(Grouping):
    """No groups. With HPE, two views of an image are each other's positives."""

    needs_graph = False
    nothing = (
        "Every image is a class of its own in this run: there are no groups to show. The affinity "
        "graph is made after the last epoch alone."
    )

    def find(self, evidence: Evidence, edges: np.ndarray) -> groups.Groups:
        return groups.singletons(len(edges))
