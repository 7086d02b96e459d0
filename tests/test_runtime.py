"""What the program sets of its surroundings."""

import importlib.util
import os
import platform
import resource
import subprocess
import sys

import pytest

from pad_jax import runtime
from pad_jax.errors import InputError

# Prints how many pages the system had to supply for twenty calls of a function with an
# intermediate value of 64 MiB.
_PROGRAM = """
import ctypes, resource
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: pages of one size on every system
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


# Prints how many MiB the process holds after it has freed 256 of them, and after it gave them back.
_PROGRAM_GIVING_BACK = """
import resource
import numpy as np
from pad_jax import runtime
runtime.configure()

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 2**20

long, short = np.ones(2**25), np.ones(2**9)  # the short one keeps the end of the heap in use
del long
print(held())
runtime.give_back_freed_memory()
print(held())
"""


# Prints how many MiB of addresses the process gave back when it freed 3,072 of them, never touched.
_PROGRAM_FREEING = """
import resource
import numpy as np
from pad_jax import runtime
runtime.configure()

def addresses():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize() // 2**20

long = np.empty(3 * 2**30, np.uint8)
before = addresses()
del long
print(before - addresses())
"""


def run(program, **variables):
    """The numbers that a program prints, in an environment that says nothing else of malloc."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_T"))}
    environment = inherited | {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": ""} | variables
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )
    return [int(number) for number in done.stdout.split()]


needs_malloc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or any(map(importlib.util.find_spec, runtime.ACCELERATORS)),
    reason="sets glibc's malloc, and that only where JAX runs on the CPU",
)


@needs_malloc
@pytest.mark.parametrize("user_says", [{}, {"MALLOC_TOP_PAD_": "0"}])
def test_a_step_uses_the_memory_of_the_last_one_again(user_says):
    (faults,) = run(_PROGRAM, **user_says)
    all_pages = 20 * 64 * 2**20 // os.sysconf("SC_PAGE_SIZE")
    assert faults > all_pages / 2 if user_says else faults < all_pages / 2


@needs_malloc
def test_however_much_a_step_frees_is_kept():
    (given_back,) = run(_PROGRAM_FREEING)
    assert given_back < 100


@needs_malloc
def test_freed_memory_is_given_back_on_request():
    before, after = run(_PROGRAM_GIVING_BACK)
    assert before - after > 200


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ("", "0.10.2", [runtime._CPU_FLAGS, "--xla_gpu_deterministic_ops=true"]),
        ("--xla_cpu_x", "0.12.0.1", ["--xla_cpu_x", "--xla_gpu_deterministic_ops=true"]),
        (
            "--xla_gpu_deterministic_ops=false --xla_cpu_x",
            "0.10.2",
            ["--xla_gpu_deterministic_ops=false", "--xla_cpu_x"],
        ),
        ("--xla_gpu_deterministic_ops=true", "0.99.0", ["--xla_gpu_deterministic_ops=true"]),
    ],
)
def test_flags_that_are_added_to_the_users(monkeypatch, before, version, after, bfloat16):
    monkeypatch.setenv("XLA_FLAGS", before)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.setattr(runtime.importlib.metadata, "version", lambda name: version)
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: None)
    runtime.configure(deterministic=True, bfloat16=bfloat16)
    products = ",LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT" * bfloat16
    after = [flag + products * (flag == runtime._CPU_FLAGS) for flag in after]
    assert os.environ["XLA_FLAGS"].split() == after


def test_a_jaxlib_that_may_not_know_the_flag_is_not_aborted(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(runtime.importlib.metadata, "version", lambda name: "0.99.0")
    with pytest.raises(InputError, match="not been tried with jaxlib 0.99.0; leave it out"):
        runtime.configure(deterministic=True)
    assert os.environ["XLA_FLAGS"] == ""


def test_this_jaxlib_knows_the_flags():
    program = (
        "from pad_jax import runtime; runtime.configure(deterministic=True, bfloat16=True); "
        "import os, jax; jax.devices(); "
        "print(*(os.environ['XLA_FLAGS'].count(x) for x in ('deterministic_ops', 'DUAL_DOT')))"
    )
    assert run(program, XLA_FLAGS="") == [1, 1]


def test_as_many_files_may_be_open_as_the_system_allows():
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    try:
        runtime.allow_open_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
