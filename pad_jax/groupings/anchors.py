"""AND: anchor neighbourhoods, discovered in rounds (Huang et al., ICML 2019)."""

import dataclasses
from typing import ClassVar

import numpy as np

from pad_jax.graph.discovery import Evidence
from pad_jax.graph.groups import Groups, singletons
from pad_jax.graph.probability import TemperatureSettings, entropies, entropy_temperature
from pad_jax.groupings.base import Grouping
from pad_jax.settings import AUTO, RunSettings, Settings, at_least, setting


@dataclasses.dataclass(frozen=True)
class AnchorSettings:
    """The curriculum of AND."""

    SECTION: ClassVar[str] = "grouping"

    rounds: int = setting(
        5, "R of anchor_neighbors: r / R of the samples are anchors in round r", at_least(1), "AND"
    )


class AnchorNeighbors(Grouping):
    """{i, its nearest neighbour} for the samples that the encoder is surest of."""

    SETTINGS = (AnchorSettings,)
    members = 2

    def __init__(self, settings: Settings):
        self._settings, self._run_settings = settings[AnchorSettings], settings[RunSettings]
        self._temperature = settings[TemperatureSettings]

    def find(self, evidence: Evidence, edges: np.ndarray) -> Groups:
        if self._temperature.temperature == AUTO:  # before there are groups
            temperature = entropy_temperature(singletons(len(edges)))
        else:
            temperature = self._temperature.at(evidence.epoch, self._run_settings)
        entropy = entropies(evidence.features, temperature)
        share = anchor_share(evidence.epoch, self._run_settings.num_epochs, self._settings.rounds)
        return anchor_neighbors(edges[:, 0], entropy, share)


def anchor_share(epoch: int, num_epochs: int, rounds: int) -> float:
    """The share of anchors: r / R in round r = 1 ... R of equally many epochs."""
    return min(epoch * rounds // num_epochs + 1, rounds) / rounds


def anchor_neighbors(nearest: np.ndarray, entropy: np.ndarray, share: float) -> Groups:
    """Anchor neighbourhoods (Huang et al., ICML 2019): {i, its nearest neighbour} for some i.

    Args:
      nearest: int32 [N], each sample's nearest neighbour.
      entropy: float32 [N], of Eq 2: how unsure the encoder is of each sample.
      share: of the samples, those with the lowest entropy, that are anchors; all others are
        singletons.
    """
    own = np.arange(len(nearest), dtype=np.int32)
    anchors = np.argsort(entropy, kind="stable")[: round(share * len(nearest))]
    neighbor = np.full(len(nearest), -1, np.int32)
    neighbor[anchors] = nearest[anchors]
    hard_positive = np.where(neighbor >= 0, neighbor, own)
    return Groups(own, hard_positive, np.stack([own, neighbor], axis=1))
