"""SGD with Nesterov momentum, and a learning rate that falls at shares of the run."""

import dataclasses
from typing import ClassVar

import numpy as np
import optax

from pad_jax.objectives.base import Objective
from pad_jax.settings import RunSettings, Settings, at_least, below_one, numbers, setting, share


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The optimiser and its schedule."""

    SECTION: ClassVar[str] = "optimizer"

    learning_rate: float = setting(
        0.03,
        "for batch 128; others scale it by batch_size / 128",
        at_least(0)._replace(hint="use 0 (nothing is learnt) or more"),
        "paper",
    )
    momentum: float = setting(0.9, "Nesterov's", below_one("use 0 or more, below 1"), "paper")
    weight_decay: float = setting(5e-4, "of all that is trained", at_least(0), "AND")
    decay_at: tuple[float, ...] = setting(
        (0.4, 0.6, 0.8),
        "shares of the run at which the rate falls: epochs 80, 120, 160 of 200",
        numbers(
            None,
            lambda v: [0, *v, 1] == sorted([0, *v, 1]),
            "use shares of the run in order, such as (0.4, 0.6, 0.8)",
        ),
        "paper",
    )
    decay_factor: float = setting(
        0.1, "what it falls by", share("use a factor from 0 to 1, such as 0.1"), "paper"
    )


def learning_rate_schedule(run: Settings, num_images: int) -> optax.Schedule:
    """The learning rate by step: scaled by batch_size / 128, decayed at shares of the run."""
    settings, run_settings = run[OptimizerSettings], run[RunSettings]
    total = run_settings.num_epochs * (num_images // run_settings.batch_size)
    boundaries = np.round(np.multiply(settings.decay_at, total)).astype(int)
    first = settings.learning_rate * run_settings.batch_size / 128
    rates = first * settings.decay_factor ** np.arange(len(boundaries) + 1)
    return optax.join_schedules(
        [optax.constant_schedule(rate) for rate in rates.tolist()], boundaries.tolist()
    )


def create(
    settings: OptimizerSettings, objective: Objective, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """SGD; weight decay is added to the gradients of what the objective trains.

    Without a gradient decay alone would shrink a layer to nothing.
    """

    def trained(params):
        return {name: name not in objective.untrained for name in params}

    return optax.chain(
        optax.add_decayed_weights(settings.weight_decay, trained if objective.untrained else None),
        optax.sgd(schedule, momentum=settings.momentum, nesterov=True),
    )
