"""What stands apart in an affinity graph, and how far: values.

NumPy in, NumPy out; this module never touches a device.
"""

from typing import NamedTuple

import numpy as np

APART = 0.5  # separation from which on clusters stand apart; below it they mean nothing


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
    def peak(self) -> int | None:
        """The first level of the highest modularity; None where none is above 0."""
        best = int(self.modularity.argmax()) if len(self.modularity) else 0
        return best if len(self.modularity) and self.modularity[best] > 0 else None

    def at(self, edge_share: np.ndarray) -> np.ndarray:
        """The modularity when these shares of the edges have entered: float [S] -> float64 [S].

        That of the last level reached; 0 before the first, where no components have come together.
        """
        reached = np.searchsorted(self.edge_share, edge_share, side="right")
        return np.concatenate([[0.0], self.modularity])[reached]


class Clusters(NamedTuple):
    """The strong components at the level of the highest modularity: what stands apart in a graph.

    Attributes:
      labels: int64 [N], 0 .. K-1 by falling size; -1 for rows in no component of ``least_size``.
      levels: all of them.
    """

    labels: np.ndarray
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
    def separation(self) -> float:
        """How far they stand apart: their modularity as a share of what K clusters can have.

        1 for K equal components with no edge between them; 0 where there are fewer than two.
        """
        return min(self.modularity / (1 - 1 / self.count), 1.0) if self.count > 1 else 0.0

    @property
    def stand_apart(self) -> bool:
        """Whether they are kinds of rows at all: a graph without any has components as well."""
        return self.separation >= APART

    @property
    def edge_share(self) -> float:
        """Share of the edges that makes them; 0 where nothing stands apart."""
        return 0.0 if self.levels.peak is None else float(self.levels.edge_share[self.levels.peak])

    @property
    def modularity(self) -> float:
        """Of the partition into all components of these edges, small ones as well."""
        return 0.0 if self.levels.peak is None else float(self.levels.modularity[self.levels.peak])
