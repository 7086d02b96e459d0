"""Every config loads, is locked, and describes an encoder that exists."""

import importlib
import pathlib

import pytest

from pad_jax import models, train

NAMES = sorted({p.stem for p in pathlib.Path("configs").glob("*.py")} - {"common", "tables"})


def test_all_are_there():
    expected = "cifar10 cifar100 digits folder imagenet mnist stl10 svhn"
    assert NAMES == expected.split()


@pytest.mark.parametrize("name", NAMES)
def test_config(name):
    module = importlib.import_module(f"configs.{name}")
    assert f"--config=configs/{name}.py" in module.__doc__
    assert "AAAI 2020" in module.__doc__
    assert "TODO" not in module.__doc__
    for heading in ("Command:", "Cost:", "Expected:"):
        assert heading in module.__doc__
    models.create(**module.get_config().model)


def test_the_papers_schedule():
    """0.03, and a tenth after epochs 80, 120 and 160 of 200."""
    config = importlib.import_module("configs.common").get_config()
    schedule = train.learning_rate_schedule(config, num_images=1280)  # 10 steps an epoch
    rates = [float(schedule(10 * epoch)) for epoch in (0, 79, 80, 119, 120, 159, 160, 199)]
    expected = [3e-2, 3e-2, 3e-3, 3e-3, 3e-4, 3e-4, 3e-5, 3e-5]
    assert rates == pytest.approx(expected)
    config.batch_size = 256
    assert float(train.learning_rate_schedule(config, 1280)(0)) == pytest.approx(0.06)
