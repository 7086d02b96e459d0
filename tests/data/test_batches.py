"""Which rows make up which batch."""

import jax
import numpy as np
import pytest

from pad_jax.data import batches


def test_epoch_plan():
    plan = batches.epoch_plan(103, 10, seed=1, epoch=2)
    assert plan.shape == (10, 10)
    assert len(np.unique(plan)) == 100
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert not np.array_equal(plan, batches.epoch_plan(103, 10, **other))


def test_ordered_plan():
    assert batches.ordered_plan(5, 3).tolist() == [[0, 1, 2], [3, 4, 0]]


@pytest.mark.parametrize("devices", [1, 3])
def test_split_over_devices(monkeypatch, devices):
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    x = np.arange(12).reshape(2, 6)
    split = batches.split_over_devices(x, axis=1)
    assert split.shape == (devices, 2, 6 // devices)
    np.testing.assert_array_equal(np.concatenate(split, axis=1), x)
