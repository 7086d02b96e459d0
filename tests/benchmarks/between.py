"""What comes between two epochs, in one process or in several that are one run.

The graph of synthetic embeddings in a trained memory, groups and hard positives, all figures of
them, the groups on the devices; and an evaluation while training: embedding, kNN, k-means. Seconds
until the last process is done, and the CPU seconds that each of them takes.
"""

import argparse
import os
import pathlib
import socket
import subprocess
import sys
import time

import numpy as np

from tests.benchmarks import measure

DIM, CLASSES = 128, 10


def synthetic_rows(num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows around some centres, float32 [N, D], and which one of each, int64 [N]."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, num_rows)
    centers = rng.standard_normal((CLASSES, DIM), np.float32)
    rows = centers[labels] + 2 * rng.standard_normal((num_rows, DIM), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def work(args: argparse.Namespace) -> None:
    """One of the processes; the first one prints."""
    import jax

    from configs import features as features_config
    from pad_jax import beginning, data, models, objectives, parallel, runtime, state, train
    from pad_jax import config as configs
    from pad_jax.data.images import ResidentImages
    from pad_jax.data.preparation import Standardization
    from pad_jax.evaluators.evaluation import Evaluation
    from pad_jax.settings import RunSettings

    runtime.configure()
    if args.coordinator:
        jax.distributed.initialize(args.coordinator, args.processes, args.process)
    rows, labels = synthetic_rows(args.rows)
    config = features_config.get_config()
    config.grouping.features, config.grouping.num_neighbors = "memory", 5
    config.eval.every_epochs, config.eval.kmeans_inits = 1, 3
    settings = configs.read(config)
    preparation = Standardization(np.zeros(DIM, np.float32), np.ones(DIM, np.float32))
    images = ResidentImages(rows, labels, [""] * args.rows, preparation=preparation)
    encoder, objective = models.create(settings), objectives.create(settings)
    parts = beginning.step_parts(settings, encoder, objective, args.rows)
    evaluate = Evaluation(settings, encoder, data.Dataset(images, None), parts.augmentation)
    embed = beginning.feature_embedder(settings, parts)
    blank = beginning.init_state(settings[RunSettings], parts, images)
    held = state.to_devices(blank.replace(memory=rows))

    def groups(epoch):
        found, _, _ = train.discover(objective, held, images, embed, epoch)
        jax.block_until_ready(held.with_groups(objective.learnt(found)).groups)

    def evaluation(epoch):
        evaluate(held.variables, epoch, final=False)

    for name, function in (("graph, groups, figures", groups), ("evaluation", evaluation)):
        function(1)  # compiles
        for epoch in range(2, 2 + args.rounds):
            parallel.largest(0)
            start, cpu = time.perf_counter(), time.process_time()
            function(epoch)
            own = time.process_time() - cpu
            parallel.largest(0)
            seconds = time.perf_counter() - start
            print("took", args.process, name.replace(" ", "_"), seconds, own, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=pathlib.Path, help="also write the rows to this file")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--process", type=int, help="be this one of the processes")
    parser.add_argument("--coordinator", help="where they meet, host:port")
    args = parser.parse_args()
    if args.process is not None:
        return work(args)
    options = [f"--{name}={getattr(args, name)}" for name in ("rows", "processes", "rounds")]
    if args.processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            options.append(f"--coordinator=127.0.0.1:{free.getsockname()[1]}")
    command = [sys.executable, "-m", "tests.benchmarks.between", *options]
    workers = [
        subprocess.Popen(
            [*command, f"--process={i}"],
            env=os.environ | {"JAX_PLATFORMS": "cpu"}, stdout=subprocess.PIPE, text=True,
        )
        for i in range(args.processes)
    ]  # fmt: skip
    said = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise SystemExit("a process failed")
    lines = [line.split()[1:] for line in "".join(said).splitlines() if line.startswith("took")]
    rows = []
    for part in dict.fromkeys(name for _, name, _, _ in lines):
        row = {"part": part.replace("_", " ")}
        row["seconds"] = _median(float(s) for i, name, s, _ in lines if (i, name) == ("0", part))
        for process in map(str, range(args.processes)):
            own = (float(cpu) for i, name, _, cpu in lines if (i, name) == (process, part))
            row[f"CPU seconds of process {process}"] = _median(own)
        rows.append(row)
    title = f"Between two epochs, {args.rows} x {DIM}, {args.processes} processes"
    measure.report(title, rows, args.json)


def _median(values) -> float:
    return float(np.median(list(values)))


if __name__ == "__main__":
    main()
