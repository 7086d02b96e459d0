"""What is discovered between epochs: a value."""

from typing import NamedTuple

import numpy as np

from pad_jax.graph.groups import Groups
from pad_jax.graph.search import Graph


class Discovery(NamedTuple):
    """The groups of an epoch and, where they come of one, the affinity graph.

    Attributes:
      epoch: how many epochs of training were done before.
      groups: of the N samples.
      graph: the affinity graph they were found in, [N, k], or None.
      edges: int32 [N, k], the edges searched: the graph's with a loop in place of each left out; or
        None.
    """

    epoch: int
    groups: Groups
    graph: Graph | None = None
    edges: np.ndarray | None = None
