"""Strongly connected subgraphs (SCS): the paper's groups, and its ablations (Table 4)."""

import dataclasses
from typing import ClassVar

import numpy as np

from pad_jax.graph.discovery import Discovery, Evidence
from pad_jax.graph.groups import Groups, hard_positives, without_singletons
from pad_jax.graph.subgraphs import strongest_edges, strongly_connected_subgraphs
from pad_jax.graph.trust import trusted_edges, trusted_size
from pad_jax.groupings import GroupingSettings
from pad_jax.groupings.base import Grouping
from pad_jax.settings import (
    AUTO,
    Rule,
    RunSettings,
    Settings,
    at_least,
    or_auto,
    refuse,
    setting,
    yes_or_no,
)


@dataclasses.dataclass(frozen=True)
class SubgraphSettings:
    """How SCSs are searched."""

    SECTION: ClassVar[str] = "grouping"

    max_size: int | str | None = setting(
        10,
        "s, the scale threshold; None: no limit; auto: from 10 to half a cluster of the graph, the "
        "farther its clusters stand apart",
        or_auto(at_least(2)),
        "paper",
    )
    final_max_size: int | None = setting(
        None,
        "s grows to this over the run, by the same factor every epoch; None: it stays",
        at_least(2),
    )
    edge_share: float | str = setting(
        1.0,
        "share of the graph's edges, the most similar ones, that are searched; auto: up to the "
        "peak of modularity, and none between the graph's clusters",
        or_auto(Rule(lambda v: 0 < v <= 1, "use a share of the edges, such as 0.1")),
        "paper",
    )
    cyclic: bool = setting(
        True, "False: without the cyclic constraint (Table 4)", yes_or_no(), "paper"
    )

    def check(self) -> None:
        if self.max_size in (None, AUTO) and self.final_max_size is not None:
            refuse(
                "grouping.final_max_size",
                self.final_max_size,
                f"s grows to it from grouping.max_size, which is {self.max_size}; give that a "
                "number, or None here",
            )

    def size_limit(self, epoch: int, num_epochs: int) -> int | str | None:
        """The scale threshold s of an epoch, from ``max_size`` in the first to ``final_max_size``.

        It grows by the same factor every epoch. Not in the paper: an encoder that is still poor
        needs a low threshold, a good one does not. AUTO leaves it to the graph.
        """
        first, final = self.max_size, self.final_max_size
        if first is None or isinstance(first, str) or final is None:
            return first
        done = min(epoch / max(num_epochs - 1, 1), 1.0)
        return round(first * (final / first) ** done)


class Subgraphs(Grouping):
    """Strongly connected subgraphs of the affinity graph (Fig 3)."""

    SETTINGS = (SubgraphSettings,)
    prefix = "scs"
    may_leave_out_singletons = True

    def __init__(self, settings: Settings):
        self._settings, self._run_settings = settings[SubgraphSettings], settings[RunSettings]
        self._grouping_settings = settings[GroupingSettings]

    def edges(self, evidence: Evidence) -> np.ndarray:
        settings, graph = self._settings, evidence.graph
        if settings.edge_share == 1:
            return graph.indices
        if settings.edge_share == AUTO:
            return trusted_edges(graph, evidence.clusters)
        return strongest_edges(graph.indices, graph.similarities, settings.edge_share)

    def find(self, evidence: Evidence, edges: np.ndarray) -> Groups:
        settings, run_settings = self._settings, self._run_settings
        max_size = settings.size_limit(evidence.epoch, run_settings.num_epochs)
        if max_size == AUTO:
            max_size = trusted_size(evidence.clusters)
        group_id = strongly_connected_subgraphs(
            edges,
            max_size,
            cyclic=settings.cyclic,
            seed=(run_settings.seed, evidence.epoch),
        )
        return Groups(group_id, hard_positives(group_id, evidence.features))

    def learnt(self, found: Discovery) -> Groups:
        """The groups with images in no group as classes of their own, up to ``singletons_until``.

        To the end of the run in the paper. That pushes such an image and others of its class apart.
        Where there is no group at all they stay classes.
        """
        until, run_settings = self._grouping_settings.singletons_until, self._run_settings
        if until == AUTO:
            are_classes = found.clusters is None or not found.clusters.stand_apart
        else:
            are_classes = found.epoch < round(until * run_settings.num_epochs)
        if are_classes:
            return found.groups
        learnt = without_singletons(found.groups)
        return learnt if (learnt.group_id >= 0).any() else found.groups
