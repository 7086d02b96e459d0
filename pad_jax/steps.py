"""The per-device functions of training and embedding, and the one place that pmaps them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax

from pad_jax import parallel
from pad_jax.data.augmentation import Augmentation, view_keys
from pad_jax.objectives.base import Objective
from pad_jax.state import AXES, TrainState


@dataclasses.dataclass(frozen=True)
class StepParts:
    """What a training step is made of besides its state and its batch.

    Attributes:
      encoder: images to named features.
      objective: what it learns.
      optimizer: a gradient transformation.
      augmentation: key and image to an augmented view.
      seed: of the augmentation.
      steps_per_epoch: tells the epoch from the step.
    """

    encoder: nn.Module
    objective: Objective
    optimizer: optax.GradientTransformation
    augmentation: Augmentation
    seed: int
    steps_per_epoch: int

    @property
    def num_views(self) -> int:
        """How many images of each sample a step takes."""
        return 2 if self.objective.hard_positives else 1


class Taken(NamedTuple):
    """What a step computes before it changes anything.

    Attributes:
      views: of the batch, augmented, a list of float32 [B / devices, ...].
      features: [m B / devices, F], the objective's feature of them.
      metrics: the objective's, means over the whole batch.
      gradients: of the parameters, means over the whole batch.
      batch_stats: the encoder's new ones.
    """

    views: list[jax.Array]
    features: jax.Array
    metrics: dict[str, jax.Array]
    gradients: Any
    batch_stats: Any


def forward_and_backward(
    parts: StepParts, state: TrainState, index: jax.Array, *images: jax.Array
) -> Taken:
    """The loss of a batch and its gradients on one device; arguments as ``train_step`` has them."""
    objective = parts.objective
    epoch = state.step // parts.steps_per_epoch
    drawn = _place_in_epoch(parts, state.step, index) if objective.repeats else index
    augment = jax.vmap(parts.augmentation)
    views = [
        augment(view_keys(parts.seed, epoch, drawn, view), pixels)
        for view, pixels in enumerate(images)
    ]

    def loss_fn(params):
        # All views in one batch: one set of batch-norm statistics.
        features, updates = parts.encoder.apply(
            state.variables | {"params": params},
            objective.inputs(views),
            train=True,
            mutable=["batch_stats"],
        )
        features = features[objective.feature]
        loss, metrics = objective.loss(params, features, state, index, epoch)
        return loss, (metrics, updates.get("batch_stats", {}), features)

    gradients, (metrics, batch_stats, features) = jax.grad(loss_fn, has_aux=True)(state.params)
    gradients, metrics = lax.pmean((gradients, metrics), parallel.AXIS)
    return Taken(views, features, metrics, gradients, batch_stats)


def train_step(
    parts: StepParts,
    state: TrainState,
    sums: dict[str, jax.Array],
    index: jax.Array,
    *images: jax.Array,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step of Algorithm 1 on one device, or none.

    A step that is not finite, in a metric, a gradient or a batch statistic, is no step: the state
    stays as it was, bit for bit, and so do all steps after it on these sums, which are nan from
    there on. That costs no waiting; ``state.step`` tells the host later how far training came.
    Parameters that finite gradients take beyond float32 are for the host to find: to look at the
    new ones before the old ones are gone would take memory for both.

    Args:
      parts: see ``StepParts``.
      state: with this device's shard of the memory and the groups.
      sums: of the objective's metrics, over the epoch so far.
      index: int32 [B / devices], the samples of this device.
      *images: uint8 [B / devices, H, W, C], their images, or features in place of these; where the
        objective takes them, likewise the images of their hard positives.

    Returns:
      The new state, and the sums with the means over the whole batch of the objective's metrics.
    """
    taken = forward_and_backward(parts, state, index, *images)
    updates, opt_state = parts.optimizer.update(taken.gradients, state.opt_state, state.params)
    new_state = state.replace(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=taken.batch_stats,
        opt_state=opt_state,
    )
    sums = jax.tree.map(jnp.add, sums, taken.metrics)
    # All of it is the same on all devices, so that they decide alike.
    counts = all_finite((sums, taken.gradients, taken.batch_stats))
    new_state = parts.objective.refresh(new_state, jnp.where(counts, index, -1), taken.features)

    def chosen(new, old):
        return jnp.where(counts, new, old)

    # Not what is kept of each sample: choosing would copy it, and of row -1 nothing is kept.
    rows = {"memory": None, "groups": None}
    kept = jax.tree.map(chosen, new_state.replace(**rows), state.replace(**rows))
    new_state = kept.replace(memory=new_state.memory, groups=new_state.groups)
    return new_state, jax.tree.map(lambda x: chosen(x, jnp.nan), sums)


