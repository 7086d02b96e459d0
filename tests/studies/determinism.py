"""What repeats itself bit for bit, and how far one device and eight come apart.

    python -m tests.studies.determinism

Trains tiny on 301 small digits, as a run does, groups of every epoch included: twice on one device,
once on eight, each in a process of its own. Compares the states after 1, 10 and 1,000 steps.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

_STEPS = (1, 10, 1000)


def record(out: pathlib.Path, wanted: tuple[int, ...]) -> None:
    """Trains on the devices at hand, and writes what the wanted steps leave, as one .npz file.

    Args:
      out: the file.
      wanted: numbers of steps, rising.
    """
    # Here: JAX reads its environment when it is imported, and the command itself needs none.
    import jax

    from pad_jax import beginning, data, models, objectives, parallel, state, steps, train
    from pad_jax import config as configs
    from pad_jax.data.batches import split_over_devices
    from pad_jax.graph.neighbors import nearest_neighbors
    from pad_jax.settings import RunSettings
    from tests.support.small_runs import small_config

    steps_per_epoch = 301 // 64
    num_epochs = -(-max(wanted) // steps_per_epoch)
    settings = configs.read(small_config(num_epochs=num_epochs, **{"dataset.max_images": 301}))
    images = data.load(settings).train
    encoder, objective = models.create(settings), objectives.create(settings)
    parts = beginning.step_parts(settings, encoder, objective, len(images))
    embed = beginning.feature_embedder(settings, parts)
    blank = beginning.init_state(settings[RunSettings], parts, images)
    train_state = state.to_devices(
        beginning.first_state(settings, blank, parts, images, embed, None)
    )
    step, resident = steps.pmap_resident_train_steps(parts), parallel.replicate(images.array)
    results, done = {}, 0
    for epoch in range(num_epochs):
        found, _, _ = train.discover(objective, train_state, images, embed, epoch)
        train_state = train_state.with_groups(objective.learnt(found))
        train_state = objective.begin_epoch(train_state, epoch)
        plan = objective.plan(found.groups, epoch)
        on_devices = parallel.shard(split_over_devices(plan, axis=1))
        for i in range(steps_per_epoch):
            sums = parallel.replicate({name: np.float32(0) for name in objective.metrics})
            train_state, sums = step(train_state, sums, resident, on_devices, np.int32(i))
            done += 1
            if done in wanted:
                host = state.to_host(train_state, len(images))
                leaves = [np.asarray(x) for x in jax.tree.leaves(host)]
                nearest = nearest_neighbors(host.memory, 1).indices[:, 0]
                results |= {
                    f"{done}/bits": _digest(leaves),
                    f"{done}/params": np.concatenate(
                        [np.ravel(x) for x in jax.tree.leaves(host.params)]
                    ),
                    f"{done}/memory": host.memory,
                    f"{done}/groups": host.groups.group_id,
                    f"{done}/loss": float(parallel.fetch(sums)["loss"]),
                    f"{done}/nearest": np.mean(images.labels[nearest] == images.labels),
                }
    np.savez(out, **results)


def _digest(leaves: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for leaf in leaves:
        digest.update(f"{leaf.dtype}{leaf.shape}".encode() + leaf.tobytes())
    return digest.hexdigest()


def in_a_process(devices: int, out: pathlib.Path, wanted: tuple[int, ...]) -> dict:
    """What ``record`` writes in a process of its own with so many emulated devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.studies.determinism", "--record", out]
    subprocess.run([*command, "--steps", *map(str, wanted)], env=environment, check=True)
    return dict(np.load(out))


def differences(one: dict, other: dict, step: int) -> dict[str, str]:
    """How far two records are apart after a step, as the columns of a table."""

    def relative(name):
        a, b = one[f"{step}/{name}"], other[f"{step}/{name}"]
        return f"{np.linalg.norm(a - b) / np.linalg.norm(a):.1e}"

    moved = one[f"{step}/groups"] != other[f"{step}/groups"]
    pairs = (one[f"{step}/nearest"], other[f"{step}/nearest"])
    return {
        "steps": str(step),
        "same bits": "yes" if one[f"{step}/bits"] == other[f"{step}/bits"] else "no",
        "parameters": relative("params"),
        "memory": relative("memory"),
        "loss": relative("loss"),
        "images in another group": f"{moved.mean():.1%}",
        "nearest of the same class": " / ".join(f"{share:.3f}" for share in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, nargs="+", default=_STEPS)
    parser.add_argument("--record", type=pathlib.Path, help="only train here, and write this")
    given = parser.parse_args()
    wanted = tuple(given.steps)
    if given.record is not None:
        record(given.record, wanted)
        return
    with tempfile.TemporaryDirectory() as folder:
        one, again, eight = (
            in_a_process(devices, pathlib.Path(folder, f"{i}.npz"), wanted)
            for i, devices in enumerate((1, 1, 8))
        )
    for title, other in (("one device, twice", again), ("one device and eight", eight)):
        rows = [differences(one, other, step) for step in wanted]
        print(f"\n{title}\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
        for row in rows:
            print(f"| {' | '.join(row.values())} |")


if __name__ == "__main__":
    main()
