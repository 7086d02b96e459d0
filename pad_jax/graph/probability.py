"""Eq 2: how probable each sample is for another, its temperature, and its entropy."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from pad_jax.graph.search import over_similarities
from pad_jax.settings import RunSettings, at_least, setting, share

MIN_TEMPERATURE = 0.03  # of the losses, which take no maximum: nothing overflows in float32
_LEGAL = at_least(MIN_TEMPERATURE)._replace(hint=f"use {MIN_TEMPERATURE} or more, such as 0.1")


@dataclasses.dataclass(frozen=True)
class TemperatureSettings:
    """The temperature of Eq 2, which may change once on the way."""

    SECTION: ClassVar[str] = "loss"

    temperature: float = setting(0.1, "tau of Eq 2", _LEGAL, "AND")
    final_temperature: float | None = setting(
        None, "tau from a share of the run on; None: it stays", _LEGAL
    )
    final_temperature_from: float = setting(0.75, "that share", share("use a share of the run"))

    def at(self, epoch: int | jax.Array, run: RunSettings) -> float | jax.Array:
        """The temperature of an epoch, counted from 0; an array where a run has two.

        Not in the paper: a high one joins what is spread out, a low one tells apart what is near.
        """
        settings, run_settings = self, run
        if settings.final_temperature is None:
            return settings.temperature
        first_late = round(settings.final_temperature_from * run_settings.num_epochs)
        return jnp.where(epoch < first_late, settings.temperature, settings.final_temperature)


def entropies(features: np.ndarray, temperature: float | jax.Array = 0.1) -> np.ndarray:
    """H_i = - sum_j p_ij log p_ij with p_ij = softmax_j(x_i . x_j / tau), the own row included.

    Args:
      features: float32 [N, D], unit rows.
      temperature: tau.

    Returns:
      float32 [N], in nats, between 0 and log N.
    """
    return over_similarities(_entropy, features, features, temperature)


def _entropy(similarities: jax.Array, temperature: jax.Array) -> jax.Array:
    log_p = jax.nn.log_softmax(similarities / temperature)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=1)
