"""What a run chooses by itself, from its images and the devices."""

import importlib
import json
import logging

import jax
import numpy as np
import pytest

from pad_jax import config as configs
from pad_jax import data, parallel, settings, sizing
from pad_jax.epoch import EpochRunner
from pad_jax.errors import InputError
from pad_jax.run import folder
from pad_jax.train import train_and_evaluate
from tests.support.image_files import save
from tests.support.small_runs import make_checkpoint


def photos(root, **overrides):
    config = importlib.import_module("configs.photos").get_config()
    config.dataset.root = str(root)
    config.update_from_flattened_dict(overrides)
    return config


@pytest.fixture(scope="module")
def pile(tmp_path_factory):
    """40 images of about 40 px, one of which is none."""
    root, rng = tmp_path_factory.mktemp("pile"), np.random.default_rng(0)
    for i in range(40):
        save(root / f"{i:02}.png", rng.integers(0, 256, (40 + i % 3, 60, 3), np.uint8))
    (root / "00.png").write_bytes(b"no image")
    return root


def chosen(config):
    flat = dict(settings.flatten(config))
    return tuple(flat[name] for name in sizing._FIELDS)


@pytest.mark.parametrize(
    ("num_images", "devices", "size"),
    [(10**6, 1, 128), (1280, 1, 128), (1279, 1, 64), (639, 1, 32), (100, 1, 8), (8, 1, 8),
     (7, 1, 4), (1, 1, 1), (5000, 8, 128), (5000, 3, 126), (100, 16, 16), (1280, 6, 126), (8, 3, 6),
     (2, 3, 3)],
)  # fmt: skip
def test_the_batch_leaves_ten_steps_an_epoch(num_images, devices, size):
    assert sizing.batch_size(num_images, devices) == size


@pytest.mark.parametrize(
    ("num_images", "model", "side", "epochs"),
    [(3000, "tiny", 64, 180), (10_000, "tiny", 64, 50), (10_000, "tiny", 32, 200),
     (100, "tiny", 64, 200), (10**6, "tiny", 64, 10), (4000, "alexnet", 32, 40)],
)  # fmt: skip
def test_epochs_for_about_an_hour(num_images, model, side, epochs):
    assert sizing._num_epochs(num_images, model, side, True, on_cpu=True) == epochs
    assert sizing._num_epochs(num_images, model, side, True, on_cpu=False) == 200


@pytest.mark.parametrize(
    ("platform", "size", "expected"),
    [
        ("cpu", (41, 90), ("tiny", "float32", 41, 8, 200)),
        ("gpu", (41, 90), ("alexnet", "bfloat16", 41, 8, 200)),
        ("cpu", (500, 100), ("tiny", "float32", 64, 8, 200)),
        ("tpu", (20, 20), ("alexnet", "bfloat16", 28, 8, 200)),
    ],
)
def test_a_pile_of_images(tmp_path, monkeypatch, platform, size, expected):
    monkeypatch.setattr(parallel, "platform", lambda: platform)
    for i in range(12):
        save(tmp_path / f"{i:02}.png", np.full((*size, 3), 20 * i, np.uint8))
    config = photos(tmp_path)
    assert chosen(sizing.resolved(config, tmp_path / "run")) == expected
    assert chosen(config) == (None,) * 5  # as it was given


def test_features(tmp_path):
    np.save(tmp_path / "features.npy", np.random.default_rng(0).normal(size=(700, 5)))
    fields = {"dataset.name": "features", "dataset.root": str(tmp_path / "features.npy")}
    config = sizing.resolved(photos(tmp_path, **fields), tmp_path / "run")
    assert chosen(config) == ("linear", "float32", None, 64, 20)


def test_nothing_is_said_where_nothing_was_chosen(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    np.save(tmp_path / "features.npy", np.random.default_rng(0).normal(size=(700, 5)))
    fields = {"dataset.name": "features", "dataset.root": str(tmp_path / "features.npy")}
    given = {"model.name": "linear", "model.dtype": "float32", "batch_size": 8, "num_epochs": 1}
    sizing.resolved(photos(tmp_path, **fields, **given), tmp_path / "run")
    assert "Chosen" not in caplog.text


def test_what_is_given_is_not_chosen_and_what_is_chosen_is_said_once(pile, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    given = {"batch_size": 13, "dataset.image_size": 30}
    config = sizing.resolved(photos(pile, **given), tmp_path)
    assert chosen(config) == ("tiny", "float32", 30, 13, 200)
    said = [record for record in caplog.records if record.name.startswith("pad_jax")]
    assert [record.message for record in said] == [
        "Chosen for 40 images on a CPU: model.dtype=float32, model.name=tiny, num_epochs=200; "
        "--config.FIELD=VALUE sets another."
    ]
    whole = configs.default()
    assert sizing.resolved(whole, tmp_path) is whole


def test_a_run_keeps_what_it_chose(pile, tmp_path, monkeypatch):
    fields = {"num_epochs": 1, "model.name": "tests.support.parts:linear", "eval.evaluators": ()}
    config = photos(pile, **fields)

    def stopped(self, *_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EpochRunner, "__call__", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, tmp_path / "run")
    recorded = configs.filled(folder.read_config(tmp_path / "run"))
    assert chosen(recorded) == ("tests.support.parts:linear", "float32", 41, 8, 1)
    # As if it had gone on to its end.
    row = {"epoch": 1, "train/loss": 3.0}
    (tmp_path / "run/metrics.jsonl").write_text(json.dumps(row) + "\n")
    make_checkpoint(tmp_path / "run", 1)
    monkeypatch.setattr(sizing, "batch_size", None)
    monkeypatch.setattr(data, "training_samples", None)
    assert train_and_evaluate(config, tmp_path / "run") == row
    assert chosen(sizing.as_recorded(config, tmp_path / "run")) == chosen(recorded)
    assert chosen(sizing.as_recorded(config, tmp_path / "none")) == chosen(config)
    with pytest.raises(InputError, match="batch_size was 8 and is now 16"):
        train_and_evaluate(photos(pile, **fields | {"batch_size": 16}), tmp_path / "run")


def test_what_may_be_left_is_chosen():
    left = {d.name for d in settings.declarations(configs.parts({})) if d.may_be_left}
    assert left | {"dataset.image_size"} == set(sizing._FIELDS)


def test_elsewhere_a_value_has_to_be_given(pile):
    with pytest.raises(InputError, match="num_epochs=None cannot be used; training chooses"):
        configs.read(photos(pile))


def test_a_batch_of_more_than_all_images_is_refused_with_one_that_fits(pile, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="has 39 images; use batch_size=8, or more images"):
        train_and_evaluate(photos(pile, batch_size=128, num_epochs=1), tmp_path / "run")
    monkeypatch.setattr(jax, "device_count", lambda: 40)
    with pytest.raises(InputError, match="has 39 images; use more images, or fewer than the 40 de"):
        train_and_evaluate(photos(pile, batch_size=120, num_epochs=1), tmp_path / "run")
    assert not (tmp_path / "run").exists()
