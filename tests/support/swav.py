"""SwAV as an objective from outside the package (Caron et al., NeurIPS 2020): two views, no queue.

    config = pad_jax.config.default(objective="tests.support.swav:Swav")
    config.swav.prototypes = 100

Each view of an image predicts the code of the other: the prototypes that it is assigned to, where
all prototypes are used alike in a batch.
"""

import dataclasses
import time
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from pad_jax import parallel
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import Groups, smallest_index
from pad_jax.models.layers import l2_normalize
from pad_jax.objectives.base import Objective, Panel
from pad_jax.settings import Settings, at_least, more_than, setting


@dataclasses.dataclass(frozen=True)
class SwavSettings:
    """Prototypes and codes."""

    SECTION: ClassVar[str] = "swav"

    prototypes: int = setting(100, "K; ten for each class", at_least(2))
    temperature: float = setting(0.1, "of the predictions", more_than(0, 0.1), "SwAV")
    epsilon: float = setting(0.05, "of the codes: lower is harder", more_than(0, 0.05), "SwAV")
    iterations: int = setting(3, "of Sinkhorn and Knopp", at_least(1), "SwAV")


class Swav(Objective):
    """The swapped prediction of codes (Eq 1 to 4 of SwAV), with ``params["prototypes"]``, [D, K].

    What it discovers between epochs is which prototype each image is nearest to.
    """

    SETTINGS = (SwavSettings,)
    metrics = ("loss", "used_prototypes")
    feature = "embedding"
    untrained = ()
    hard_positives = True  # the second view; of an image in no group it is another view of it
    prefix = "prototypes"
    noun = "prototype"
    panels = (
        Panel("Loss", {"train/loss": "swapped prediction"}),
        Panel("Prototypes in use", {"train/used_prototypes": "share in a batch"}, share=True),
    )

    def __init__(self, settings: Settings, platform: str | None = None):
        super().__init__(settings, platform)
        self._settings = settings[SwavSettings]

    def init_head(self, num_features):
        shape = (num_features, self._settings.prototypes)
        rows = np.random.default_rng([self._run_settings.seed, 3]).standard_normal(shape)
        return {"prototypes": (rows / np.linalg.norm(rows, axis=0)).astype(np.float32)}

    def loss(self, params, features, state, index, epoch):
        settings = self._settings
        scores = jnp.split(features @ params["prototypes"], 2)  # [B, K] of each view
        codes = [self._codes(lax.stop_gradient(view)) for view in scores]
        loss = swapped_prediction(scores, codes, settings.temperature)
        used = jnp.zeros(settings.prototypes).at[parallel.gather(scores[0]).argmax(1)].set(1.0)
        return loss, {"loss": loss, "used_prototypes": used.mean()}

    def _codes(self, scores):
        """Of this device's part of the batch, balanced over all of it."""
        settings, batch = self._settings, parallel.gather(scores)
        return parallel.local_part(sinkhorn(batch, settings.epsilon, settings.iterations))

    def refresh(self, state, index, features):
        """The prototypes stay of length one."""
        prototypes = l2_normalize(state.params["prototypes"].T).T
        return state.replace(params=state.params | {"prototypes": prototypes})

    def current_features(self, state, images, embed):
        return embed(images)

    def discover(self, state, features, num_images, epoch):
        start = time.perf_counter()
        nearest = (features @ parallel.fetch(state.params["prototypes"])).argmax(1)
        groups = Groups(smallest_index(nearest), np.arange(num_images, dtype=np.int32))
        return Discovery(epoch, groups), {"time/prototypes": time.perf_counter() - start}

    def learnt(self, found):
        return self.blank_groups(len(found.groups.group_id))  # its targets are the codes


def sinkhorn(scores: jax.Array, epsilon: float, iterations: int) -> jax.Array:
    """Codes of a batch: rows that sum to one, prototypes that are used alike (Eq 3 of SwAV).

    Args:
      scores: float32 [B, K], cosines with the prototypes.
      epsilon: of the entropy's weight.
      iterations: of rescaling, prototypes first.

    Returns:
      float32 [B, K].
    """
    codes = jnp.exp((scores - scores.max()) / epsilon)
    for _ in range(iterations):
        codes = codes / codes.sum(0) / codes.shape[1]
        codes = codes / codes.sum(1, keepdims=True) / codes.shape[0]
    return codes * codes.shape[0]


def swapped_prediction(
    scores: list[jax.Array], codes: list[jax.Array], temperature: float
) -> jax.Array:
    """Each view's cross-entropy with the other's code, their mean (Eq 2 of SwAV)."""
    of_views = [
        -jnp.mean(jnp.sum(code * jax.nn.log_softmax(score / temperature), axis=1))
        for score, code in zip(scores, reversed(codes), strict=True)
    ]
    return sum(of_views) / 2
