"""The encoders of the study are what its table says, as a run finds them."""

import jax
import jax.numpy as jnp
import pytest

from pad_jax import config as configs
from pad_jax import models


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Convolutions of 1,296 + 41,472 + 82,944 + 165,888; batch norm 2 x 688; 3,072 x 256;
        # 256 x 128 + 128.
        ("strided", 1_112_304),
        ("strided_large_kernel", 1_112_304 + 16 * 3 * 48),
        ("strided_deeper", 1_112_304 + 9 * 192 * 192 + 2 * 192),
    ],
)
def test_their_sizes(name, parameters):
    settings = configs.read(configs.default(model__name=f"tests.studies.small_encoders:{name}"))
    encoder = models.create(settings, "cpu")
    variables = models.variables(encoder, (32, 32, 3))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == parameters
    features = models.features(encoder, (32, 32, 3))
    assert features["fc"].shape == (1, 256)
    assert features["embedding"].dtype == jnp.float32
