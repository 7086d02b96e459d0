"""What test_devices.py runs in a process of its own, once with one device and once with eight.

python -m tests.support.device_worker FUNCTION OUT [COORDINATOR PROCESS], with XLA_FLAGS giving the
number of devices; with the last two it is one of two processes.
"""

import pathlib
import sys

import jax
import jax.flatten_util
import numpy as np
from sklearn.datasets import load_digits

from pad_jax import beginning, data, models, objectives, parallel, processes, state, steps, train
from pad_jax import config as configs
from pad_jax.data.batches import epoch_plan, split_over_devices
from pad_jax.embedding import Embedder, collected
from pad_jax.errors import InputError
from pad_jax.graph import neighbors
from pad_jax.graph.groups import TemperedGroups, hard_positives
from pad_jax.groupings.scs import Subgraphs
from pad_jax.models.vectors import VectorEncoder
from pad_jax.objectives import losses, memory
from pad_jax.settings import RunSettings
from tests.support import small_runs, steps_gone_bad
from tests.support.image_files import save


def small_config(**overrides):
    """301 digits: no multiple of eight."""
    fields = {"dataset.max_images": 301, "eval.kmeans_runs": 1, "eval.pixels": False}
    return small_runs.small_config(**(fields | overrides))


def prepare(config):
    """The images of a small run, and the parts of its step, at a low and constant rate."""
    config.optimizer.learning_rate = 0.0001 * 128 / config.batch_size  # it is scaled with that
    config.optimizer.decay_at = ()
    settings = configs.read(config)
    images = data.load(settings).train
    encoder, objective = models.create(settings), objectives.create(settings)
    return settings, images, beginning.step_parts(settings, encoder, objective, len(images))


def run_parts(out):
    """What tests hold together of one device and of eight; a file of each in the folder OUT."""
    folder = pathlib.Path(out)
    folder.mkdir()
    run_steps(folder / "steps.npz")
    run_baseline_steps(folder / "baseline_steps.npz")
    run_functions(folder / "functions.npz")  # the last one: it divides the graph for good


