"""What the program sets of JAX and the C library for its user, where the user has set nothing."""

import contextlib
import ctypes
import importlib.metadata
import importlib.util
import logging
import os
import pathlib
import re
import stat
import sys

import jax

from pad_jax.errors import InputError
from pad_jax.paths import expanded

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)

# XLA's library of fused CPU kernels: training the tiny encoder is 1.2 to 1.8 times faster with it.
_CPU_FLAGS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE"
# Without it that library's sums take the speed from products in bfloat16.
_OF_PRODUCTS = ",LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
# Of XLA for GPUs: no sums whose order is left to chance, no kernels chosen by a stopwatch.
_DETERMINISTIC = "--xla_gpu_deterministic_ops"
# An XLA flag that a jaxlib does not know aborts the process, so only versions tried are listed.
_FLAGS_VERSIONS = ((0, 10, 2), (0, 12, 0))  # of jaxlib, from, to

# glibc's mallopt, by the numbers of malloc.h: large blocks come from the heap (M_MMAP_MAX), which
# all threads share (M_ARENA_MAX), grows 256 MiB at a time (M_TOP_PAD) and gives nothing back to the
# system by itself (M_TRIM_THRESHOLD): a step of AlexNet frees more than 2 GiB, the largest limit.
_MALLOC = {-4: 0, -8: 1, -2: 2**28, -1: -1}
ACCELERATORS = ("jax_plugins", "libtpu")  # packages that JAX finds GPUs and TPUs by


def configure(*, deterministic: bool = False, bfloat16: bool = False) -> None:
    """Sets XLA's flags, a compilation cache and malloc; to be called before JAX runs anything.

    XLA_FLAGS is added to only where it says nothing of the same: of the CPU, of determinism. The
    cache lies in ``$XDG_CACHE_HOME/pad_jax`` (``~/.cache/pad_jax``) unless
    JAX_COMPILATION_CACHE_DIR names another folder; set that to an empty string for none.

    Args:
      deterministic: whether GPUs are to repeat themselves bit for bit. CPUs do so anyway.
      bfloat16: whether a CPU is to multiply it fast, if it can.

    Raises:
      InputError: where it is not known whether this jaxlib has the flag for it.
    """
    known = _FLAGS_VERSIONS[0] <= _jaxlib_version() <= _FLAGS_VERSIONS[1]
    if known:
        _add_xla_flag(_CPU_FLAGS + _OF_PRODUCTS * bfloat16, unless="--xla_cpu")
    if deterministic:
        if not known and _DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
            raise InputError(
                "--deterministic has not been tried with jaxlib "
                f"{importlib.metadata.version('jaxlib')}; leave it out, and set "
                f"XLA_FLAGS={_DETERMINISTIC}=true yourself"
            )
        _add_xla_flag(f"{_DETERMINISTIC}=true", unless=_DETERMINISTIC)
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
        if _is_private(cache / "pad_jax"):
            jax.config.update("jax_compilation_cache_dir", str(cache / "pad_jax"))
        else:
            _log.warning(
                "%s is not used: others than this user can write there, and compiled programs are "
                "run. Remove it, or name another by JAX_COMPILATION_CACHE_DIR.",
                cache / "pad_jax",
            )
    keep_freed_memory()
    allow_open_files()


def allow_open_files() -> None:
    """Raises the limit of open files as far as this process may: Orbax writes many at once."""
    if resource is None:
        return
    with contextlib.suppress(OSError, ValueError):  # as where "no limit" is more than the system's
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _is_private(folder: pathlib.Path) -> bool:
    """Whether a folder is this user's, and nobody's else; also where there is none yet."""
    try:
        found = folder.stat()
    except OSError:
        return True
    return not hasattr(os, "getuid") or (
        found.st_uid == os.getuid() and not found.st_mode & stat.S_IWOTH
    )


def _jaxlib_version() -> tuple[int, ...]:
    digits = re.findall(r"\d+", importlib.metadata.version("jaxlib"))[:3]
    return tuple(int(part) for part in digits)


def _add_xla_flag(flag: str, unless: str) -> None:
    flags = os.environ.get("XLA_FLAGS", "")
    if unless not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()


def keep_freed_memory() -> None:
    """Lets the process keep the memory that one training step frees for the next one.

    XLA's CPU client asks malloc for every buffer of every step. glibc takes those of more than 32
    MiB from the system and gives them back each time, and the system clears them page by page: a
    third of the time of a step of the tiny encoder on one core, a sixth on two. The process keeps
    its largest size, until ``give_back_freed_memory``. To be called before other threads have
    asked for memory.
    Nothing happens without glibc, where a package for accelerators is installed, or where the
    environment says how malloc is to behave.
    """
    user_says = any(name.startswith("MALLOC_") for name in os.environ)
    user_says |= "malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if user_says or any(importlib.util.find_spec(name) for name in ACCELERATORS):
        return
    for parameter, value in _MALLOC.items():
        _libc("mallopt", parameter, value)


def give_back_freed_memory() -> None:
    """Gives the system what this process has freed, for example long features."""
    _libc("malloc_trim", 0)


def _libc(name: str, *arguments: int) -> None:
    """Calls a function of the C library, where there is one of that name."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)
