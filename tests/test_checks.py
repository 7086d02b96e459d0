"""Values that cannot work end in one line that says what to change."""

import pytest

from pad_jax import checks, train
from pad_jax.errors import InputError
from tests.small_runs import small_config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"batch_size": 301}, "batch_size=301 .* has 300 images"),
        ({"grouping.num_neighbors": 300}, "grouping.num_neighbors=300 .* has 300 images"),
        ({"grouping.kind": "groups"}, "grouping.kind='groups' .* scs, neighbors, .*singleton"),
        ({"grouping.max_size": 1}, "grouping.max_size=1"),
        ({"grouping.final_max_size": 1}, "grouping.final_max_size=1"),
        ({"grouping.edge_share": 0.0}, "grouping.edge_share=0.0 .* such as 0.1"),
        (
            {"grouping.kind": "neighbors", "grouping.singletons_until": 0.5},
            "grouping.singletons_until=0.5 .* objective=pad, grouping.kind=scs; use 1.0",
        ),
        ({"grouping.singletons_until": 1.5}, "grouping.singletons_until=1.5 .* a share"),
        ({"loss.hpe": "mse"}, "loss.hpe='mse'"),
        ({"loss.temperature": 0.0}, "loss.temperature=0.0"),
        ({"loss.final_temperature": 0.0}, "loss.final_temperature=0.0 .* 0.03 or more.* or None"),
        ({"loss.final_temperature": "low"}, "loss.final_temperature='low'"),
        ({"loss.final_temperature_from": 2.0}, "loss.final_temperature_from=2.0 .* a share"),
        ({"num_epochs": 0}, "num_epochs=0"),
        ({"model.name": "vgg"}, "model.name='vgg'"),
        ({"model.name": "alexnet", "model.stem": "standard"}, "cannot take images of 16x16"),
        ({"seed": -1}, "seed=-1"),
        ({"augmentation.jitter": (0.4, 0.4, 0.4)}, "augmentation.jitter"),
        ({"dataset.channels": 4}, "dataset.channels=4"),
        ({"dataset.max_images": 2.5}, "dataset.max_images=2.5"),
        ({"eval.features": ("conv9",)}, "eval.features=.*embedding"),
        ({"eval.probe": ("conv9",)}, "eval.probe=.*conv5"),
        ({"augmentation.crop_scale": (0.0, 1.0)}, "augmentation.crop_scale"),
        (
            {"dataset.train_split": "train+test"},
            "dataset.test_split='test' .* in dataset.train_split",
        ),
        ({"dataset.test_split": "train[80%:]"}, "dataset.test_split='train.80%:.' .* kNN"),
        ({"optimizer.decay_at": (80, 120, 160)}, "optimizer.decay_at.* shares of the run in order"),
        ({"eval.max_feature_gib": 0.0}, "eval.max_feature_gib=0.0"),
        ({"checkpoint.keep": 0}, "checkpoint.keep=0"),
        ({"memory.rate": 1.5}, "memory.rate=1.5"),
    ],
)
def test_values_that_cannot_work(tmp_path, overrides, message):
    with pytest.raises(InputError, match=message):
        train.train(small_config(**overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_slices_of_one_split_may_be_held_out():
    checks.check_config(
        small_config(**{"dataset.train_split": "train[:80%]", "dataset.test_split": "train[80%:]"})
    )


def test_batches_must_divide_over_the_devices():
    with pytest.raises(InputError, match="there are 8 devices; use a multiple"):
        checks.check_devices(small_config(batch_size=60), num_devices=8)
