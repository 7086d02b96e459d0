"""Every test runs with strict dtype promotion; pyproject.toml turns warnings into errors."""

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(autouse=True, scope="session")
def _compilation_cache(tmp_path_factory):
    """What one test compiled the next ones need not."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("cache")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def unit_rows(rng):
    """A function: unit_rows(n, d) -> float32 [n, d], random rows of length one."""

    def make(n, d):
        x = rng.standard_normal((n, d))
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)

    return make
