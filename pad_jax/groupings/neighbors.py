"""Each sample and its k nearest neighbours: what Table 3 compares diffusion with."""

import numpy as np

from pad_jax.graph.discovery import Evidence
from pad_jax.graph.groups import Groups
from pad_jax.groupings import GroupingSettings
from pad_jax.groupings.base import Grouping
from pad_jax.settings import Settings


class Neighbors(Grouping):
    """C(i) = i and its neighbours, no partition; the farthest of them is the hard positive."""

    def __init__(self, settings: Settings):
        self.members = settings[GroupingSettings].num_neighbors + 1

    def find(self, evidence: Evidence, edges: np.ndarray) -> Groups:
        own = np.arange(len(edges), dtype=np.int32)
        members = np.concatenate([own[:, None], edges], axis=1).astype(np.int32)
        return Groups(own, edges[:, -1].astype(np.int32), members)
