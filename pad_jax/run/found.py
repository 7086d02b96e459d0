"""What is said of groups and of the graph that they come of: every epoch, and at the end."""

import pathlib

import jax
import numpy as np

from pad_jax import progress
from pad_jax.data.images import Images
from pad_jax.graph import diagnostics
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.partition import partition
from pad_jax.graph.trust import support
from pad_jax.run import folder, kinds
from pad_jax.run.metrics import Row


def figures(
    found: Discovery,
    features: np.ndarray | jax.Array | None,
    labels: np.ndarray,
    prefix: str | None,
) -> Row:
    """Figures by name, all on the host; nothing of what there is not.

    Args:
      found: of N samples.
      features: float32 [N, D], the unit rows that its graph is of; None where it has none.
      labels: int64 [N], -1 where the class is not known.
      prefix: of the names of what is said of groups; None: nothing is.
    """
    row: Row = {}
    if prefix is not None:
        statistics: Row = {**diagnostics.group_statistics(found.groups, labels)}
        statistics["size_histogram"] = diagnostics.size_histogram(found.groups)
        row |= {f"{prefix}/{name}": value for name, value in statistics.items()}
    if found.graph is not None:
        if features is not None:
            row["graph/copies"] = diagnostics.copied_edges(np.asarray(features), found.graph)
        precision = diagnostics.neighbor_precision(found.graph.indices, labels)
        row |= {f"neighbors/{name}": value for name, value in precision.items()}
    if found.clusters is not None:
        row |= diagnostics.graph_statistics(found.clusters)
        if found.groups.members is None and row.get(f"{prefix}/count"):
            row["graph/support"] = support(found.clusters, found.groups.group_id)
    return row


def write(
    workdir: pathlib.Path,
    images: Images,
    found: Discovery,
    features: np.ndarray | jax.Array | None,
) -> Row:
    """Writes groups.csv; the row says what kinds of images there are. Arguments as above."""
    rows = None if features is None else np.asarray(features)
    with progress.clock("kinds of images"):
        cluster = partition(found, rows)
    folder.write_groups(workdir, images.names, found.groups, cluster)
    return kinds.figures(found.clusters) | kinds.agreement(cluster, images.labels)
