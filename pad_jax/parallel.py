"""Where arrays live: the device axis, replicated arrays, and rows divided over the devices.

Every per-device function of the project is written in collectives over one axis, ``AXIS``.
Replicated arrays carry no device axis; arrays divided by rows are padded to a multiple of the
device count and shaped [devices, rows per device, ...]. On the host neither padding nor device axis
is ever seen, so a checkpoint does not depend on the number of devices.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "batch"


def platform() -> str:
    """What the devices at hand are: "cpu", "gpu" or "tpu". Asked for here alone.

    What is built for a platform takes it as an argument, so that a program can be built for devices
    that are not at hand.
    """
    return jax.default_backend()


def replicate(tree: Any) -> Any:
    """Puts every leaf of a host tree on all devices."""
    return jax.tree.map(lambda x: _place(x, _sharding()), tree)


def shard(x: np.ndarray) -> jax.Array:
    """Gives each device its slice of a leading axis as long as the device count."""
    return _place(x, _sharding(AXIS))


def shard_rows(x: np.ndarray, fill: int = 0) -> jax.Array:
    """Divides rows over the devices in order, padded: [N, ...] -> [devices, n, ...]."""
    devices = jax.device_count()
    n = -(-len(x) // devices)
    padding = np.full((devices * n - len(x), *x.shape[1:]), fill, x.dtype)
    return shard(np.concatenate([x, padding]).reshape(devices, n, *x.shape[1:]))


def own_slices(x: np.ndarray) -> np.ndarray:
    """Of slices for all devices those of this process's devices, which is what pmap takes of it."""
    process = jax.process_index()
    return x[[i for i, device in enumerate(jax.devices()) if device.process_index == process]]


def fetch(tree: Any) -> Any:
    """Copies replicated arrays to the host as NumPy."""

    def copy(x):
        if isinstance(x, jax.Array) and not x.is_fully_addressable:
            x = x.addressable_data(0)
        return np.array(x)  # a copy: the buffer may be donated while the host still reads

    return jax.tree.map(copy, tree)


def fetch_shards(tree: Any) -> Any:
    """Copies arrays with a device axis to the host, as NumPy: every device's slice of them."""
    if jax.process_count() > 1:  # where pmap gives each process only its own devices' slices
        return jax.tree.map(lambda x: multihost_utils.process_allgather(x, tiled=True), tree)
    return jax.tree.map(np.array, tree)


def fetch_rows(x: jax.Array, num_rows: int) -> np.ndarray:
    """Undoes ``shard_rows``: [devices, n, ...] -> NumPy [N, ...] without the padding."""
    x = fetch_shards(x)
    return x.reshape(-1, *x.shape[2:])[:num_rows]


def rows_everywhere(x: jax.Array, num_rows: int) -> jax.Array:
    """What ``fetch_rows`` gives, on all devices and not on the host: [devices, n, ...] -> [N, ...].

    ``np.asarray`` of it is one copy to the host, however often it is asked for.
    """
    return _pmap_gather(num_rows)(x)


@functools.lru_cache(maxsize=8)
def _pmap_gather(num_rows):
    def gather_rows(x):
        return gather(x)[:num_rows]

    return jax.pmap(gather_rows, axis_name=AXIS, out_axes=None)


def is_everywhere(x: Any) -> bool:
    """Whether an array lies as a whole on each of this process's devices."""
    return (
        isinstance(x, jax.Array)
        and x.sharding.is_fully_replicated
        and x.sharding.device_set >= set(jax.local_devices())
    )


def from_first_process(tree: Any) -> Any:
    """The first process's copy of host arrays, of the same shapes on all: what it alone has found.

    Others do not find it again: their rounding might tip a tie the other way.
    """
    return multihost_utils.broadcast_one_to_all(tree) if jax.process_count() > 1 else tree


def is_same_everywhere(x: np.ndarray) -> bool:
    """Whether all processes hold the same host array; all of them learn it."""
    return jax.process_count() == 1 or bool(np.all(multihost_utils.process_allgather(x) == x))


def largest(x: int) -> int:
    """The largest of the processes' numbers; each has to call this, and waits for the others."""
    if jax.process_count() == 1:
        return x
    return int(multihost_utils.process_allgather(np.array(x)).max())


def _sharding(*spec: str) -> NamedSharding:
    # The layout pmap itself gives its results: arguments placed so cost no second compilation.
    return NamedSharding(Mesh(np.asarray(jax.devices()), (AXIS,)), PartitionSpec(*spec))


def _place(x: Any, sharding: NamedSharding) -> jax.Array:
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])


def is_pmapped() -> bool:
    """Whether this is traced inside a function that is pmapped over ``AXIS``."""
    try:
        lax.axis_index(AXIS)
    except NameError:
        return False
    return True


# Inside a pmapped function. ``axis_name`` None stands for a single device.


def gather(x: jax.Array, axis_name: str | None = AXIS) -> jax.Array:
    """The whole batch's rows from this device's part of them: [B / devices, ...] -> [B, ...]."""
    return x if axis_name is None else lax.all_gather(x, axis_name, tiled=True)


def local_part(x: jax.Array, axis_name: str | None = AXIS) -> jax.Array:
    """This device's part of the whole batch's rows: [B, ...] -> [B / devices, ...]."""
    if axis_name is None:
        return x
    b = x.shape[0] // lax.axis_size(axis_name)
    return lax.dynamic_slice_in_dim(x, lax.axis_index(axis_name) * b, b)


def local_rows(index: jax.Array, num_rows: int, axis_name: str | None = AXIS) -> jax.Array:
    """Where rows of a divided table lie on this device, int32 [B]; ``num_rows`` if on another one.

    Out-of-bounds rows are what ``.at[].get(mode="fill")`` and ``.at[].set(mode="drop")`` pass over.
    """
    if axis_name is None:
        return index
    row = index - lax.axis_index(axis_name) * num_rows
    return jnp.where((row >= 0) & (row < num_rows), row, num_rows)


def lookup(table: jax.Array, index: jax.Array, axis_name: str | None = AXIS) -> jax.Array:
    """Rows of a table divided over the devices, for an index that is the same on each.

    [n, ...], [B] -> [B, ...]
    """
    if axis_name is None:
        return jnp.asarray(table)[index]
    row = local_rows(index, table.shape[0], axis_name)
    is_integer = jnp.issubdtype(table.dtype, jnp.integer)
    lowest = jnp.iinfo(table.dtype).min if is_integer else -jnp.inf
    return lax.pmax(table.at[row].get(mode="fill", fill_value=lowest), axis_name)
