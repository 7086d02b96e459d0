"""Programs of a step: built for given devices and for another platform than the one at hand."""

import jax
import numpy as np
import pytest

from pad_jax import beginning, data, models, objectives, parallel, state, steps
from pad_jax import config as configs
from pad_jax.data.augmentation import Crops
from pad_jax.graph import neighbors
from pad_jax.settings import RunSettings
from tests.support.small_runs import small_config


def lowered(platform, devices):
    """The resident step, lowered for these devices and this platform."""
    settings = configs.read(small_config())
    encoder = models.create(settings, platform)
    objective = objectives.create(settings, platform)
    images = data.load(settings).train
    parts = beginning.step_parts(settings, encoder, objective, len(images))
    train_state = state.to_devices(beginning.init_state(settings[RunSettings], parts, images))
    sums = parallel.replicate({name: np.float32(0) for name in objective.metrics})
    arguments = (train_state, sums, images.array, np.zeros((1, 4, 64), np.int32), np.int32(0))
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
    return steps.pmap_resident_train_steps(parts, devices=devices).lower(*shapes)


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_a_step_is_built_from_shapes_alone(platform):
    program = lowered(platform, jax.devices()[:1])
    new_state, sums = program.out_info
    assert new_state.memory.shape == (1, 300, 128)
    assert set(sums) == {"loss", "loss_scs", "loss_hpe"}


def test_no_part_of_a_program_asks_what_is_at_hand(monkeypatch):
    """Platform and devices are passed in: asking for them here is an error."""

    def asked():
        raise AssertionError("the platform was asked for")

    monkeypatch.setattr(parallel, "platform", asked)
    lowered("gpu", jax.devices()[:1])
    plain = Crops(configs.read(small_config())).plain
    encoder = models.create(configs.read(small_config()), "tpu")
    steps.pmap_embed_step(encoder, ("embedding",), plain, jax.devices()[:1])


def test_a_search_is_built_for_given_devices():
    program = neighbors.pmap_search(300, 5, "tpu", tuple(jax.devices()[:1])).lower(
        jax.ShapeDtypeStruct((1,), np.int32), jax.ShapeDtypeStruct((300, 16), np.float32)
    )
    assert [x.shape for x in program.out_info] == [(1, 300, 5)] * 2
