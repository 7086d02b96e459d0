"""Encoders: sizes, named features, batch norm, stems, platforms."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pad_jax import config, models
from pad_jax.errors import InputError
from pad_jax.models import ModelSettings, layers
from pad_jax.models.vectors import MlpSettings
from pad_jax.settings import Settings

# (encoder, stem, image side, channels): parameters, shape of conv5, width of fc.
# AlexNet by hand, small: convolutions 7,200 + 614,400 + 884,736 + 1,327,104 + 884,736; batch norm
# 2 x (1,376 + 8,192); fully connected 4,096 x 4,096 twice; head 4,096 x 128 + 128.
ENCODERS = {
    ("alexnet", "small", 32, 3): (37_816_160, (4, 4, 256), 4096),
    ("alexnet", "standard", 224, 3): (58_815_328, (6, 6, 256), 4096),
    ("resnet18", "small", 32, 3): (11_234_496, (4, 4, 512), 512),
    ("resnet18", "standard", 224, 3): (11_242_176, (7, 7, 512), 512),
    ("resnet50", "small", 32, 3): (23_762_624, (4, 4, 2048), 2048),
    ("resnet50", "standard", 224, 3): (23_770_304, (7, 7, 2048), 2048),
    ("tiny", "small", 28, 1): (724_576, (4, 4, 128), 256),
}


FEATURES = {"conv1", "conv2", "conv3", "conv4", "conv5", "fc", "embedding"}


def create(platform=None, **fields):
    return models.create(Settings(ModelSettings(**fields)), platform)


@pytest.mark.parametrize("case", ENCODERS)
def test_parameters_and_shapes(case):
    name, stem, side, channels = case
    count, conv5, fc = ENCODERS[case]
    encoder = create(name=name, stem=stem)
    images = jax.ShapeDtypeStruct((2, side, side, channels), jnp.float32)
    variables = jax.eval_shape(encoder.init, jax.random.key(0), images)
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == count
    features = jax.eval_shape(encoder.apply, variables, images)
    assert set(features) == FEATURES
    assert features["conv5"].shape == (2, *conv5)
    assert features["fc"].shape == (2, fc)
    assert features["embedding"].shape == (2, 128)


@pytest.mark.parametrize("name", ["tiny", "resnet18"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_embeddings_are_unit_rows_in_float32(rng, name, dtype):
    encoder = create("gpu", name=name, dtype=dtype, embedding_dim=32)
    images = rng.uniform(-1, 1, (3, 28, 28, 1)).astype(np.float32)
    with jax.numpy_dtype_promotion("standard"):  # Flax's batch norm mixes types in bfloat16
        variables = encoder.init(jax.random.key(0), images)
        features = encoder.apply(variables, images)
    assert features["conv5"].dtype == jnp.dtype(dtype)
    assert features["embedding"].dtype == jnp.float32
    np.testing.assert_allclose(np.linalg.norm(features["embedding"], axis=1), 1, rtol=1e-5)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "tiny", "linear", "mlp"])
@pytest.mark.parametrize(
    ("platform", "dtype"), [("cpu", "float32"), ("gpu", "bfloat16"), ("tpu", "bfloat16")]
)
def test_bfloat16_is_for_accelerators(name, platform, dtype):
    """A CPU's activations are float32; which products it rounds, test_products.py says."""
    assert create(platform, name=name, dtype="bfloat16").dtype == dtype


def test_inference_looks_at_one_image_at_a_time(rng):
    encoder = create(name="tiny")
    images = rng.uniform(-1, 1, (4, 28, 28, 1)).astype(np.float32)
    variables = encoder.init(jax.random.key(0), images)
    together = encoder.apply(variables, images)["embedding"]
    alone = encoder.apply(variables, images[:1])["embedding"]
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)


