"""The per-device functions of training and embedding, and the one place that pmaps them."""

import dataclasses
from collections.abc import Callable, Sequence

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


def train_step(
    parts: StepParts,
    state: TrainState,
    index: jax.Array,
    *images: jax.Array,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One step of Algorithm 1 on one device.

    Args:
      parts: see ``StepParts``.
      state: with this device's shard of the memory and the groups.
      index: int32 [B / devices], the samples of this device.
      *images: uint8 [B / devices, H, W, C], their images, or features in place of these; where the
        objective takes them, likewise the images of their hard positives.

    Returns:
      The new state, and the means over the whole batch of the objective's metrics.
    """
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
    updates, opt_state = parts.optimizer.update(gradients, state.opt_state, state.params)
    new_state = state.replace(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    return objective.refresh(new_state, index, features), metrics


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
        state, metrics = train_step(parts, state, index, *images)
        return state, jax.tree.map(jnp.add, sums, metrics)

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
            state, metrics = train_step(parts, state, index, *views)
            return state, jax.tree.map(jnp.add, sums, metrics)

        if num_steps == 1:
            return body(first, (state, sums))
        last = jnp.minimum(first + num_steps, plan.shape[0])
        return lax.fori_loop(first, last, body, (state, sums))

    return _pmap_step(train, (AXES, None, None, 0, None), devices)


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
