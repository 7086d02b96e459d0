"""Kinds of groups that PAD's loss can take for classes: SCSs, and what they are compared with."""

import dataclasses
from typing import ClassVar

import jax
import numpy as np

from pad_jax import registry
from pad_jax.graph.discovery import Discovery, Evidence
from pad_jax.graph.search import Graph
from pad_jax.groupings.base import Grouping
from pad_jax.settings import Settings, at_least, named, one_of, or_auto, refuse, setting, share

# Kinds by grouping.kind: subclasses of Grouping, made by f(settings).
KINDS = {
    "scs": "pad_jax.groupings.scs:Subgraphs",
    "neighbors": "pad_jax.groupings.neighbors:Neighbors",
    "anchor_neighbors": "pad_jax.groupings.anchors:AnchorNeighbors",
    "singleton": "pad_jax.groupings.singletons:Singletons",
}

# How the affinity graph is made, by grouping.graph: f(features, k, *, platform) -> Graph, on all
# processes. Those from outside get NumPy.
GRAPHS = {"exact": "pad_jax.graph.neighbors:exact_graph"}


@dataclasses.dataclass(frozen=True)
class GroupingSettings:
    """Which groups, and where they are found."""

    SECTION: ClassVar[str] = "grouping"

    kind: str = setting(
        "scs",
        "scs; neighbors (Table 3, with num_neighbors 10); with loss.hpe none, anchor_neighbors "
        "(AND, Huang et al. 2019) and singleton (instance discrimination, Wu et al. 2018); or "
        "package.module:Grouping",
        named(KINDS),
        "paper",
    )
    features: str = setting(
        "memory",
        "where they are found: memory, or embed (Eq 1 to the letter, one more pass an epoch)",
        one_of("memory", "embed"),
        "paper",
    )
    num_neighbors: int = setting(5, "k of Eq 1", at_least(1), "paper")
    graph: str = setting(
        "exact", "how neighbours are found: exact, or package.module:function", named(GRAPHS)
    )
    singletons_until: float | str = setting(
        1.0,
        "from this share of the run on, images in no group are no classes and learnt by HPE alone; "
        "auto: while clusters of the graph stand apart",
        or_auto(share("use a share of the run")),
        "paper",
    )


def create(settings: Settings) -> Grouping:
    """The kind of groups that a run's settings name."""
    grouping_settings = settings[GroupingSettings]
    grouping = registry.find(KINDS, grouping_settings.kind, "grouping.kind")(settings)
    if grouping_settings.singletons_until != 1 and not grouping.may_leave_out_singletons:
        refuse(
            "grouping.singletons_until",
            grouping_settings.singletons_until,
            f"that is not for grouping.kind={grouping_settings.kind}; use 1.0, or kind=scs",
        )
    return grouping


def build_graph(
    features: np.ndarray | jax.Array, settings: GroupingSettings, platform: str | None
) -> Graph:
    """The affinity graph of features, float32 [N, D], unit rows (Eq 1)."""
    build = registry.find(GRAPHS, settings.graph, "grouping.graph")
    if settings.graph not in GRAPHS:
        features = np.asarray(features)
    return build(features, settings.num_neighbors, platform=platform)


def evidence(graph: Graph, features: np.ndarray, epoch: int) -> Evidence:
    """What groups are found from: a graph, [N, k], of features, float32 [N, D], before an epoch."""
    from pad_jax.graph.modularity import clusters  # numba, which most that import this need not

    return Evidence(epoch, features, graph, clusters(graph))


def discover(grouping: Grouping, evidence: Evidence) -> Discovery:
    """The groups of an epoch, of a kind, with what they are found in."""
    edges = grouping.edges(evidence)
    groups = grouping.find(evidence, edges)
    return Discovery(evidence.epoch, groups, evidence.graph, edges, evidence.clusters)
