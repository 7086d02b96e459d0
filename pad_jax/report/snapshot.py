"""What a report is drawn from."""

from typing import NamedTuple

import numpy as np

from pad_jax.data.images import Images
from pad_jax.graph.discovery import Discovery
from pad_jax.objectives.base import Objective


class Snapshot(NamedTuple):
    """One moment of a run, on the host.

    Attributes:
      images: the N training images.
      objective: what the run learns.
      found: the newest affinity graph and its groups.
      features: float32 [N, D], what groups are found in, as unit rows; None where there are none.
      queries: a few test images, or None.
      query_features: float32 [Q, D], theirs, unit rows, or None.
    """

    images: Images
    objective: Objective
    found: Discovery
    features: np.ndarray | None
    queries: Images | None = None
    query_features: np.ndarray | None = None
