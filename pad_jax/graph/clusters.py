"""What stands apart in an affinity graph, and how far: values.

NumPy in, NumPy out; this module never touches a device.
"""

from typing import NamedTuple

import numpy as np

APART = 0.5  # separation from which on clusters stand apart; below it they mean nothing


class Level(NamedTuple):
    """One of ``Levels``."""

    edge_share: float
    similarity: float
    modularity: float


class Levels(NamedTuple):
    """The modularity of the strong components of the most similar edges, level by level.

    A level at which no components come together is left out: it is as the one before.

    Attributes:
      edge_share: float64 [L], share of all edges that have entered; rising.
      similarity: float32 [L], the least of these edges.
      modularity: float64 [L], of their components, in the whole graph.
    """

    edge_share: np.ndarray
    similarity: np.ndarray
    modularity: np.ndarray

    @property
    def peak(self) -> Level:
        """The first level of the highest modularity, from where on the components merge."""
        return self.first_at(1.0)

    def first_at(self, share_of_peak: float) -> Level:
        """The first level whose modularity is this share of the highest; above 0, at most 1.

        No edges, and a modularity of 0, where none is above that.
        """
        highest = self.modularity.max(initial=0.0)
        if highest <= 0:
            return Level(0.0, np.inf, 0.0)
        first = int(np.argmax(self.modularity >= share_of_peak * highest))
        return Level(*(float(of_level[first]) for of_level in self))

    def at(self, edge_share: np.ndarray) -> np.ndarray:
        """The modularity when these shares of the edges have entered: float [S] -> float64 [S].

        That of the last level reached; 0 before the first, where no components have come together.
        """
        reached = np.searchsorted(self.edge_share, edge_share, side="right")
        return np.concatenate([[0.0], self.modularity])[reached]


class Clusters(NamedTuple):
    """The clusters of an affinity graph, found without labels, and how far they can be trusted.

    Attributes:
      labels: int64 [N], 0 .. K-1 by falling size; -1 for rows in none.
      separation: how far they stand apart: the modularity of the partition into them, and into
        single rows, as a share of what K clusters can have (1 - 1 / K). 1 for clusters of one size
        with no edge between them, about 0 for parts of what hangs together; 0 where K < 2. It is
        low, too, where one of them has most of the rows.
      levels: the modularity of all strong components, level by level.
    """

    labels: np.ndarray
    separation: float
    levels: Levels

    @property
    def count(self) -> int:
        """K."""
        return int(self.labels.max(initial=-1)) + 1

    @property
    def coverage(self) -> float:
        """Share of the rows that are in one."""
        return float((self.labels >= 0).mean())

    @property
    def trust(self) -> float:
        """0 where they do not stand apart, growing with the separation to 1."""
        return max(0.0, (self.separation - APART) / (1 - APART))

    @property
    def stand_apart(self) -> bool:
        """Whether they can be taken for kinds of things: at least halfway to the most there is."""
        return self.separation >= APART
