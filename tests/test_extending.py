"""Parts from outside the package, all of them in one run, and on the command line."""

import numpy as np
import pytest

import pad_jax
from pad_jax import config as configs
from pad_jax.errors import InputError
from pad_jax.modes.evaluate import evaluate
from pad_jax.run import metrics
from tests.support import parts
from tests.support.small_runs import evaluated, restored


def outside_config():
    config = configs.default(
        dataset__name="tests.support.parts:stripes",
        model__name="tests.support.parts:linear",
        augmentation__name="tests.support.parts:Noise",
        grouping__graph="tests.support.parts:blocked",
        eval__evaluators=("knn", "tests.support.effective_rank:EffectiveRank"),
    )
    config.num_epochs, config.batch_size, config.model.embedding_dim = 3, 32, 16
    config.eval.features = ("embedding", "flat")
    return config


def test_a_run_of_parts_from_outside(tmp_path):
    last = pad_jax.train_and_evaluate(outside_config(), tmp_path)
    rows = metrics.read(tmp_path)
    assert np.isfinite([row["train/loss"] for row in rows]).all()
    assert last["eval/knn_accuracy_flat"] > 0.9
    assert last["eval/effective_rank"] > 1
    assert "eval/kmeans_acc" not in last
    assert not any("conv" in name for name in restored(tmp_path))
    assert (tmp_path / "groups.csv").read_text().count("train/") == 160
    # The encoder sees images as in its own run, whatever the config that evaluates it says.
    config = outside_config()
    config.augmentation.name = "crops"
    figures = evaluate(config, tmp_path)
    assert figures == evaluated(last)
    model = pad_jax.load(tmp_path)
    assert model.embed(np.zeros((3, 12, 12), np.uint8)).shape == (3, 16)
    assert isinstance(model.encoder, parts.Linear)


def test_another_search_finds_the_same_groups(tmp_path):
    """The blocked search is exact, too."""
    config = outside_config()
    config.num_epochs = 1
    pad_jax.train_and_evaluate(config, tmp_path / "blocked")
    config.grouping.graph = "exact"
    pad_jax.train_and_evaluate(config, tmp_path / "exact")
    groups = [(tmp_path / name / "groups.csv").read_text() for name in ("blocked", "exact")]
    assert groups[0] == groups[1]


def test_features_that_an_encoder_does_not_have_are_named(tmp_path):
    config = outside_config()
    config.eval.features = ("fc",)
    with pytest.raises(InputError, match="eval.features='fc' .* use some of: embedding, flat"):
        pad_jax.train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
