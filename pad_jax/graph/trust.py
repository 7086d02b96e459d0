"""How far a graph's own structure lets groups go, where settings choose themselves: ours.

NumPy in, NumPy out; this module never touches a device.
"""

import numpy as np

from pad_jax.graph.clusters import Clusters
from pad_jax.graph.search import Graph
from pad_jax.graph.subgraphs import edges_within, with_loops

# The support from which on, in the study, most pairs of nearly all groups were of one class.
SOUND = 0.3
_SIZE = 10  # the paper's s
_NEAR_PEAK = 0.8


def trusted_edges(graph: Graph, clusters: Clusters) -> np.ndarray:
    """The edges of a graph that its own structure speaks for.

    Those that have entered when the modularity of their strong components is at its peak, as less
    similar ones join what stands apart; or before, when it first is 0.8 of the peak, where the
    graph's clusters do not stand apart: there the peak is flat, and anywhere. In between as the
    trust in the clusters grows. And of these edges none between two clusters, or between one and
    the rows in none.

    Returns:
      int32 [N, k]; in place of an edge that goes, a loop (i, i). All are loops where the graph is
      no better than chance at every level, as that of equal rows.
    """
    least = clusters.levels.first_at(_NEAR_PEAK + (1 - _NEAR_PEAK) * clusters.trust)
    strong = with_loops(graph.indices, graph.similarities >= least.similarity)
    return edges_within(strong, clusters.labels)


def trusted_size(clusters: Clusters) -> int:
    """The scale threshold s that a graph allows.

      s = 10 (h / 10)^trust

    h is half of the mean cluster's rows, at least 10. So s is the paper's 10 where the graph's
    clusters do not stand apart, h where no edge leads from one to another, and in between it grows
    by the same factor for each step of trust.
    """
    half = clusters.coverage * len(clusters.labels) / max(clusters.count, 1) / 2
    return round(_SIZE * max(half / _SIZE, 1.0) ** clusters.trust)


def support(clusters: Clusters, group_id: np.ndarray) -> float:
    """How far a graph speaks for groups found in it, by a sign that follows their pair precision.

      support = Q / sqrt(c log m)

    Q is the peak of the modularity: how clearly the graph falls into parts at all. More is asked of
    it the more rows are in groups (c, their share) and the larger these are (m, the mean over the
    rows in groups). Chosen among products of powers of such figures, with labels
    (docs/studies/rule.md). Where nearly all rows are of one kind Q is low for that alone, and the
    support says nothing.

    Args:
      clusters: of the graph.
      group_id: int [N], equal for the members of a group; some are of two or more.

    Returns:
      0 for nothing, about 1 for certainty; it may be more.
    """
    _, group, size = np.unique(group_id, return_inverse=True, return_counts=True)
    grouped = size[group][size[group] > 1]
    asked = len(grouped) / len(group_id) * np.log(grouped.mean())
    return float(clusters.levels.peak.modularity / np.sqrt(asked))
