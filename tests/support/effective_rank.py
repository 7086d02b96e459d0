"""An evaluator from outside the package, which needs no labels.

config = pad_jax.config.default(eval__evaluators=("tests.support.effective_rank:EffectiveRank",))
config.effective_rank.every_epochs = 5
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from pad_jax.evaluators.base import Features, Occasion
from pad_jax.settings import RESULTS, Settings, at_least, setting


@dataclasses.dataclass(frozen=True)
class EffectiveRankSettings:
    """When the effective rank is measured."""

    SECTION: ClassVar[str] = "effective_rank"

    every_epochs: int = setting(1, "and after the last epoch", at_least(1), affects=RESULTS)


class EffectiveRank:
    """How many directions the embedding uses: exp of the entropy of its singular values.

    Roy and Vetterli 2007. The values are those of the training images, divided by their sum.
    """

    SETTINGS = (EffectiveRankSettings,)
    needs_labels = False
    field = "eval.evaluators"

    def __init__(self, settings: Settings):
        self._settings = settings[EffectiveRankSettings]

    def features(self, occasion: Occasion) -> Sequence[str]:
        is_due = occasion.final or occasion.epoch % self._settings.every_epochs == 0
        return ("embedding",) if is_due else ()

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        values = np.linalg.svd(features.train, compute_uv=False)
        p = values[values > 0] / values.sum()
        yield f"effective_rank{features.suffix}", float(np.exp(-np.sum(p * np.log(p))))