def run_steps(out):
    """Ten training steps with the same groups; the state after one and after ten."""
    _, images, parts = prepare(small_config(**{"augmentation.flip": True}))
    n = len(images)
    variables = parts.encoder.init(jax.random.key(0), np.zeros((1, *images.shape), np.float32))
    variables = jax.tree.map(np.asarray, variables)
    rows = memory.random_rows(n, 128, seed=0)
    group_id = (np.arange(n) // 7 * 7).astype(np.int32)
    train_state = state.TrainState(
        step=np.zeros((), np.int32),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=jax.tree.map(np.asarray, parts.optimizer.init(variables["params"])),
        memory=rows,
        groups=TemperedGroups(
            group_id,
            hard_positives(group_id, rows),
            members=None,
            temperature=np.linspace(0.09, 0.11, n, dtype=np.float32),
        ),
    )
    train_state = state.to_devices(train_state)
    step = steps.pmap_resident_train_steps(parts)
    resident = parallel.replicate(images.array)
    results = {}
    for i in range(10):
        plan = epoch_plan(n, 64, 0, i // 4)
        on_devices = parallel.shard(split_over_devices(plan, axis=1))
        sums = parallel.replicate({name: np.float32(0) for name in parts.objective.metrics})
        train_state, metrics = step(train_state, sums, resident, on_devices, np.int32(i % 4))
        results |= {f"{name}/{i}": float(v) for name, v in parallel.fetch(metrics).items()}
        if i in (0, 9):
            host = state.to_host(train_state, n)
            flat, _ = jax.flatten_util.ravel_pytree(host.params)
            stats, _ = jax.flatten_util.ravel_pytree(host.batch_stats)
            results |= {f"params/{i}": flat, f"memory/{i}": host.memory, f"stats/{i}": stats}
    np.savez(out, **results)


def run_bad_steps(out):
    """Four steps, of which the third is not finite, are the two before it; all devices agree."""
    setup = steps_gone_bad.prepared("pad")
    sound, _ = steps_gone_bad.trained(setup, setup.plan[: steps_gone_bad.BAD])
    found, _ = steps_gone_bad.trained(setup, setup.plan)
    steps_gone_bad.assert_same(found, sound)
    np.savez(out, step=found.step)


def run_baseline_steps(out):
    """A training step of each baseline; its metrics and the state after it.

    With this seed no ReLU is so near to 0 that rounding switches it; a single one that does moves
    the gradient by a thousandth of its norm.
    """
    results = {}
    for name in ("rotation", "clusters"):
        fields = {"objective": name, "batch_size": 32, "clusters.count": 10, "seed": 2}
        settings, images, parts = prepare(small_config(**fields))
        n, objective = len(images), parts.objective
        train_state = beginning.init_state(settings[RunSettings], parts, images)
        groups = train_state.groups._replace(group_id=(np.arange(n) % 10).astype(np.int32))
        train_state = state.to_devices(train_state).with_groups(groups)
        train_state = objective.begin_epoch(train_state, 0)
        on_devices = parallel.shard(split_over_devices(objective.plan(groups, 0), axis=1))
        sums = parallel.replicate({name: np.float32(0) for name in objective.metrics})
        step = steps.pmap_resident_train_steps(parts)
        train_state, figures = step(
            train_state, sums, parallel.replicate(images.array), on_devices, np.int32(0)
        )
        host = state.to_host(train_state, n)
        for part, tree in (
            ("metrics", parallel.fetch(figures)),
            ("params", host.params),
            ("momentum", host.opt_state),
            ("stats", host.batch_stats),
        ):
            flat, _ = jax.flatten_util.ravel_pytree(
                jax.tree.map(lambda x: x.astype(np.float32), tree)
            )
            results[f"{name}/{part}"] = flat
    np.savez(out, **results)


def run_functions(out):
    """The graph, and the loss with its gradients for every design and kind of group."""
    rng = np.random.default_rng(0)

    def unit_rows(n, d):
        x = rng.standard_normal((n, d)).astype(np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    n, b = 301, 16
    rows, x, positive = unit_rows(n, 24), unit_rows(b, 24), unit_rows(b, 24)
    index = rng.permutation(n)[:b].astype(np.int32)
    group_id = (np.arange(n) // 5 * 5).astype(np.int32)
    neighbors._CPU = neighbors.Tiles(rows=32, columns=32, gathered=2**12)  # ten blocks to divide
    nearest, similarities = neighbors.nearest_neighbors(rows, 5)
    members = np.concatenate([np.arange(n, dtype=np.int32)[:, None], nearest], axis=1)
    results = {"neighbors": nearest, "similarities": similarities}
    held = parallel.rows_everywhere(parallel.shard_rows(rows), n)
    assert parallel.is_everywhere(held)
    results["neighbors of rows on the devices"] = neighbors.exact_graph(held, 5).indices
    neighbors._CPU = neighbors._CPU._replace(merged=3, in_passes=True)  # an accelerator's way
    results["neighbors in passes"] = neighbors.nearest_neighbors(rows, 5).indices

    def divided(v):
        return parallel.shard(split_over_devices(v))

    for hpe in ("kl", "cosine", "none"):
        for kind, ids, lists, chunk_rows in (
            ("groups", group_id, None, 16),
            ("left out", np.where(np.arange(n) % 3, group_id, -1), None, 16),
            ("members", group_id, members, 16),
            ("groups, all rows at once", group_id, None, None),
            ("members, all rows at once", group_id, members, None),
        ):

            def loss_and_gradients(
                x, positive, rows, group_id, lists, index, hpe=hpe, chunk_rows=chunk_rows
            ):
                def loss(x, positive):
                    return losses.pad_loss(
                        x, positive, rows, group_id, index,
                        hpe=hpe, members=lists, axis_name=parallel.AXIS, chunk_rows=chunk_rows,
                    )[0]  # fmt: skip

                value, gradients = jax.value_and_grad(loss, (0, 1))(x, positive)
                new_rows = memory.refresh(rows, index, x, 0.5, parallel.AXIS)
                return jax.lax.pmean(value, parallel.AXIS), gradients, new_rows

            value, gradients, new_rows = jax.pmap(
                loss_and_gradients, axis_name=parallel.AXIS, out_axes=(None, 0, 0)
            )(
                divided(x),
                divided(positive),
                parallel.shard_rows(rows),
                parallel.shard_rows(ids, -1),
                None if lists is None else parallel.shard_rows(lists, -1),
                divided(index),
            )
            # Each device's gradient is that of its own mean.
            scale = jax.device_count()
            results[f"loss/{hpe}/{kind}"] = np.asarray(value)
            results["refreshed"] = parallel.fetch_rows(new_rows, n)
            for name, gradient in zip(("x", "positive"), gradients, strict=True):
                rows_first = parallel.fetch_shards(gradient).reshape(b, -1) / scale
                results[f"gradient/{name}/{hpe}/{kind}"] = rows_first
    results["embedded"] = embedded_by_parts(rows)
    np.savez(out, **results)


def embedded_by_parts(rows):
    """Batches of many sizes through a linear map, as ``Model.embed`` has them."""
    encoder = VectorEncoder(7)
    variables = encoder.init(jax.random.key(0), rows[:1])
    embedder = Embedder(encoder, ("embedding",), 60, lambda x: x)  # 64 on eight devices
    parts = np.split(rows, [1, 4, 62, 63, 80, 140, 200, 260])
    found = embedder.stream(parallel.replicate(variables), parts)
    return collected((part["embedding"] for part in found), (7,))


def run_first_epoch(out):
    """The first of two epochs."""
    discover = train.discover

    def stop_after_the_first(*args):
        if args[-1] == 1:
            raise SystemExit
        return discover(*args)

    train.discover = stop_after_the_first
    train.train_and_evaluate(small_config(**small_runs.UNEVALUATED), pathlib.Path(out))


def run_second_epoch(out):
    """The second one of every run in the folder OUT."""
    for workdir in sorted(pathlib.Path(out).iterdir()):
        train.train_and_evaluate(small_config(**small_runs.UNEVALUATED), workdir)


def run_streamed_training(out):
    """Two epochs without a break, the images decoded as they are needed.

    How often this process has looked for groups is written beside OUT.
    """
    config, searches, find = small_config(**{"dataset.max_resident_gib": 0.0}), [], Subgraphs.find
    Subgraphs.find = lambda *args: searches.append(1) or find(*args)
    train.train_and_evaluate(config, pathlib.Path(out))
    pathlib.Path(f"{out}.searches{jax.process_index()}").write_text(str(len(searches)))


def run_failing_work(out):
    """Work of the first process that fails after one that does not; what each says of it."""

    def fail():
        raise InputError("no room")

    own = processes.on_first(jax.process_index, -1)
    try:
        processes.on_first(fail, None)
    except InputError as error:
        pathlib.Path(f"{out}.said{jax.process_index()}").write_text(f"{own}: {error}")


def run_counted(out):
    """A whole run whose data have ragged ends, with all that a run evaluates and draws.

    Its programs, function and shapes of each that is compiled, are written to OUT, a line each.
    """
    programs = small_runs.compiled_programs()
    root = pathlib.Path(out).with_suffix("")
    fields = {"eval.every_epochs": 1, "eval.pixels": True}
    if "streamed" in root.name:
        for i, image in enumerate(load_digits().images[:361]):
            split = "train" if i < 301 else "test"
            save(root / split / str(i % 10) / f"{i}.png", (image * 15).astype(np.uint8))
        fields |= {"dataset.name": "folder", "dataset.root": str(root), "dataset.channels": 1}
        fields |= {"dataset.test_split": "test", "dataset.max_resident_gib": 0.0}
    train.train_and_evaluate(small_config(**fields), root / "run")
    pathlib.Path(out).write_text("\n".join(programs))


if __name__ == "__main__":
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    if len(sys.argv) > 3:
        jax.distributed.initialize(sys.argv[3], num_processes=2, process_id=int(sys.argv[4]))
    globals()[sys.argv[1]](sys.argv[2])
