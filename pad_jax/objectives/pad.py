"""Progressive Affinity Diffusion itself (Algorithm 1)."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from pad_jax import losses, memory, parallel
from pad_jax.objectives.base import Objective


@dataclasses.dataclass(frozen=True)
class Pad(Objective):
    """L_pad of samples and their hard positives against the memory.

    Attributes:
      memory_rate: eta of Eq 6.
      loss_settings: keywords of ``losses.pad_loss``: temperature, hpe, hpe_weight, stop_gradient.
    """

    memory_rate: float
    loss_settings: dict[str, Any]

    metrics = ("loss", "loss_scs", "loss_hpe")
    feature = "embedding"
    hard_positives = True

    def loss(self, params, features, state, index):
        embeddings, positive_embeddings = jnp.split(features, 2)
        loss, parts = losses.pad_loss(
            embeddings,
            positive_embeddings,
            state.memory,
            state.groups.group_id,
            index,
            members=state.groups.members,
            axis_name=parallel.AXIS,
            **self.loss_settings,
        )
        return loss, {"loss": loss, "loss_scs": parts["scs"], "loss_hpe": parts["hpe"]}

    def refresh(self, state, index, features):
        embeddings, _ = jnp.split(features, 2)
        rows = memory.refresh(state.memory, index, embeddings, self.memory_rate, parallel.AXIS)
        return state.replace(memory=rows)
