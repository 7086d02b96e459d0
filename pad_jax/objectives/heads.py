"""The linear classifier of a baseline: ``params["head"]``, beside the encoder's parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from pad_jax import parallel
from pad_jax.objectives.base import Panel
from pad_jax.state import TrainState

_HEAD = jax.tree_util.DictKey("head")


def panels(metric: str, legend: str) -> tuple[Panel, Panel]:
    """What the report draws of a baseline: its loss, and its head's accuracy under a name."""
    return (
        Panel("Loss", {"train/loss": "total"}, note="Means over an epoch's steps."),
        Panel(
            "Accuracy in training",
            {f"train/{metric}": legend},
            share=True,
            note="Of the head, on augmented images.",
        ),
    )


def init(num_features: int, num_classes: int, seed: int, epoch: int = 0) -> dict[str, np.ndarray]:
    """A head for an epoch: weights from N(0, 0.01^2), as DeepCluster draws them, biases zero.

    Returns:
      {"kernel": float32 [num_features, num_classes], "bias": float32 [num_classes]}.
    """
    kernel = np.random.default_rng([seed, epoch, 2]).normal(0, 0.01, (num_features, num_classes))
    return {"kernel": kernel.astype(np.float32), "bias": np.zeros(num_classes, np.float32)}


def replace(state: TrainState, head: dict[str, np.ndarray]) -> TrainState:
    """A state on the devices with another head, whose momentum begins at zero."""

    def without_momentum(path, x):
        return parallel.replicate(np.zeros(x.shape, x.dtype)) if _HEAD in path else x

    return state.replace(
        params=state.params | {"head": parallel.replicate(head)},
        opt_state=jax.tree_util.tree_map_with_path(without_momentum, state.opt_state),
    )


def cross_entropy(
    head: dict[str, jax.Array], features: jax.Array, labels: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The mean of -log softmax(features @ kernel + bias)[label], in float32, and the accuracy.

    Args:
      head: as ``init`` makes it.
      features: [B, num_features], of any float type.
      labels: int32 [B].
    """
    features = features.astype(jnp.float32)
    logits = jnp.matmul(features, head["kernel"], precision=lax.Precision.HIGHEST) + head["bias"]
    loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))
    return loss, jnp.mean(jnp.argmax(logits, axis=-1) == labels)
