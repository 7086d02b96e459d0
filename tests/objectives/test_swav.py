"""An objective from outside the package: SwAV against NumPy, and a run of it."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

import pad_jax
from pad_jax import config as configs
from pad_jax import objectives
from pad_jax.run import metrics
from pad_jax.settings import Settings
from tests.support import swav
from tests.support.small_runs import assert_same_state, restored

OBJECTIVE = "tests.support.swav:Swav"
STREAMED = {"dataset.max_resident_gib": 0.0}


def config(**overrides):
    """Digits of 16 px: seconds."""
    made = configs.default(objective=OBJECTIVE)
    made.update_from_flattened_dict(
        {
            "num_epochs": 3,
            "batch_size": 64,
            "dataset.max_images": 300,
            "dataset.image_size": 16,
            "augmentation.flip": False,
            "model.name": "tiny",
            "eval.every_epochs": 0,
            "eval.kmeans_runs": 1,
            "eval.pixels": False,
            "swav.prototypes": 30,
            **overrides,
        }
    )
    return made


def test_codes_are_those_of_sinkhorn_and_knopp(rng):
    scores = rng.uniform(-1, 1, (12, 5))
    codes = np.exp(scores / 0.05)
    for _ in range(3):
        codes /= 5 * codes.sum(0)
        codes /= 12 * codes.sum(1, keepdims=True)
    found = swav.sinkhorn(jnp.asarray(scores, jnp.float32), 0.05, 3)
    np.testing.assert_allclose(found, 12 * codes, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.asarray(found).sum(1), 1, rtol=1e-5)


def test_each_view_predicts_the_code_of_the_other(rng):
    scores = rng.uniform(-1, 1, (2, 12, 5))
    codes = scipy.special.softmax(rng.standard_normal((2, 12, 5)), axis=2)
    log_p = scipy.special.log_softmax(scores / 0.1, axis=2)
    expected = -np.mean([(codes[1] * log_p[0]).sum(1), (codes[0] * log_p[1]).sum(1)])
    as_float32 = [[jnp.asarray(x, jnp.float32) for x in pair] for pair in (scores, codes)]
    np.testing.assert_allclose(swav.swapped_prediction(*as_float32, 0.1), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run, the images decoded as they are needed."""
    workdir = tmp_path_factory.mktemp("swav") / "run"
    pad_jax.train_and_evaluate(config(**STREAMED), workdir)
    return workdir


def test_it_trains_in_the_shared_loop(trained):
    rows = metrics.read(trained)
    last = rows[-1]
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    assert 0 < last["train/used_prototypes"] <= 1
    assert 1 < last["prototypes/count"] <= 30
    assert "time/prototypes" in last
    assert not any(key.startswith(("scs/", "groups/", "neighbors/")) for key in last)
    state = restored(trained)
    np.testing.assert_allclose(
        np.linalg.norm(state["['params']['prototypes']"], axis=0), 1, rtol=1e-5
    )
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert "Prototypes in use" in page
    assert "Number of prototypes" in page
    assert pad_jax.load(trained).embed(np.zeros((2, 16, 16), np.uint8)).shape == (2, 128)


def test_a_streamed_run_goes_on_bit_for_bit(trained, tmp_path, monkeypatch):
    begin = swav.Swav.begin_epoch

    def interrupted(self, state, epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return begin(self, state, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(swav.Swav, "begin_epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pad_jax.train_and_evaluate(config(**STREAMED), tmp_path)
    assert len(metrics.read(tmp_path)) == 1
    pad_jax.train_and_evaluate(config(**STREAMED), tmp_path)
    assert_same_state(restored(tmp_path), restored(trained))


def test_its_settings_are_part_of_the_config():
    made = config(**{"swav.prototypes": 12})
    settings = configs.read(made)
    assert settings[swav.SwavSettings].prototypes == 12
    head = objectives.create(settings).init_head(8)
    assert head["prototypes"].shape == (8, 12)
    assert "swav" not in configs.default()
    # Named on the command line of a config that knows nothing of it: its defaults.
    plain = configs.default()
    plain.objective = OBJECTIVE
    assert configs.read(plain)[swav.SwavSettings].prototypes == 100
    assert Settings()[swav.SwavSettings].epsilon == 0.05
