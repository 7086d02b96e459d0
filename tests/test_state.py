"""The state between host and devices."""

import jax
import numpy as np
import pytest

from pad_jax import state
from pad_jax.graph.groups import singletons, without_singletons


@pytest.mark.parametrize(
    "groups",
    [singletons(7), without_singletons(singletons(7))],
    ids=["singletons", "no classes"],
)
def test_state_goes_to_the_devices_and_back(unit_rows, groups):
    host = state.TrainState(
        step=np.int32(3),
        params={"w": np.ones((2, 2), np.float32)},
        batch_stats={},
        opt_state=(),
        memory=unit_rows(7, 4),
        groups=groups,
    )
    back = state.to_host(state.to_devices(host), 7)
    for a, b in zip(jax.tree.leaves(host), jax.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(a, b)
