"""Devices that need not be at hand: those a program can be compiled for, and what they can do."""

import importlib.util
import math
import os
from collections.abc import Mapping
from typing import NamedTuple

import jax
from jax.experimental import topologies

from pad_jax.errors import InputError, first_line


class Peaks(NamedTuple):
    """The most that one device does, by its maker.

    Attributes:
      flops: FLOP/s of products, by what their factors are rounded to: "bfloat16", "default" of
        float32 (TF32 on GPUs, bfloat16 on TPUs) and "full" float32.
      bandwidth: bytes/s of its memory.
      memory: bytes of it.
      links: bytes/s that it sends to others.
    """

    flops: Mapping[str, float]
    bandwidth: float
    memory: float
    links: float


def _tpu(tera: float, bandwidth: float, memory: float, links: float) -> Peaks:
    # Full float32 is six products of bfloat16.
    flops = {"bfloat16": tera * 1e12, "default": tera * 1e12, "full": tera * 1e12 / 6}
    return Peaks(flops, bandwidth * 1e9, memory * 1e9, links * 1e9)


_HOPPER = {"bfloat16": 989.4e12, "default": 494.7e12, "full": 66.9e12}
# H100 and H200: NVIDIA's data sheets of the SXM modules, without sparsity. TPUs: Google's pages
# https://docs.cloud.google.com/tpu/docs/v5e, /v5p and /v6e; half of what links carry both ways.
PEAKS = {
    "h100": Peaks(_HOPPER, 3.35e12, 80e9, 450e9),
    "h200": Peaks(_HOPPER, 4.8e12, 141e9, 450e9),
    "v5e": _tpu(197, 819, 16, 200),
    "v5p": _tpu(459, 2765, 95, 600),
    "v6e": _tpu(918, 1638, 32, 400),
}
# By part of what JAX calls the kind of a device; the first that fits.
_KINDS = {"H100": "h100", "H200": "h200", "v5 lite": "v5e", "TPU v5": "v5p", "v6 lite": "v6e"}

# XLA's description of a GPU, a GpuTargetConfigProto; the two differ in their memory alone.
_TARGET = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: {bandwidth} l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: {memory} shared_memory_per_block_optin: 232448
  cuda_compute_capability {{ major: 9 }} registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 }}
runtime_version {{ major: 12 minor: 9 }} device_description_str: "{name}"
"""
_GPUS = ("h100", "h200")
_PACKAGES = {"tpu": ("libtpu", "tpu-plan"), "gpu": ("jax_plugins.xla_cuda12", "gpu-plan")}


class Topology(NamedTuple):
    """Devices to compile for.

    Attributes:
      name: what the user calls them.
      platform: "cpu", "gpu" or "tpu".
      devices: of JAX, in the order of a program.
      peaks: of one of them; None where they are not known.
    """

    name: str
    platform: str
    devices: tuple[jax.Device, ...]
    peaks: Peaks | None


def at_hand() -> Topology:
    """The devices that JAX finds."""
    devices = tuple(jax.devices())
    kind = next((name for part, name in _KINDS.items() if part in devices[0].device_kind), None)
    name = f"{len(devices)} x {devices[0].device_kind}"
    return Topology(name, jax.default_backend(), devices, PEAKS.get(kind or ""))


def find(name: str) -> Topology:
    """The devices of a name such as ``v5e:2x4`` or ``h100:8``; none of them is started.

    JAX runs on the CPU in this process from here on, and keeps no compiled programs: without the
    devices it could not read them again.

    Raises:
      InputError: for another name, or where what compiles for them is not installed.
    """
    kind, _, shape = name.lower().partition(":")
    sizes = shape.split("x")
    if kind not in PEAKS or not all(size.isdecimal() and int(size) for size in sizes):
        raise InputError(
            f"--topology={name} is unknown; use {' or '.join(f'{gpu}:8' for gpu in _GPUS)}, or "
            f"{', '.join(f'{tpu}:2x4' for tpu in PEAKS if tpu not in _GPUS)} (v5p: 2x2x1)"
        )
    platform = "gpu" if kind in _GPUS else "tpu"
    package, extra = _PACKAGES[platform]
    if not _is_installed(package):
        raise InputError(
            f"--topology={name} needs {package.rpartition('.')[2]}: pip install 'pad-jax[{extra}]' "
            f"(in a clone pip install '.[{extra}]')"
        )
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        if platform == "gpu":
            described = _gpus(kind, math.prod(map(int, sizes)))
        else:
            described = _tpus(kind, shape)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"--topology={name} cannot be compiled for ({first_line(error)}); take another shape, "
            f"or install the {extra} of the JAX that is here, {jax.__version__}"
        ) from error
    return Topology(name, platform, tuple(described.devices), PEAKS[kind])


def _tpus(kind: str, shape: str) -> topologies.TopologyDescription:
    # What libtpu asks of a machine with TPUs, and another process may hold: it is to compile only.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-8")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    return topologies.get_topology_desc(platform="tpu", topology_name=f"{kind}:{shape}")


def _gpus(kind: str, count: int) -> topologies.TopologyDescription:
    peaks = PEAKS[kind]
    target = _TARGET.format(
        bandwidth=int(peaks.bandwidth), memory=int(peaks.memory), name=f"NVIDIA {kind.upper()}"
    )
    return topologies.get_topology_desc(
        platform="cuda", topology_name="", topology=f"1x1x{count}", target_config=target
    )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
