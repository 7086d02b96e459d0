"""What a run makes of each kind of groups, and of the settings of its loss."""

import logging

import numpy as np
import pytest

from pad_jax import beginning, data, models, objectives
from pad_jax import config as configs
from pad_jax.graph.groups import Groups
from pad_jax.graph.probability import TemperatureSettings, entropy_temperature
from pad_jax.run import checkpoints, metrics
from pad_jax.settings import RunSettings
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import AUTO, QUICK, restored, small_config


def small_parts(settings):
    objective, encoder = objectives.create(settings), models.create(settings)
    return beginning.step_parts(settings, encoder, objective, num_images=300)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The rows of a run with the groups and the loss of the defaults."""
    workdir = tmp_path_factory.mktemp("usual")
    train_and_evaluate(small_config(**QUICK), workdir)
    return metrics.read(workdir)


@pytest.mark.parametrize(
    "overrides",
    [
        {"grouping.kind": "neighbors", "grouping.num_neighbors": 10},
        {"grouping.kind": "singleton", "loss.hpe": "none"},
        {
            "grouping.kind": "anchor_neighbors",
            "grouping.rounds": 2,
            "loss.hpe": "none",
            "loss.final_temperature": 0.2,
        },
        {"grouping.features": "embed", "loss.hpe": "cosine"},
        {"grouping.cyclic": False, "grouping.max_size": 2, "grouping.final_max_size": 40},
        {"grouping.max_size": None, "loss.stop_gradient": True},
        {"memory.init": "random", "eval.every_epochs": 1},
        {"grouping.edge_share": 0.05},
        {"memory.init": "random"} | AUTO | {"grouping.features": "memory"},
        {"grouping.singletons_until": 0.5},
        {"loss.final_temperature": 0.2, "loss.final_temperature_from": 0.5},
    ],
    ids=lambda overrides: ",".join(f"{k}={v}" for k, v in overrides.items()),
)
def test_every_kind_of_group_trains_its_own_way(usual, tmp_path, overrides, caplog):
    caplog.set_level(logging.INFO, "pad_jax")
    config = small_config(**(QUICK | overrides))
    row = train_and_evaluate(config, tmp_path)
    assert np.isfinite(row["train/loss"])
    assert row["train/loss"] != usual[1]["train/loss"]
    assert (tmp_path / "report.html").exists()
    state = restored(tmp_path)
    groups = {k: v for k, v in state.items() if "groups" in k}
    kind = overrides.get("grouping.kind", "scs")
    prefixes = {key.split("/")[0] for key in row if key.endswith("/coverage")}
    assert prefixes == {"scs" if kind == "scs" else "groups"}
    expected = {"singleton": 0.0, "neighbors": 1.0}.get(kind)
    if expected is not None:
        assert row["groups/coverage"] == expected
    names = {name for row in metrics.read(tmp_path) for name in row}
    of_graph = {name for name in names if name.startswith(("graph/", "neighbors/", "time/graph"))}
    assert bool(of_graph) == (kind != "singleton")
    assert ("there is one after the last epoch alone" in caplog.text) == (kind == "singleton")
    assert "eval/clusters" in row
    if kind == "anchor_neighbors":
        assert [r["groups/count"] for r in metrics.read(tmp_path)] == [150, 300]
        assert row["groups/mean_size"] == 2
    if kind == "neighbors":
        assert row["groups/mean_size"] == 11
        assert any(v.shape == (300, 11) for v in groups.values())
        settings = configs.read(config)
        parts, images = small_parts(settings), data.load(settings).train
        target = beginning.init_state(settings[RunSettings], parts, images)
        members = checkpoints.read(
            tmp_path, 2, target
        ).groups.members  # what a resumed run restores
        np.testing.assert_array_equal(members[:, 0], np.arange(300))
    if overrides.get("grouping.max_size", "auto") != "auto":
        assert row["scs/max_size"] > 10
    if "memory.init" in overrides:  # there is nothing to find in random rows
        assert [r["scs/coverage"] > 0 for r in metrics.read(tmp_path)] == [False, True]
    if "grouping.final_max_size" in overrides:
        assert metrics.read(tmp_path)[0]["scs/max_size"] == 2
    if overrides.get("grouping.edge_share") == 0.05:  # 75 of 1,500, each in one group at most
        assert 2 <= 300 * row["scs/coverage"] <= 75
    if overrides.get("grouping.singletons_until") == 0.5:
        (group_id,) = [v for k, v in groups.items() if "group_id" in k]
        assert 0 < row["scs/coverage"] < 1
        assert np.mean(group_id >= 0) == pytest.approx(row["scs/coverage"])
    if "loss.final_temperature_from" in overrides:  # in the second epoch of two
        assert metrics.read(tmp_path)[0]["train/loss"] == usual[0]["train/loss"]
        assert row["train/loss"] < usual[1]["train/loss"] - 0.1
    if overrides.get("loss.temperature") == "auto":
        [group_id] = [v for k, v in state.items() if "group_id" in k]
        [tau] = [v for k, v in state.items() if "temperature" in k]
        assert tau.tolist() == pytest.approx(
            [entropy_temperature(Groups(group_id, group_id))] * 300
        )
    if overrides.get("loss.hpe") == "none":
        assert row["train/loss_hpe"] == 0


@pytest.mark.parametrize("hpe", ["kl", "cosine", "none"])
def test_hard_positives_are_encoded_where_they_are_learnt(hpe):
    parts = small_parts(configs.read(small_config(**{"loss.hpe": hpe})))
    assert parts.num_views == (1 if hpe == "none" else 2)


@pytest.mark.parametrize(
    ("epoch", "num_epochs", "final", "temperature"),
    [
        (8, 12, 0.2, 0.4),
        (9, 12, 0.2, 0.2),
        (12, 12, 0.2, 0.2),  # the groups after the last epoch
        (10, 20, 0.2, 0.4),  # 0.55 of 20 is a little more than 11 in floating point
        (11, 20, 0.2, 0.2),
        (11, 12, None, 0.4),
    ],
)
def test_the_temperature_changes_at_a_share_of_the_run(epoch, num_epochs, final, temperature):
    fields = {"loss.temperature": 0.4, "loss.final_temperature": final}
    fields["loss.final_temperature_from"] = 0.75 if num_epochs == 12 else 0.55
    settings = configs.read(small_config(num_epochs=num_epochs, **fields))
    at_epoch = settings[TemperatureSettings].at(epoch, settings[RunSettings])
    assert float(at_epoch) == pytest.approx(temperature)
