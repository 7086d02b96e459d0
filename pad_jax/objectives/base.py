"""What the training loop asks of an objective."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from pad_jax.data.batches import epoch_plan
from pad_jax.subgraphs import Groups
from pad_jax.train_state import TrainState


class Objective:
    """Which images the encoder sees, the loss of its features, and what a new epoch begins with.

    All methods are pure. ``inputs``, ``loss`` and ``refresh`` run inside the step on each device,
    on its part of the batch; the others on the host. What is the same for the baselines stands
    here: one view a sample, no memory, features before the embedding.

    Attributes:
      metrics: names of the figures of a step, "loss" among them.
      feature: the encoder's feature that the objective works on. "fc" is what both baselines put
        their classifier on; the embedding stays the random linear map of it that it is at first.
      hard_positives: whether the hard positive's image is each sample's second view.
      repeats: whether a sample may come several times in an epoch.
    """

    metrics: ClassVar[tuple[str, ...]]
    feature: ClassVar[str] = "fc"
    hard_positives: bool = False
    repeats: ClassVar[bool] = False

    def inputs(self, views: Sequence[jax.Array]) -> jax.Array:
        """The images that make up one batch of the encoder's.

        Args:
          views: float32 [B, H, W, C], augmented: of the samples and, with ``hard_positives``, of
            these.

        Returns:
          float32 [m B, H, W, C].
        """
        return jnp.concatenate(views)

    def loss(
        self,
        params: Any,
        features: jax.Array,
        state: TrainState,
        index: jax.Array,
        epoch: jax.Array,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The mean loss, which gradients are taken of, and the step's metrics.

        Args:
          params: those of the encoder and, for objectives that have one, of the head.
          features: [m B, F], ``feature`` of the inputs.
          state: the rest of the state.
          index: int32 [B], the samples.
          epoch: int32 [], from 0.
        """
        raise NotImplementedError

    def refresh(self, state: TrainState, index: jax.Array, features: jax.Array) -> TrainState:
        """The state after a step on these samples and features (see ``loss``)."""
        return state

    def init_head(self, num_features: int, seed: int) -> dict[str, Any]:
        """Parameters beside the encoder's, on the host; ``num_features`` is F of ``loss``."""
        return {}

    def begin_epoch(self, state: TrainState, seed: int, epoch: int) -> TrainState:
        """The state on the devices, with the epoch's groups, as its first step takes it."""
        return state

    def plan(self, groups: Groups, batch_size: int, seed: int, epoch: int) -> np.ndarray:
        """The samples of each batch of an epoch, int32 [N // batch_size, batch_size]."""
        return epoch_plan(len(groups.group_id), batch_size, seed, epoch)
