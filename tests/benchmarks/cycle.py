"""One cycle of Algorithm 1 at ImageNet's size, with synthetic embeddings and images.

Everything but the kNN graph, which graph.py measures on fewer rows: the search runs on a stand-in.
"""

import functools
import os
import sys

import numpy as np

from configs import imagenet
from pad_jax import beginning, groupings, models, objectives, parallel, runtime, steps
from pad_jax import config as configs
from pad_jax import state as states
from pad_jax.data.images import ResidentImages
from pad_jax.graph.discovery import Evidence
from pad_jax.graph.groups import Groups
from pad_jax.graph.search import Graph
from pad_jax.graph.subgraphs import strongly_connected_subgraphs
from pad_jax.groupings.base import Grouping
from pad_jax.objectives.memory import random_rows
from pad_jax.settings import RunSettings
from tests.benchmarks import measure
from tests.benchmarks.search import K, gaussian_graph

N, BATCH = 1_281_167, 64


def stand_in_graph(num_rows: int) -> np.ndarray:
    """A kNN graph of so many vertices: 17 copies of one of 8-d points, and a few vertices more."""
    graph = gaussian_graph(num_rows // 17, 8, copies=17)
    rest = np.random.default_rng(0).integers(0, len(graph), (num_rows - len(graph), K), np.int32)
    return np.concatenate([graph, rest])


def groups_of(grouping: Grouping, graph: np.ndarray, features: np.ndarray) -> Groups:
    """The groups of the first epoch in a graph whose similarities and clusters nobody asks for."""
    evidence = Evidence(0, features, Graph(graph, None), None)
    return grouping.find(evidence, grouping.edges(evidence))


def main():
    args = measure.arguments(__doc__, steps=3, devices=1, image_size=224, rows=N)
    if args.devices > 1 and "xla_force_host" not in os.environ.get("XLA_FLAGS", ""):
        flag = f"--xla_force_host_platform_device_count={args.devices}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
        os.execv(sys.executable, sys.orig_argv)  # XLA has read its flags already
    runtime.configure()
    config = imagenet.get_config()
    config.batch_size = BATCH
    if args.devices > 1:  # each emulated device holds the encoder
        args.image_size = 32
    if args.image_size < 64:
        config.model.name, config.model.stem = "tiny", "small"
    rng = np.random.default_rng(0)
    rows, n = [], args.rows

    timed = functools.partial(measure.timed, rows)
    graph = stand_in_graph(n)
    features = random_rows(n, config.model.embedding_dim, 0)
    shape = (args.image_size, args.image_size, 3)
    settings = configs.read(config)
    grouping = groupings.create(settings)
    parts = beginning.step_parts(settings, models.create(settings), objectives.create(settings), n)
    no_images = ResidentImages(np.broadcast_to(np.uint8(0), (n, *shape)), np.full(n, -1), [])
    state = beginning.init_state(settings[RunSettings], parts, no_images).replace(memory=features)
    timed("search, compiled", lambda: strongly_connected_subgraphs(graph[:20] % 20))
    groups = timed(
        "SCS search and hard positives",
        lambda: groups_of(grouping, graph, features),
    )
    state = timed("state to the devices", lambda: states.to_devices(state))
    state = timed("groups to the devices", lambda: state.with_groups(groups))
    step = steps.pmap_train_step(parts)
    sums = parallel.replicate({name: np.float32(0) for name in parts.objective.metrics})
    held = [state, sums]
    for i in range(args.steps):
        index = parallel.shard(
            rng.choice(n, (args.devices, BATCH // args.devices), False).astype(np.int32)
        )
        images = [
            parallel.shard(rng.integers(0, 256, (*index.shape, *shape), np.uint8)) for _ in range(2)
        ]
        name = "compilation and first step" if i == 0 else f"step {i + 1}, memory refreshed"

        def run(index=index, images=images):
            held[:] = step(*held, index, *images)
            return held

        timed(name, run)
    state = held[0]
    timed("state to the host", lambda: states.to_host(state, n))
    shard = state.memory.addressable_shards[0].data
    rows.append(
        {"part": "memory on each device", "MiB held": shard.nbytes / 2**20, "rows": shard.shape[-2]}
    )
    rows.append({"part": "peak of the process", "MiB held": measure.resident_mib(peak=True)})
    title = (
        f"N = {n}, {config.model.name}, {args.image_size} px, batch {BATCH}, {args.devices} devices"
    )
    measure.report(title, rows, args.json)


if __name__ == "__main__":
    main()
