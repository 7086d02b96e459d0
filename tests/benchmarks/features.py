"""Features of ImageNet's number of images: what is read and held, with a synthetic file.

Everything of a cycle but the kNN graph, which graph.py measures; the search runs on a stand-in.
"""

import functools
import pathlib
import tempfile

import jax
import numpy as np

from configs import features as features_config
from pad_jax import beginning, data, groupings, models, objectives, parallel, runtime, steps
from pad_jax import config as configs
from pad_jax import state as states
from pad_jax.settings import RunSettings
from tests.benchmarks import measure
from tests.benchmarks.cycle import N, groups_of, stand_in_graph

WIDTH = 768


def write(path: pathlib.Path, count: int) -> None:
    """A file of float16 features, in pieces."""
    rng = np.random.default_rng(0)
    file = np.lib.format.open_memmap(path, "w+", np.float16, (count, WIDTH))
    for first in range(0, count, 20_000):
        piece = file[first : first + 20_000]
        piece[:] = rng.standard_normal(piece.shape, np.float32)
    file.flush()


def main():
    args = measure.arguments(__doc__, steps=3, rows=N)
    runtime.configure()
    rows, n, rng = [], args.rows, np.random.default_rng(0)

    timed = functools.partial(measure.timed, rows)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "features.npy")
        write(path, n)
        config = features_config.get_config()
        config.dataset.root = str(path)
        settings = configs.read(config)
        images = timed("features read and standardised", lambda: data.load(settings).train)
        encoder, objective = models.create(settings), objectives.create(settings)
        parts = beginning.step_parts(settings, encoder, objective, n)
        state = beginning.init_state(settings[RunSettings], parts, images)
        embed = beginning.feature_embedder(settings, parts)
        variables = parallel.replicate(state.variables)
        state = state.replace(memory=timed("all embedded", lambda: embed(variables, images)))
        grouping = groupings.create(settings)

        def discover():
            return groups_of(grouping, stand_in_graph(n), embed(variables, images))

        groups = timed("all embedded again, SCS search, hard positives", discover)
        state = timed("state to the devices", lambda: states.to_devices(state))
        state = timed("groups to the devices", lambda: state.with_groups(groups))
        sums = parallel.replicate({name: np.float32(0) for name in objective.metrics})
        step, resident = steps.pmap_resident_train_steps(parts), parallel.replicate(images.array)
        held = [state, sums]
        for i in range(args.steps):
            plan = rng.choice(n, (jax.device_count(), 1, config.batch_size), False)
            on_devices = parallel.shard(plan.astype(np.int32))
            name = "compilation and first step" if i == 0 else f"step {i + 1}, memory refreshed"

            def run(on_devices=on_devices):
                held[:] = step(*held, resident, on_devices, np.int32(0))
                return held

            timed(name, run)
    rows.append({"part": "peak of the process", "MiB held": measure.resident_mib(peak=True)})
    measure.report(f"N = {n} x {WIDTH}, float16, batch {config.batch_size}", rows, args.json)


if __name__ == "__main__":
    main()
