"""The exported program: the same embeddings, elsewhere and without this package."""

import os
import subprocess
import sys

import jax
import jax.export
import numpy as np
import pytest

from pad_jax.data.preparation import Pixels, Standardization
from pad_jax.export import stablehlo
from pad_jax.models import ModelSettings
from pad_jax.models.alexnet import AlexNet
from tests.support.small_models import untrained

# Like a machine that has never heard of the package.
ELSEWHERE = """
import pathlib, sys
sys.modules["pad_jax"] = None
import jax, jax.export, numpy
encoder = jax.export.deserialize(pathlib.Path(sys.argv[1]).read_bytes())
inputs = numpy.load(sys.argv[2])
numpy.savez(sys.argv[3], all=encoder.call(inputs), one=encoder.call(inputs[:1]))
print([name for name in sys.modules if name.startswith(("pad_jax.", "flax"))])
"""


def wide(settings, platform):
    """An encoder whose convolutions are done another way on CPUs."""
    return AlexNet(
        embedding_dim=settings[ModelSettings].embedding_dim,
        widths=(8, 96, 96, 8, 8),
        kernels=(3,) * 5,
        fc_widths=(16,),
        platform=platform,
    )


@pytest.fixture(scope="module")
def model():
    return untrained(encoder=f"{__name__}:wide")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


def run_elsewhere(path, inputs, tmp_path):
    np.save(tmp_path / "inputs.npy", inputs)
    files = [path, tmp_path / "inputs.npy", tmp_path / "outputs.npz"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    said = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, *map(str, files)],
        check=True, capture_output=True, text=True, env=environment | {"JAX_PLATFORMS": "cpu"},
    ).stdout  # fmt: skip
    assert said.strip() == "[]"
    return np.load(files[-1])


def test_a_program_embeds_images_without_this_package(model, images, tmp_path):
    model.export(tmp_path / "encoder.stablehlo")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.stablehlo"]
    found = run_elsewhere(tmp_path / "encoder.stablehlo", images, tmp_path)
    expected = model.embed(images)
    assert found["all"].dtype == np.float32
    np.testing.assert_allclose(found["all"], expected, atol=1e-5)
    np.testing.assert_allclose(found["one"], expected[:1], atol=1e-5)


def test_a_program_of_features_standardises_them(rng, tmp_path):
    standardization = Standardization(np.full(7, 2, np.float32), np.full(7, 3, np.float32), 2)
    model = untrained(standardization, "linear", augmentation__name="perturbations")
    features = (rng.standard_normal((5, 7)) * 3 + 2).astype(np.float32)
    program = stablehlo.exported(model)
    (argument,) = program.in_avals
    assert (argument.dtype, argument.shape[1:]) == (np.float32, (7,))
    np.testing.assert_allclose(program.call(features), model.embed(features), atol=1e-5)
    expected = model.embed(features)
    assert not np.allclose(model.embed((features - 2) / 3), expected, atol=0.01)


def test_it_is_for_all_platforms_and_any_number_of_images():
    model = untrained(Pixels((16, 16, 1)), "tests.support.parts:linear")
    program = stablehlo.exported(model)
    assert program.platforms == ("cpu", "cuda", "tpu")
    (argument,), (result,) = program.in_avals, program.out_avals
    assert (argument.dtype, argument.shape[1:]) == (np.uint8, (16, 16, 1))
    assert (result.dtype, result.shape[1:]) == (np.float32, (128,))
    assert str(argument.shape[0]) == str(result.shape[0]) == "b"
    again = jax.export.deserialize(program.serialize())
    assert again.platforms == program.platforms


def test_each_platform_has_its_own_way(model, images):
    """Whatever the devices at hand are; and a program for all of them has all ways."""

    def convolutions(program):
        return program.mlir_module().count("stablehlo.convolution")

    cpu, tpu = (stablehlo.exported(model, (name,)) for name in ("cpu", "tpu"))
    whole = stablehlo.exported(model)
    assert (convolutions(cpu), convolutions(tpu)) == (4, 5)
    np.testing.assert_array_equal(whole.call(images), cpu.call(images))