@pytest.mark.parametrize("side", [7, 8])
def test_max_pool_equals_flax_with_its_gradient(rng, side):
    x = rng.standard_normal((2, side, side, 3)).astype(np.float32)

    def flax_pool(x):
        return nn.max_pool(x, (2, 2), (2, 2), "SAME")

    np.testing.assert_array_equal(layers.max_pool_2x2(x), flax_pool(x))
    ours, theirs = (
        jax.grad(lambda x, f=f: jnp.sum(f(x) ** 2))(x) for f in (layers.max_pool_2x2, flax_pool)
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", sorted(models.ENCODERS.keys() - {"linear", "mlp"}))
def test_training_mode_outside_of_a_pmap_and_the_features_listed(rng, name):
    encoder = create(name=name, embedding_dim=24)
    images = rng.uniform(-1, 1, (3, 20, 16, 3)).astype(np.float32)
    variables = jax.jit(encoder.init)(jax.random.key(0), images)

    def apply(variables, images):
        return encoder.apply(variables, images, train=True, mutable=["batch_stats"])

    listed = {k: (v.shape, v.dtype) for k, v in models.features(encoder, (20, 16, 3)).items()}
    assert listed["embedding"] == ((1, 24), jnp.float32)
    compiled = jax.jit(apply)
    # One operation after the other as well, where that takes no longer than compiling them.
    functions = (apply, compiled) if name == "tiny" else (compiled,)
    results = [f(variables, images) for f in functions]
    for features, updates in results:
        assert {k: ((1, *v.shape[1:]), v.dtype) for k, v in features.items()} == listed
        np.testing.assert_allclose(np.linalg.norm(features["embedding"], axis=1), 1, rtol=1e-5)
        structures = [jax.tree.map(jnp.shape, x["batch_stats"]) for x in (updates, variables)]
        assert structures[0] == structures[1]
    # Of the first layer: after many, rounding has grown.
    found = [updates["batch_stats"]["conv1_bn"] for _, updates in results]
    before = variables["batch_stats"]["conv1_bn"]
    for key in ("mean", "var"):
        assert not np.allclose(found[-1][key], before[key])
        if len(found) == 2:
            np.testing.assert_allclose(found[0][key], found[1][key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_images_that_are_too_small(name):
    encoder = create(name=name, stem="standard")
    if name == "alexnet":
        with pytest.raises(InputError, match="images of 16x16; use model.stem=small"):
            models.features(encoder, (16, 16, 3))
    else:
        assert models.features(encoder, (16, 16, 3))["conv5"].shape == (1, 1, 1, 512)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "vgg"}, "model.name='vgg'.*alexnet, resnet18"),
        ({"name": "alexnet", "stem": "big"}, "model.stem='big'"),
        ({"name": "tiny", "stem": "standard"}, "model.stem='standard'.*tiny.*use one of: small"),
        ({"name": "tiny", "dtype": "float8"}, "model.dtype='float8'"),
        ({"name": "tiny", "embedding_dim": 0}, "model.embedding_dim=0"),
    ],
)
def test_bad_settings(fields, message):
    chosen = config.default()
    chosen.model.update(fields)
    with pytest.raises(InputError, match=message):
        models.create(config.read(chosen))


def test_unknown_encoder():
    with pytest.raises(InputError, match="model.name='vgg'.*alexnet, resnet18"):
        create(name="vgg")


def test_encoders_of_features(rng):
    rows = rng.standard_normal((6, 20)).astype(np.float32)
    linear = create(name="linear", embedding_dim=8)
    variables = linear.init(jax.random.key(0), rows)
    assert set(variables) == {"params"}
    features = linear.apply(variables, rows)
    assert set(features) == {"embedding"}
    layer = variables["params"]["embedding"]
    expected = rows @ layer["kernel"] + layer["bias"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(features["embedding"], expected, atol=1e-6)

    mlp = models.create(
        Settings(ModelSettings(name="mlp", embedding_dim=8), MlpSettings(hidden_dim=5))
    )
    variables = mlp.init(jax.random.key(0), rows)
    features, updates = mlp.apply(variables, rows, train=True, mutable=["batch_stats"])
    hidden = rows @ variables["params"]["fc1"]["kernel"]
    hidden = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
    np.testing.assert_allclose(features["fc"], np.maximum(hidden, 0), atol=1e-5)
    assert features["embedding"].shape == (6, 8)
    assert updates["batch_stats"]["fc1_bn"]["mean"].shape == (5,)
    assert models.features(mlp, (20,))["fc"].shape == (1, 5)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_encoders_of_features_in_bfloat16(rng, name):
    encoder = create("gpu", name=name, dtype="bfloat16", embedding_dim=8)
    rows = rng.standard_normal((6, 20)).astype(np.float32)
    with jax.numpy_dtype_promotion("standard"):
        features = encoder.apply(encoder.init(jax.random.key(0), rows), rows)
    assert features["embedding"].dtype == jnp.float32
