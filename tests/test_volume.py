"""Search, graph and loss on many random inputs; ``python -m tests.studies.volume`` takes more."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pad_jax.graph import neighbors as ours
from tests.studies.volume import graphs, losses, neighbors
from tests.support.loss_oracle import exact_loss

_FEW_SHAPES = ((17, 3, 5), (33, 8, 32), (193, 8, 7))
_FEW_BATCHES = {(5, 61, 16): (7, 61)}


def assert_none_wrong(cases, least):
    found = list(cases)
    assert [case for case in found if case.wrong] == []
    assert len(found) >= least


def test_two_thousand_searches():
    assert_none_wrong(graphs.cases(seed=1, count=2000), 2000)


def test_graphs_of_many_kinds_of_rows():
    assert_none_wrong(neighbors.cases(1, 5, _FEW_SHAPES), 120)


def test_graphs_of_many_kinds_of_rows_on_eight_devices():
    program = (
        "from tests import test_volume as t; import jax; assert jax.device_count() == 8; "
        "t.assert_none_wrong(t.neighbors.cases(2, 5, t._FEW_SHAPES[2:]), 40)"
    )
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_losses_and_gradients_at_many_temperatures():
    assert_none_wrong(losses.cases(1, 30, _FEW_BATCHES, ("kl",)), 120)


@pytest.mark.parametrize("hpe", losses.DESIGNS)
def test_the_closed_form_has_the_gradients_of_its_loss(rng, hpe):
    x, positive, memory = (losses.unit_rows(rng, n, 5).astype(float) for n in (3, 3, 20))
    in_group, valid = rng.random((3, 20)) < 0.3, np.arange(20) < 17
    in_group[:, 0] = True
    counts, tau = np.array([True, False, True]), np.array([0.07, 0.3, 2.0])

    def loss(x, positive):
        return exact_loss(x, positive, memory, in_group, valid, counts, tau, 0.8, hpe)

    for which, gradient in enumerate(loss(x, positive).gradients):
        numeric = np.zeros_like(gradient)
        for i in np.ndindex(gradient.shape):
            values = []
            for step in (1e-6, -1e-6):
                moved = [x.copy(), positive.copy()]
                moved[which][i] += step
                values.append(loss(*moved).loss)
            numeric[i] = (values[0] - values[1]) / 2e-6
        np.testing.assert_allclose(gradient, numeric, atol=1e-7)


def test_a_row_found_before_an_equal_one_with_a_lower_index_is_noticed():
    rows = np.eye(3, dtype=np.float32)[[0, 1, 0, 1, 0]]
    right = ours.nearest_neighbors(rows, 4).indices
    assert not neighbors.not_first_of_equals(rows, right).any()
    assert right[0].tolist() == [2, 4, 1, 3]
    wrong = right.copy()
    wrong[0, :2] = [4, 2]
    assert neighbors.not_first_of_equals(rows, wrong)[0].any()
