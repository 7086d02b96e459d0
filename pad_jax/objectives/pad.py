"""Progressive Affinity Diffusion itself (Algorithm 1)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from pad_jax import losses, memory, parallel
from pad_jax.objectives.base import Objective
from pad_jax.subgraphs import Groups


@dataclasses.dataclass(frozen=True)
class Pad(Objective):
    """L_pad of samples and their hard positives against the memory.

    Attributes:
      memory_rate: eta of Eq 6.
      keep_singletons: whether an image in no group is a class of its own. If not, it is in no
        softmax (Eq 2), and learnt by hard positive enhancement alone, from two views of it.
      loss_settings: keywords of ``losses.pad_loss``: temperature, hpe, hpe_weight, stop_gradient.
    """

    memory_rate: float
    keep_singletons: bool
    loss_settings: dict[str, Any]

    metrics = ("loss", "loss_scs", "loss_hpe")
    feature = "embedding"
    hard_positives = True

    def loss(self, params, features, state, index):
        embeddings, positive_embeddings = jnp.split(features, 2)
        groups = state.groups
        loss, parts = losses.pad_loss(
            embeddings,
            positive_embeddings,
            state.memory,
            groups.group_id if self.keep_singletons else without_singletons(groups),
            index,
            members=groups.members,
            axis_name=parallel.AXIS,
            **self.loss_settings,
        )
        return loss, {"loss": loss, "loss_scs": parts["scs"], "loss_hpe": parts["hpe"]}

    def refresh(self, state, index, features):
        embeddings, _ = jnp.split(features, 2)
        rows = memory.refresh(state.memory, index, embeddings, self.memory_rate, parallel.AXIS)
        return state.replace(memory=rows)


def without_singletons(groups: Groups) -> jax.Array:
    """``group_id`` of this device's shard, int32 [N / devices], with -1 for singletons."""
    n = groups.group_id.shape[0]
    own = lax.axis_index(parallel.AXIS) * n + jnp.arange(n)
    return jnp.where(groups.hard_positive == own, -1, groups.group_id)
