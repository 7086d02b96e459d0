"""Steps that are not finite: the state they leave, and what is said of them."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from configs import features as features_config
from pad_jax import config as configs
from pad_jax import health, objectives
from pad_jax.errors import InputError
from pad_jax.run import checkpoints
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import small_config
from tests.support.steps_gone_bad import BAD, assert_same, prepared, trained
from tests.test_devices import run as run_on_devices


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("objective", ["pad", "clusters"])
def test_a_step_that_is_not_finite_is_none_and_so_are_those_after_it(objective, at_once):
    """The third of four batches has a sample that is not finite; the fourth is sound."""
    setup = prepared(objective)
    sound, _ = trained(setup, setup.plan[:BAD], at_once)
    found, sums = trained(setup, setup.plan, at_once)
    assert found.step == BAD
    assert_same(found, sound)
    assert all(np.isnan(x) for x in sums.values())


def test_gradients_that_are_not_finite_make_it_none_though_the_loss_is_finite(monkeypatch):
    setup = prepared("pad")
    np.nan_to_num(setup.images.array, copy=False, posinf=0.0)
    kind = type(setup.parts.objective)
    loss = kind.loss

    def rooted(self, params, features, state, index, epoch):
        value, metrics = loss(self, params, features, state, index, epoch)
        # Zero times the root of zero, whose slope is infinite.
        squares = jnp.where(state.step == BAD, 0.0, 1.0) * jnp.square(features).sum()
        return value + 0.0 * jnp.sqrt(squares), metrics

    monkeypatch.setattr(kind, "loss", rooted)
    sound, _ = trained(setup, setup.plan[:BAD])
    found, _ = trained(setup, setup.plan)
    assert found.step == BAD
    assert_same(found, sound)


def test_all_devices_decide_alike(tmp_path):
    """The sample that is not finite is on one of eight, which would wait for each other."""
    run_on_devices("run_bad_steps", tmp_path / "8.npz", 8)
    assert np.load(tmp_path / "8.npz")["step"] == BAD


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"loss.hpe_weight": 3e38, "loss.temperature": 0.03},
            "step 1 of epoch 1 is not finite, first in the loss, while loss_hpe and loss_scs are "
            "finite; nothing of it was kept; the likely cause is loss.hpe_weight=3e+38, by "
            "default 0.8: lower it, and choose another --workdir",
        ),
        (
            {"augmentation.noise": 3e38},
            "step 1 of epoch 1 is not finite, first in the augmented samples; nothing of it was "
            "kept; the likely cause is augmentation.noise=3e+38, by default 0: lower it, and "
            "choose another --workdir",
        ),
        (
            {"optimizer.learning_rate": 3e38},
            "step 3 of epoch 1 is not finite, first in the parameters before it; nothing of it was "
            "kept; the likely cause is optimizer.learning_rate=3e+38, by default 0.03: lower it, "
            "and choose another --workdir",
        ),
        (  # after an epoch's last step
            {"optimizer.learning_rate": 3e38, "batch_size": 100},
            "step 1 of epoch 2 is not finite, first in the parameters before it; nothing of it was "
            "kept; the likely cause is optimizer.learning_rate=3e+38, by default 0.03: lower it, "
            "and choose another --workdir",
        ),
    ],
)
def test_the_first_that_is_not_finite_and_the_setting_far_from_its_default_are_named(
    tmp_path, overrides, said
):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).standard_normal((200, 16)))
    config = features_config.get_config()
    config.dataset.root = str(tmp_path / "rows.npy")
    config.num_epochs, config.batch_size, config.grouping.num_neighbors = 2, 64, 5
    config.update_from_flattened_dict(overrides)
    with pytest.raises(InputError, match=re.escape(said)):
        train_and_evaluate(config, tmp_path / "run")
    assert not checkpoints.has_any(tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "advice"),
    [
        ({}, "lower optimizer.learning_rate=0.03"),
        (
            {"model.dtype": "bfloat16"},
            "the likely cause is model.dtype=bfloat16: set it to float32",
        ),
        ({"loss.hpe_weight": 80.0}, "the likely cause is loss.hpe_weight=80, by default 0.8"),
    ],
)
def test_gradients_that_are_not_finite_with_settings_as_usual(overrides, advice):
    settings = configs.read(small_config(**overrides))
    objective = objectives.create(settings)
    assert health.advice(settings, objective, "gradients").startswith(advice)
