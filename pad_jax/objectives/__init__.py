"""What an encoder is trained for: PAD, and two baselines of Table 1 in the same loop."""

from ml_collections import ConfigDict

from pad_jax.objectives.base import Objective
from pad_jax.objectives.clusters import Clusters
from pad_jax.objectives.pad import Pad
from pad_jax.objectives.rotation import Rotation


def create(config: ConfigDict) -> Objective:
    """The objective that a run's config names."""
    return {
        "pad": lambda: Pad(config),
        "rotation": Rotation,
        "clusters": lambda: Clusters(config.clusters.count),
    }[config.objective]()
