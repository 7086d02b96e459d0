"""What the training loop asks of an objective."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pad_jax.data.batches import epoch_plan
from pad_jax.data.images import Images
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import Groups, singletons
from pad_jax.settings import RunSettings, Settings
from pad_jax.state import TrainState

# Of a set of images the objective's ``feature``, float32 [N, F], by the encoder as it is.
Embed = Callable[[Images], np.ndarray]


class Panel(NamedTuple):
    """A plot of the report: some metrics of a run by epoch.

    Attributes:
      title: above it.
      curves: what each metric is called in the legend; those that a run lacks are left out.
      scale: of the vertical axis, "linear" or "log".
      share: whether 0 to 1 are the limits.
      note: below it.
      whole: whether it is of whole numbers, from 0 on.
    """

    title: str
    curves: Mapping[str, str]
    scale: str = "linear"
    share: bool = False
    note: str = ""
    whole: bool = False


class Objective:
    """What a run learns: its inputs and loss, what it keeps per sample, and what it discovers.

    All methods are pure. ``inputs``, ``loss`` and ``refresh`` run inside the step on each device,
    on its part of the batch; the others on the host. What is the same for the baselines stands
    here: one view a sample, nothing kept, nothing discovered, features before the embedding.

    Attributes:
      SETTINGS: the settings dataclasses that it declares.
      takes: the kind of samples that it takes, PIXELS or FEATURES; None for any.
      metrics: names of the figures of a step, "loss" among them.
      feature: the encoder's feature that the objective works on. "fc" is what both baselines put
        their classifier on; the embedding stays the random linear map of it that it is at first.
      untrained: the layers that get no gradient, and so no weight decay.
      hard_positives: whether the hard positive's image is each sample's second view.
      repeats: whether a sample may come several times in an epoch.
      prefix: of the metrics that describe its groups; None where it has none.
      noun, heading: what the report calls a group, and the groups above them.
      nothing: what the report says where there is no group to show.
      panels: what the report draws of its metrics.
    """

    SETTINGS: ClassVar[tuple[type, ...]] = ()
    takes: ClassVar[str | None] = None
    metrics: ClassVar[tuple[str, ...]] = ("loss",)
    feature: ClassVar[str] = "fc"
    untrained: ClassVar[tuple[str, ...]] = ("embedding",)
    repeats: ClassVar[bool] = False
    panels: ClassVar[tuple[Panel, ...]] = (Panel("Loss", {"train/loss": "total"}),)
    hard_positives: bool = False
    prefix: str | None = None
    noun: str = "group"
    heading: str = "Groups"
    nothing: str = "This objective needs no groups."

    def __init__(self, settings: Settings, platform: str | None = None):
        self._run_settings = settings[RunSettings]

    # In the step

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
        """The state after a step on these samples and features (see ``loss``).

        Where the step is not finite every sample is -1: ``memory`` then has to stay as it was, bit
        for bit. What is changed of the rest is passed over.
        """
        return state

    # What it begins with

    def check_images(self, num_images: int, image_shape: tuple[int, ...]) -> None:
        """Raises InputError for images that it cannot learn from."""

    def init_head(self, num_features: int) -> dict[str, Any]:
        """Parameters beside the encoder's, on the host; ``num_features`` is F of ``loss``."""
        return {}

    def blank_memory(self, num_images: int) -> Any:
        """The form of what it keeps per sample: a tree of arrays [N, ...]; None for nothing."""
        return None

    def first_memory(self, images: Images, embed: Embed) -> Any:
        """What training begins with, in the form of ``blank_memory``."""
        return self.blank_memory(len(images))

    def blank_groups(self, num_images: int) -> Groups:
        """The form of its groups, and what they are before anything is discovered."""
        return singletons(num_images)

    # Between epochs

    def looks_for_groups(self, epoch: int) -> bool:
        """Whether ``discover`` is to have features, before an epoch from 0 on or after the last."""
        return True

    def current_features(
        self, state: TrainState, images: Images, embed: Embed
    ) -> np.ndarray | jax.Array | None:
        """What groups are found in, float32 [N, F], on the host or whole on all devices.

        None where there are none to find.
        """
        return None

    def discover(
        self,
        state: TrainState,
        features: np.ndarray | jax.Array | None,
        num_images: int,
        epoch: int,
    ) -> tuple[Discovery, dict[str, float]]:
        """The groups that the epoch is to learn, and how many seconds what took, "time/...".

        Each process calls this, and takes the first one's groups. So what costs much on the host
        is for that alone (``processes.on_first``); the others give groups of the same shapes.

        Args:
          state: on the devices, after ``epoch`` epochs.
          features: of ``current_features``, by its encoder; None where ``looks_for_groups`` does
            not ask for any.
          num_images: N.
          epoch: from 0; after the last epoch the number of epochs.
        """
        return Discovery(epoch, self.blank_groups(num_images)), {}

    def learnt(self, found: Discovery) -> Groups:
        """The groups as the loss of the epoch takes them; of several processes the first one's."""
        return found.groups

    def begin_epoch(self, state: TrainState, epoch: int) -> TrainState:
        """The state on the devices, with the epoch's groups, as its first step takes it."""
        return state

    def plan(self, groups: Groups, epoch: int) -> np.ndarray:
        """The samples of each batch of an epoch, int32 [N // batch_size, batch_size]."""
        run_settings = self._run_settings
        return epoch_plan(len(groups.group_id), run_settings.batch_size, run_settings.seed, epoch)
