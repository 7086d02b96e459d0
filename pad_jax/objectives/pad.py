"""Progressive Affinity Diffusion itself (Algorithm 1)."""

import dataclasses
import time
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from pad_jax import groupings, parallel, processes
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import TemperedGroups
from pad_jax.graph.probability import TemperatureSettings, entropy_temperature
from pad_jax.groupings import GroupingSettings
from pad_jax.models import ModelSettings
from pad_jax.objectives import losses, memory
from pad_jax.objectives.base import Objective, Panel
from pad_jax.objectives.memory import MemorySettings
from pad_jax.settings import AUTO, Settings, at_least, one_of, refuse, setting, yes_or_no


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """Hard positive enhancement (HPE)."""

    SECTION: ClassVar[str] = "loss"

    hpe: str = setting(
        "kl", "kl (Eq 4), cosine (Table 5), none", one_of("kl", "cosine", "none"), "paper"
    )
    hpe_weight: float = setting(0.8, "lambda of Eq 5", at_least(0), "paper")
    stop_gradient: bool = setting(False, "True: no gradient through the hard positive", yes_or_no())


class Pad(Objective):
    """L_pad of samples and their hard positives against the memory.

    It keeps the memory, float32 [N, D], unit rows (Eq 6), and discovers groups in it, or in fresh
    features, through the affinity graph.
    """

    SETTINGS = (LossSettings, TemperatureSettings, MemorySettings)
    metrics = ("loss", "loss_scs", "loss_hpe")
    feature = "embedding"
    untrained = ()
    panels = (
        Panel(
            "Loss",
            {"train/loss": "total", "train/loss_scs": "SCS (Eq 3)", "train/loss_hpe": "HPE (Eq 4)"},
            note="Means over an epoch's steps.",
        ),
    )

    def __init__(self, settings: Settings, platform: str | None = None):
        super().__init__(settings, platform)
        self._platform = platform
        self._settings, self._temperature = settings[LossSettings], settings[TemperatureSettings]
        self._memory_settings = settings[MemorySettings]
        self._grouping_settings = settings[GroupingSettings]
        self._model_settings = settings[ModelSettings]
        self._grouping = groupings.create(settings)
        self.hard_positives = self._settings.hpe != "none"
        self.prefix, self.noun = self._grouping.prefix, self._grouping.noun
        self.heading, self.nothing = self._grouping.heading, self._grouping.nothing

    def loss(self, params, features, state, index, epoch):
        embeddings, positive_embeddings = self._views(features)
        settings = self._settings
        loss, parts = losses.pad_loss(
            embeddings,
            positive_embeddings,
            state.memory,
            state.groups.group_id,
            index,
            temperature=self._temperature_of(state.groups, index, epoch),
            hpe_weight=settings.hpe_weight,
            hpe=settings.hpe,
            stop_gradient=settings.stop_gradient,
            members=state.groups.members,
            axis_name=parallel.AXIS,
            platform=self._platform,
        )
        return loss, {"loss": loss, "loss_scs": parts["scs"], "loss_hpe": parts["hpe"]}

    def _temperature_of(self, groups, index, epoch):
        if isinstance(groups, TemperedGroups):
            return parallel.lookup(groups.temperature, parallel.gather(index))
        return self._temperature.at(epoch, self._run_settings)

    def refresh(self, state, index, features):
        embeddings, _ = self._views(features)
        settings = self._memory_settings
        rows = memory.refresh(state.memory, index, embeddings, settings.rate, parallel.AXIS)
        return state.replace(memory=rows)

    def _views(self, features):
        """Embeddings of the samples and of their hard positives; without these, twice the same."""
        return jnp.split(features, 2) if self.hard_positives else (features, features)

    def check_images(self, num_images, image_shape):
        settings = self._grouping_settings
        if settings.num_neighbors >= num_images:
            refuse(
                "grouping.num_neighbors",
                settings.num_neighbors,
                f"the data set has {num_images} images; use at most {num_images - 1}, or more "
                "images",
            )

    def blank_memory(self, num_images):
        return np.zeros((num_images, self._model_settings.embedding_dim), np.float32)

    def first_memory(self, images, embed):
        if self._memory_settings.init == "random":
            dim = self._model_settings.embedding_dim
            return memory.random_rows(len(images), dim, self._run_settings.seed)
        return embed(images)

    def blank_groups(self, num_images):
        return self._at_their_temperature(self._grouping.before_training(num_images))

    def current_features(self, state, images, embed):
        settings = self._grouping_settings
        if settings.features == "memory":
            return parallel.rows_everywhere(state.memory, len(images))
        return embed(images)

    def looks_for_groups(self, epoch):
        """A memory of random rows has nothing to find, and groups of one are there without a graph.

        After the last epoch there is always one: it says what kinds of images there are.
        """
        settings = self._grouping_settings
        is_random = self._memory_settings.init == "random" and settings.features == "memory"
        if epoch == 0 and is_random:
            return False
        return self._grouping.needs_graph or epoch >= self._run_settings.num_epochs

    def discover(self, state, features, num_images, epoch):
        """The affinity graph (Eq 1), by all processes, and the groups in it (Fig 3), by the first.

        Without features every image is a class of its own.
        """
        alone = Discovery(epoch, self._grouping.before_training(num_images))
        if features is None:
            return alone, {}
        start = time.perf_counter()
        graph = groupings.build_graph(features, self._grouping_settings, self._platform)
        seconds = {"time/graph": time.perf_counter() - start}
        found, of_search = processes.on_first(
            lambda: self._search(graph, np.asarray(features), epoch), (alone, {})
        )
        return found, seconds | of_search

    def _search(self, graph, features, epoch):
        """The groups in a graph of features, float32 [N, D], and how many seconds what took."""
        start = time.perf_counter()
        evidence = groupings.evidence(graph, features, epoch)
        structure_done = time.perf_counter()
        found = groupings.discover(self._grouping, evidence)
        return found, {
            "time/structure": structure_done - start,
            "time/search": time.perf_counter() - structure_done,
        }

    def learnt(self, found):
        return self._at_their_temperature(self._grouping.learnt(found))

    def _at_their_temperature(self, groups):
        """The groups, with the temperature that fits them where the settings leave it to these."""
        if self._temperature.temperature != AUTO:
            return groups
        tau = entropy_temperature(groups)
        temperature = np.full(len(groups.group_id), tau, np.float32)
        return TemperedGroups(groups.group_id, groups.hard_positive, groups.members, temperature)
