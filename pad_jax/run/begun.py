"""An epoch that has begun: what a checkpoint in its midst holds besides the state."""

from typing import Any, NamedTuple

import flax.serialization
import numpy as np

from pad_jax.epoch import Trained
from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import Groups
from pad_jax.graph.search import Graph
from pad_jax.run.metrics import Row


class Begun(NamedTuple):
    """What an epoch still needs when its training goes on, for its row and its report.

    Attributes:
      found: the graph and the groups that it learns; ``found.epoch`` epochs are done.
      row: its metrics so far.
      trained: how far its training is.
    """

    found: Discovery
    row: Row
    trained: Trained

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return self.found.epoch

    def moment(self, steps_per_epoch: int) -> str:
        """Where training is, in plain words."""
        return f"in epoch {self.epoch + 1}, after {self.trained.steps} of {steps_per_epoch} steps"

    def to_bytes(self) -> np.ndarray:
        """Everything, as uint8 [M]."""
        return np.frombuffer(flax.serialization.msgpack_serialize(_as_dicts(self)), np.uint8)

    @staticmethod
    def from_bytes(stored: np.ndarray) -> "Begun":
        """What ``to_bytes`` has made an array of.

        Raises:
          ValueError, KeyError, TypeError: for anything else.
        """
        tree = flax.serialization.msgpack_restore(stored.tobytes())
        found, trained = tree["found"], Trained(**tree["trained"])
        clusters = found.get("clusters")
        if clusters is not None:
            clusters = Clusters(**clusters | {"levels": Levels(**clusters["levels"])})
        return Begun(
            Discovery(
                found["epoch"],
                Groups(**found["groups"]),
                Graph(**found["graph"]) if "graph" in found else None,
                found.get("edges"),
                clusters,
            ),
            tree["row"],
            trained._replace(sums={name: np.float32(x) for name, x in trained.sums.items()}),
        )


def _as_dicts(value: Any) -> Any:
    """Named tuples as dicts of their fields, without those that are None."""
    if not hasattr(value, "_asdict"):
        return value
    fields = value._asdict().items()
    return {name: _as_dicts(field) for name, field in fields if field is not None}