def all_finite(tree: Any) -> jax.Array:
    """Whether every number of a tree of arrays, which may be empty, is finite: bool []."""
    found = jnp.stack([jnp.bool_(True), *(jnp.isfinite(x).all() for x in jax.tree.leaves(tree))])
    # As jnp.all(found), of which XLA would repeat all parts wherever the answer is used.
    return found[jnp.argmin(found)]


def _place_in_epoch(parts: StepParts, step: jax.Array, index: jax.Array) -> jax.Array:
    """Numbers the draws of an epoch, whatever samples they are: int32 [B / devices]."""
    batch = step % parts.steps_per_epoch * lax.axis_size(parallel.AXIS)
    return (batch + lax.axis_index(parallel.AXIS)) * len(index) + jnp.arange(len(index))


def pmap_train_step(parts: StepParts, devices: Sequence[jax.Device] | None = None) -> Callable:
    """The training step over all devices, for images that come from the host.

    Args:
      parts: see ``StepParts``.
      devices: to build it for; None for all that are at hand.

    Returns:
      f(state, sums, index [devices, b], *images [devices, b, H, W, C] each, see ``train_step``)
      -> (state, sums), with ``sums`` the metrics added up over the epoch so far; state and sums are
      donated.
    """

    def step(state, sums, index, *images):
        return train_step(parts, state, sums, index, *images)

    return _pmap_step(step, (AXES, None, 0, *(0,) * parts.num_views), devices)


def pmap_resident_train_steps(
    parts: StepParts, num_steps: int = 1, devices: Sequence[jax.Device] | None = None
) -> Callable:
    """Training steps over all devices, for a data set that lies on each of them.

    Args:
      parts: see ``StepParts``.
      num_steps: steps of a dispatch, between which the devices do not wait for the host. More than
        one are a loop, in which XLA's CPU convolutions are many times slower.
      devices: to build them for; None for all that are at hand.

    Returns:
      f(state, sums, images, plan, first) -> (state, sums), where ``images`` is uint8 [N, H, W, C]
      and ``plan`` int32 [devices, steps, b] the epoch's samples; trains the steps of the plan from
      ``first`` on, ``num_steps`` or what is left of them.
    """

    def train(state, sums, images, plan, first):
        def body(i, carry):
            state, sums = carry
            index = plan[i]
            views = [images[index]]
            if parts.objective.hard_positives:
                hard_positive = parallel.local_part(
                    parallel.lookup(state.groups.hard_positive, parallel.gather(index))
                )
                views.append(images[hard_positive])
            return train_step(parts, state, sums, index, *views)

        if num_steps == 1:
            return body(first, (state, sums))
        last = jnp.minimum(first + num_steps, plan.shape[0])
        return lax.fori_loop(first, last, body, (state, sums))

    return _pmap_step(train, (AXES, None, None, 0, None), devices)


def pmap_examine_step(parts: StepParts) -> Callable:
    """Where a training step ceases to be finite.

    Args:
      parts: see ``StepParts``.

    Returns:
      f(state, index, *images), as ``pmap_train_step`` takes them -> bool [devices]: whether all
      numbers are finite of "samples", the state's parameters "before", "views", "features", each of
      "metrics", "gradients" and "batch_stats".
    """

    def examine(state, index, *images):
        taken = forward_and_backward(parts, state, index, *images)
        return {
            "samples": all_finite(images),
            "before": all_finite(state.params),
            "views": all_finite(taken.views),
            "features": all_finite(taken.features),
            "metrics": {name: all_finite(x) for name, x in taken.metrics.items()},
            "gradients": all_finite(taken.gradients),
            "batch_stats": all_finite(taken.batch_stats),
        }

    in_axes = (AXES, 0, *(0,) * parts.num_views)
    return jax.pmap(examine, axis_name=parallel.AXIS, in_axes=in_axes)


def _pmap_step(step: Callable, in_axes: tuple, devices: Sequence[jax.Device] | None) -> Callable:
    return jax.pmap(
        step,
        axis_name=parallel.AXIS,
        in_axes=in_axes,
        out_axes=(AXES, None),
        donate_argnums=(0, 1),
        devices=devices,
    )


def pmap_embed_step(
    encoder: nn.Module,
    names: tuple[str, ...],
    plain: Callable,
    devices: Sequence[jax.Device] | None = None,
) -> Callable:
    """Features of images as they are, batch norm in inference mode.

    Args:
      encoder: images to named features.
      names: those wanted.
      plain: images as the encoder takes them (see ``Augmentation``).
      devices: to build it for; None for all that are at hand.

    Returns:
      f(variables, images uint8 [devices, b, H, W, C]) -> {name: float32 [devices, b, ...]}.
    """

    def embed(variables, images):
        features = encoder.apply(variables, plain(images))
        return {name: features[name].astype(jnp.float32) for name in names}

    return jax.pmap(embed, axis_name=parallel.AXIS, in_axes=(None, 0), devices=devices)
