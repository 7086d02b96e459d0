"""The exact kNN graph against faiss-cpu's IndexFlatIP, and how it grows with N."""

import multiprocessing
import os

import numpy as np

from pad_jax import runtime
from pad_jax.objectives.memory import random_rows
from tests.benchmarks import measure

DIM, K = 128, 5
IMAGENET = 1_281_167


def against_faiss(n: int, rounds: int) -> dict:
    import faiss

    from pad_jax.graph.neighbors import nearest_neighbors

    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    features = random_rows(n, DIM, seed=0)
    found = {}

    def ours():
        found["ours"] = nearest_neighbors(features, K)

    def theirs():
        index = faiss.IndexFlatIP(DIM)
        index.add(features)
        found["faiss"] = index.search(features, K + 1)

    times = measure.in_turn(rounds, ours=ours, faiss=theirs)
    similarities, indices = found["faiss"]
    assert (indices[:, 0] == np.arange(n)).all()  # every row finds itself first
    # Up to ties: another index counts as the same where its similarity does to rounding.
    same = (found["ours"][0] == indices[:, 1:]) | (
        np.abs(found["ours"][1] - similarities[:, 1:]) < 1e-6
    )
    return {
        "rows": n,
        "seconds": times["ours"],
        "faiss seconds": times["faiss"],
        "ratio": times["ours"] / times["faiss"],
        "same indices": float((found["ours"][0] == indices[:, 1:]).mean()),
        "same up to ties": float(same.mean()),
    }


def alone(n: int) -> dict:
    """Time and memory in a process that does nothing else."""
    runtime.configure()
    from pad_jax.graph.neighbors import nearest_neighbors

    features = random_rows(n, DIM, seed=0)
    nearest_neighbors(features[:1000], K)
    before = measure.resident_mib()
    first = measure.seconds(lambda: nearest_neighbors(features, K))
    peak = measure.resident_mib(peak=True)
    seconds = min(first, measure.seconds(lambda: nearest_neighbors(features, K)))
    return {"rows": n, "seconds": seconds, "MiB before": before, "peak MiB": peak}


def main():
    args = measure.arguments(__doc__, rows=50_000, large=200_000, rounds=5)
    runtime.configure()
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        small, large = pool.map(alone, (args.rows, args.large), chunksize=1)
    growth = large["seconds"] / small["seconds"]
    quadratic = (args.large / args.rows) ** 2
    measure.report(
        f"Graph of N x {DIM} rows, k={K}",
        [
            against_faiss(args.rows, args.rounds),
            small,
            large | {"growth": growth, "quadratic": quadratic},
            {
                "rows": f"{IMAGENET} (extrapolated)",
                "seconds": large["seconds"] * (IMAGENET / args.large) ** 2,
            },
        ],
        args.json,
    )


if __name__ == "__main__":
    main()
