"""Which rows make up which batch: pure functions of (seed, epoch) and of sizes."""

import jax
import numpy as np

from pad_jax import parallel


def epoch_plan(num_images: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """A new permutation of the rows, its ragged rest dropped: int32 [steps, batch_size]."""
    steps = num_images // batch_size
    rows = np.random.default_rng([seed, epoch, 1]).permutation(num_images)
    return rows[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def uniform_plan(group_id: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Rows drawn so that every group comes equally often, shuffled: int32 [steps, batch_size].

    Rows of small groups come several times, one as often as another up to once; of large groups
    some rows do not come. As many steps as ``epoch_plan`` has.
    """
    rng = np.random.default_rng([seed, epoch, 1])
    shuffled = rng.permutation(len(group_id))
    by_group = shuffled[np.argsort(group_id[shuffled], kind="stable")]
    _, sizes = np.unique(group_id, return_counts=True)
    steps = len(group_id) // batch_size
    each = -(-steps * batch_size // len(sizes))
    members = np.split(by_group, np.cumsum(sizes)[:-1])
    rows = rng.permutation(np.concatenate([np.resize(m, each) for m in members]))
    return rows[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def crop_places(plan: np.ndarray, seed: int, epoch: int, view: int) -> np.ndarray:
    """Where a square is cut out of an image's longer side, for a view: float [S, B], 0 to 1.

    Each place of a plan has its own: an image may come several times.
    """
    return np.random.default_rng([seed, epoch, 2, view]).random(plan.shape)


def ordered_plan(num_images: int, batch_size: int) -> np.ndarray:
    """All rows in order, int32 [batches, batch_size]; the last batch is filled up with row 0."""
    batches = -(-num_images // batch_size)
    rows = np.zeros(batches * batch_size, np.int32)
    rows[:num_images] = np.arange(num_images)
    return rows.reshape(batches, batch_size)


def split_over_devices(batch: np.ndarray, axis: int = 0) -> np.ndarray:
    """Divides an axis of a batch, [..., B, ...] -> [devices, ..., B / devices, ...]."""
    devices = jax.device_count()
    shape = (*batch.shape[:axis], devices, -1, *batch.shape[axis + 1 :])
    return np.moveaxis(batch.reshape(shape), axis, 0)


def own_part(plan: np.ndarray) -> np.ndarray:
    """This process's part of each batch of a plan: [S, B] -> [S, own devices, B / devices]."""
    return parallel.own_slices(split_over_devices(plan, axis=1)).swapaxes(0, 1)
