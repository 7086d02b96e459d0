"""Progressive Affinity Diffusion itself (Algorithm 1)."""

import dataclasses

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from pad_jax import losses, memory, parallel
from pad_jax.objectives.base import Objective


@dataclasses.dataclass(frozen=True)
class Pad(Objective):
    """L_pad of samples and their hard positives against the memory, as a run's config says."""

    config: ConfigDict

    metrics = ("loss", "loss_scs", "loss_hpe")
    feature = "embedding"

    @property
    def hard_positives(self):
        return self.config.loss.hpe != "none"

    def loss(self, params, features, state, index, epoch):
        embeddings, positive_embeddings = self._views(features)
        settings = self.config.loss
        loss, parts = losses.pad_loss(
            embeddings,
            positive_embeddings,
            state.memory,
            state.groups.group_id,
            index,
            temperature=temperature_at(self.config, epoch),
            hpe_weight=settings.hpe_weight,
            hpe=settings.hpe,
            stop_gradient=settings.stop_gradient,
            members=state.groups.members,
            axis_name=parallel.AXIS,
        )
        return loss, {"loss": loss, "loss_scs": parts["scs"], "loss_hpe": parts["hpe"]}

    def refresh(self, state, index, features):
        embeddings, _ = self._views(features)
        rate = self.config.memory.rate  # eta
        rows = memory.refresh(state.memory, index, embeddings, rate, parallel.AXIS)
        return state.replace(memory=rows)

    def _views(self, features):
        """Embeddings of the samples and of their hard positives; without these, twice the same."""
        return jnp.split(features, 2) if self.hard_positives else (features, features)


def temperature_at(config: ConfigDict, epoch: int | jax.Array) -> float | jax.Array:
    """The temperature of an epoch, counted from 0 (tau of Eq 2); an array where a run has two.

    From ``loss.final_temperature_from`` of the run on it is ``loss.final_temperature``, if any. Not
    in the paper: a high one joins what is spread out, a low one tells apart what is near.
    """
    loss = config.loss
    if loss.final_temperature is None:
        return loss.temperature
    first_late = round(loss.final_temperature_from * config.num_epochs)
    return jnp.where(epoch < first_late, loss.temperature, loss.final_temperature)
