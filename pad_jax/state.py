"""The functional state of training: what a step reads and writes, and a checkpoint holds."""

from typing import Any

import flax.struct
import jax

from pad_jax import parallel
from pad_jax.graph.groups import Groups


class TrainState(flax.struct.PyTreeNode):
    """State of training.

    On the host the arrays with one row per training sample are [N, ...]; on the devices they are
    divided by rows, [devices, rows per device, ...], and all else is replicated.

    Attributes:
      step: int32, the number of steps done.
      params, batch_stats: the encoder's variables; a baseline's classifier is params["head"].
      opt_state: the optimiser's state.
      memory: what the objective keeps per sample, a tree of arrays [N, ...]: for PAD the memory
        bank, float32 [N, D], unit rows (Eq 6); None for the baselines.
      groups: the current epoch's groups, Groups or TemperedGroups, each field [N, ...] or None.
    """

    step: Any
    params: Any
    batch_stats: Any
    opt_state: Any
    memory: Any
    groups: Groups

    @property
    def variables(self) -> dict[str, Any]:
        """The encoder's variables, for ``encoder.apply``."""
        return {"params": self.params, "batch_stats": self.batch_stats}

    def with_variables(self, variables: dict[str, Any]) -> "TrainState":
        """This state with another encoder of the same shape; what else there is in params stays."""
        return self.replace(
            params={**self.params, **variables["params"]},
            batch_stats=variables.get("batch_stats", self.batch_stats),
        )

    def with_groups(self, groups: Groups) -> "TrainState":
        """This state, on the devices, with groups from the host."""
        return self.replace(groups=_shard_groups(groups))


# How pmap divides a state: 0 where there is a device axis, None where arrays are replicated.
AXES = TrainState(step=None, params=None, batch_stats=None, opt_state=None, memory=0, groups=0)


def to_devices(state: TrainState) -> TrainState:
    """Puts a state from the host on the devices."""
    on_devices = parallel.replicate(state.replace(memory=None, groups=None))
    return on_devices.replace(
        memory=jax.tree.map(parallel.shard_rows, state.memory),
        groups=_shard_groups(state.groups),
    )


def to_host(state: TrainState, num_samples: int) -> TrainState:
    """Copies a state from the devices to the host as NumPy, padding and device axis removed."""
    rows = (state.memory, state.groups)
    on_host = parallel.fetch(state.replace(memory=None, groups=None))
    memory, groups = jax.tree.map(lambda x: parallel.fetch_rows(x, num_samples), rows)
    return on_host.replace(memory=memory, groups=groups)


def _shard_groups(groups: Groups) -> Groups:
    return jax.tree.map(lambda x: parallel.shard_rows(x, fill=-1), groups)
