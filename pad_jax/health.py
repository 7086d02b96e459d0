"""Why a training step was not finite: it is computed once more, part by part, and put in words."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pad_jax import parallel, steps
from pad_jax.models import ModelSettings
from pad_jax.objectives.base import Objective
from pad_jax.optimizer import OptimizerSettings
from pad_jax.settings import TRAINING, Settings, declarations
from pad_jax.state import TrainState
from pad_jax.steps import StepParts

_FAR = 10  # times its default is far above it
_AUGMENTATION = "augmentation"
# What a step computes, in its order, and how it is called.
_WORDS = {
    "samples": "the samples",
    "before": "the parameters before it",
    "views": "the augmented samples",
    "features": "the encoder's features",
    "metrics": "the loss",
    "gradients": "the gradients",
    "batch_stats": "the batch statistics",
}


def is_finite(sums: Mapping[str, np.ndarray]) -> bool:
    """Whether metrics added up over steps, on the host, are: nan where a step was none."""
    return all(np.isfinite(x).all() for x in sums.values())


def reason(settings: Settings, parts: StepParts, state: TrainState, batch: tuple) -> str:
    """What to say of the step after ``state``, which is not finite, and what to change.

    Args:
      settings: of the run.
      parts: of its steps.
      state: on the devices, as it was before that step.
      batch: what the step took besides: index and images, as ``steps.pmap_train_step`` has them.
    """
    found = parallel.fetch_shards(steps.pmap_examine_step(parts)(state, *batch))
    step = int(parallel.fetch(state.step))
    epoch, place = step // parts.steps_per_epoch + 1, step % parts.steps_per_epoch + 1
    where = f"step {place} of epoch {epoch}"
    bad = next((name for name in _WORDS if not _all(found[name])), None)
    if bad is None:
        return (
            f"{where} was not finite, and is when it is computed once more: the device may be "
            "faulty; give the same command again, which goes on from the last checkpoint"
        )
    finite = [name for name, figure in found["metrics"].items() if _all(figure)]
    though = f", while {' and '.join(finite)} are finite" if bad == "metrics" and finite else ""
    return (
        f"{where} is not finite, first in {_WORDS[bad]}{though}; nothing of it was kept; "
        f"{advice(settings, parts.objective, bad)}, and choose another --workdir"
    )


def advice(settings: Settings, objective: Objective, bad: str) -> str:
    """Which setting is the likely cause, and what to do with it.

    Args:
      settings: of the run.
      objective: what it learns.
      bad: what of a step was not finite first, see ``steps.pmap_examine_step``.
    """
    if bad == "samples":
        return "leave rows that are not finite out of the data set (dataset.root)"
    of_loss = {part.SECTION for part in objective.SETTINGS}
    sections = {
        "views": {_AUGMENTATION},
        "metrics": of_loss,
        "before": {OptimizerSettings.SECTION},
    }.get(bad, {OptimizerSettings.SECTION, _AUGMENTATION} | of_loss)
    name, value, default, times = _farthest(settings, sections)
    if times >= _FAR:
        return f"the likely cause is {name}={value:g}, by default {default:g}: lower it"
    if bad in ("views", "metrics"):
        return f"change the settings of {' or '.join(sorted(sections)) or 'the objective'}"
    if (dtype := settings[ModelSettings].dtype) != "float32":
        return f"the likely cause is model.dtype={dtype}: set it to float32"
    return f"lower optimizer.learning_rate={settings[OptimizerSettings].learning_rate:g}"


def _farthest(settings: Settings, sections: set[str]) -> tuple[str, float, float, float]:
    """Of these sections the number that is most above its default: its name, both, and how often.

    Of a default of 0 one is the measure: what is off by default counts in units.
    """
    found = [("", 0.0, 0.0, 0.0)]
    for declared in declarations(type(part) for part in settings):
        if declared.part.SECTION not in sections or declared.affects != TRAINING:
            continue
        value, default = getattr(settings[declared.part], declared.field), declared.default
        if float in declared.kinds and {type(value), type(default)} <= {int, float}:
            found.append((declared.name, value, default, value / (default or 1.0)))
    return max(found, key=lambda each: each[-1])


def _all(tree: Any) -> bool:
    return all(np.all(x) for x in jax.tree.leaves(tree))
