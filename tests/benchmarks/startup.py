"""From the start of the program to the end of the first step, and an epoch's overhead.

AlexNet on 50,000 random images of 32 px (CIFAR-10's size), with an empty and with a warm
compilation cache. The memory starts at random: embedding all images first is work, not overhead.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from tests.benchmarks import measure

N = 50_000


def child(workdir: pathlib.Path, started: float, *overrides: str) -> None:
    """Runs the real program up to its first step."""
    import jax

    from pad_jax import main, train
    from pad_jax.epoch import EpochRunner
    from pad_jax.objectives.memory import random_rows
    from pad_jax.objectives.pad import Pad

    run = EpochRunner.__call__
    find = train.discover

    def discover(*args):
        found, features, row = find(*args)
        print("graph", row["time/graph"], "search", row["time/search"])
        return found, features, row

    def first_step(self, *args, **options):
        step = self._step

        def stop(*args):
            jax.block_until_ready(step(*args))
            print("first_step", time.time() - started, flush=True)
            os._exit(0)

        self._step = stop
        return run(self, *args, **options)

    def random_memory(self, images, embed):
        return random_rows(*self.blank_memory(len(images)).shape, seed=0)

    EpochRunner.__call__, train.discover = first_step, discover
    Pad.first_memory = random_memory  # unlike memory.init=random, to be searched
    sys.argv = [
        "pad_jax",
        "--config=cifar10",
        "--config.dataset.name=npz",
        f"--config.dataset.root={workdir / 'images.npz'}",
        f"--workdir={workdir / 'run'}",
        *overrides,
    ]
    main.run()


def main():
    if sys.argv[1:2] == ["child"]:
        return child(pathlib.Path(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
    args = measure.arguments(__doc__, epoch_images_per_second=0, images=N)
    rows, n = [], args.images
    # Few are for a look at whether it works.
    encoder = "alexnet" if n >= 10_000 else "tiny"
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        images = {
            f"x_{split}": rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
            for split, count in (("train", n), ("test", 1000))
        }
        np.savez(pathlib.Path(folder) / "images.npz", **images)
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"}
        for cache in ("empty", "warm"):
            command = [sys.executable, "-m", "tests.benchmarks.startup", "child", folder]
            output = subprocess.run(
                [*command, str(time.time()), f"--config.model.name={encoder}"],
                env=environment, check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            words = output.split()
            row = {name: float(words[words.index(name) + 1]) for name in ("graph", "search")}
            row["first step after s"] = float(words[words.index("first_step") + 1])
            rows.append({"compilation cache": cache} | row)
    if args.epoch_images_per_second:
        epoch = n / args.epoch_images_per_second
        overhead = rows[-1]["graph"] + rows[-1]["search"]
        rows.append({"compilation cache": "share of the epoch", "graph": overhead / epoch})
    measure.report(f"Start of the program, {n} images, {encoder}", rows, args.json)


if __name__ == "__main__":
    main()
