"""What an encoder is trained for: PAD, and two baselines of Table 1 in the same loop."""

import dataclasses
from typing import ClassVar

from pad_jax import registry
from pad_jax.objectives.base import Objective
from pad_jax.settings import Settings, named, setting

# Objectives by their name in a config: subclasses of Objective, made by f(settings, platform).
OBJECTIVES = {
    "pad": "pad_jax.objectives.pad:Pad",
    "rotation": "pad_jax.objectives.rotation:Rotation",
    "clusters": "pad_jax.objectives.clusters:Clusters",
}


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """What is learnt."""

    SECTION: ClassVar[str] = ""

    objective: str = setting(
        "pad",
        "pad; a baseline of Table 1: rotation (RotNet), clusters (DeepCluster); or "
        "package.module:Objective",
        named(OBJECTIVES),
        "paper",
    )


def create(settings: Settings, platform: str | None = None) -> Objective:
    """The objective that a run's settings name.

    Args:
      settings: of the run.
      platform: what it will run on, "cpu", "gpu" or "tpu"; None for the devices at hand.

    Raises:
      InputError: for settings that do not go together.
    """
    name = settings[ObjectiveSettings].objective
    return registry.find(OBJECTIVES, name, "objective")(settings, platform)
