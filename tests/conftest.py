"""Every test runs with strict dtype promotion; pyproject.toml turns warnings into errors.

Nothing is read from or left in the folder the tests are started in, or in HOME.
"""

import os
import pathlib

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")

_ROOT = pathlib.Path(__file__).parents[1]
_CACHE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0.3,
    # A limit, which is never met, makes JAX lock the folder: several processes write to it.
    "JAX_COMPILATION_CACHE_MAX_SIZE": 2**33,
}


@pytest.fixture(autouse=True, scope="session")
def _surroundings(tmp_path_factory):
    """An empty working directory, and what one test compiled the next ones need not.

    Processes that tests start inherit both, and find the package, be it installed or not. The
    workers of one run of the tests share what they compile.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    cache = _CACHE | {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    for name, value in cache.items():
        jax.config.update(name.lower(), value)
    paths = [str(_ROOT), os.environ.get("PYTHONPATH")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        for name, value in cache.items():
            patch.setenv(name, str(value))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        yield


@pytest.fixture(autouse=True, scope="module")
def _programs_go_with_their_tests():
    """Compiled programs take memory maps, of which a process may have 65,530; XLA then crashes."""
    yield
    jax.clear_caches()


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


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """An uninterrupted run of three epochs."""
    from pad_jax.train import train_and_evaluate  # most tests do without
    from tests.support.small_runs import small_config

    workdir = tmp_path_factory.mktemp("runs") / "whole"
    train_and_evaluate(small_config(num_epochs=3), workdir)
    return workdir
