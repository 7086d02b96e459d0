"""What the program sets of its surroundings."""

import os
import platform
import subprocess
import sys

import pytest

# Prints how many pages the system had to supply for twenty calls of a function with an
# intermediate value of 64 MiB.
_PROGRAM = """
import resource
from pad_jax import runtime
runtime.configure()
import jax, jax.numpy as jnp

@jax.jit
def f(x):
    return (x @ x.T) @ x

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

x = jnp.ones((4096, 16))
for _ in range(20):  # until the heap has grown and small blocks have found their places
    f(x).block_until_ready()
before = faults()
for _ in range(20):
    f(x).block_until_ready()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets glibc's malloc")
@pytest.mark.parametrize("user_says", [{}, {"MALLOC_TOP_PAD_": "0"}])
def test_a_step_uses_the_memory_of_the_last_one_again(user_says):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_T"))}
    environment = inherited | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": ""} | user_says
    run = [sys.executable, "-c", _PROGRAM]
    faults = int(subprocess.run(run, env=environment, capture_output=True, check=True).stdout)
    all_pages = 20 * 64 * 2**20 // os.sysconf("SC_PAGE_SIZE")
    assert faults > all_pages / 2 if user_says else faults < all_pages / 2
