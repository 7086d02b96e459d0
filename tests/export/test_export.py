"""Endings, and files that are written whole."""

import json
import re

import flax.traverse_util
import jax
import numpy as np
import pytest
import safetensors
import safetensors.numpy

import pad_jax
from pad_jax.data.preparation import Pixels, Standardization, recorded
from pad_jax.errors import InputError
from tests.support.small_models import untrained


@pytest.fixture(scope="module")
def model():
    return untrained(Pixels((16, 16, 1), "pad"), "tests.support.parts:linear")


def metadata(path):
    with safetensors.safe_open(path, "np") as file:
        return file.metadata()


def test_parameters_read_back(model, rng, tmp_path):
    path = tmp_path / "encoder.safetensors"
    model.export(str(path))
    arrays = safetensors.numpy.load_file(path)
    assert arrays["params.embedding.kernel"].shape == (256, 128)
    variables = flax.traverse_util.unflatten_dict(arrays, sep=".")
    jax.tree.map(np.testing.assert_array_equal, variables, model.variables)
    about = metadata(path)
    assert json.loads(about["features"]) == {"flat": [256], "embedding": [128]}
    assert json.loads(about["model"])["embedding_dim"] == 128
    assert about["version"] == pad_jax.__version__
    preparation = recorded(json.loads(about["preparation"]), {})
    assert preparation == model.preparation
    # By what is in the file alone, but for the encoder.
    images = rng.integers(0, 256, (3, 20, 30), np.uint8)
    x = preparation.new(images) / np.float32(127.5) - 1
    embeddings = jax.jit(model.encoder.apply)(variables, x)["embedding"]
    np.testing.assert_allclose(embeddings, model.embed(images), atol=1e-5)


def test_parameters_of_a_model_of_features(tmp_path):
    mean, deviation = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    model = untrained(
        Standardization(mean, deviation), "linear", augmentation__name="perturbations"
    )
    model.export(tmp_path / "encoder.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "encoder.safetensors")
    assert sorted(arrays) == [
        *("params.embedding.bias", "params.embedding.kernel"),
        *("statistics.deviation", "statistics.mean"),
    ]
    np.testing.assert_array_equal(arrays["statistics.mean"], mean)
    np.testing.assert_array_equal(arrays["statistics.deviation"], deviation)
    about = metadata(tmp_path / "encoder.safetensors")
    assert json.loads(about["preparation"]) == {"num_features": 3, "num_views": None}


def test_a_file_that_exists_is_replaced(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "encoder.safetensors"
    path.write_text("old")
    model.export("~/encoder.safetensors")
    assert len(path.read_bytes()) > 1e5
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder.onnx", "encoder.onnx: an encoder is exported to FILE.stablehlo or FILE.safeten"),
        ("encoder", "encoder: an encoder is exported to FILE.stablehlo or FILE.safetensors"),
        ("folder.safetensors", "folder.safetensors cannot be written (Is a directory)"),
        ("file/encoder.safetensors", "/file is no folder); choose another place"),
    ],
)
def test_files_that_cannot_be(model, tmp_path, name, message):
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=re.escape(message)):
        model.export(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.safetensors"]
