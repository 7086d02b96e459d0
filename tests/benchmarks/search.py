"""The SCS search against scipy's strongly connected components, on graphs of ImageNet's size."""

import argparse
import multiprocessing
import pathlib
import tempfile

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pad_jax.graph.subgraphs import strongly_connected_subgraphs
from tests.benchmarks import measure

K = 5


def gaussian_graph(points: int, dim: int, copies: int = 1, seed: int = 0) -> np.ndarray:
    """The exact 5 nearest neighbours of Gaussian points, int32 [copies * points, 5].

    Disjoint copies of one graph; the numbers of all vertices are permuted at random.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((points, dim))
    x = x[cKDTree(x).indices]  # neighbours side by side, so that queries find the tree in cache
    nearest = cKDTree(x).query(x, K + 1, workers=-1)[1][:, 1:]
    nearest = (nearest + points * np.arange(copies)[:, None, None]).reshape(-1, K)
    number = rng.permutation(len(nearest)).astype(np.int32)
    graph = np.empty((len(nearest), K), np.int32)
    graph[number] = number[nearest]
    return graph


def trained_graph(workdir: pathlib.Path) -> np.ndarray:
    """The affinity graph of the memory in a run's newest checkpoint."""
    from pad_jax.graph.neighbors import nearest_neighbors
    from pad_jax.run import checkpoints

    state = checkpoints.read(workdir, checkpoints.newest_epoch(workdir))
    return nearest_neighbors(state["memory"], K)[0]


def compare(name: str, graph: np.ndarray, rounds: int) -> list[dict]:
    n = len(graph)
    edges = (np.ones(graph.size, bool), graph.ravel(), np.arange(0, graph.size + 1, K))
    matrix = scipy.sparse.csr_matrix(edges, shape=(n, n))
    rows = []
    for max_size in (10, 3, 100, None):
        times = measure.in_turn(
            rounds,
            ours=lambda max_size=max_size: strongly_connected_subgraphs(graph, max_size),
            scipy=lambda: connected_components(matrix, connection="strong"),
        )
        size = np.bincount(strongly_connected_subgraphs(graph, max_size), minlength=n)
        rows.append(
            {
                "graph": f"{name}, {n} x {K}",
                "s": str(max_size),
                "seconds": times["ours"],
                "scipy seconds": times["scipy"],
                "ratio": times["ours"] / times["scipy"],
                "SCSs": int((size > 1).sum()),
                "coverage": float(size[size > 1].sum() / n),
            }
        )
    return rows


def extra_mib(path: str) -> float:
    """Most memory the search needs beside its graph, in a process that has done nothing else."""
    strongly_connected_subgraphs(np.zeros((20, K), np.int32))
    graph = np.load(path)
    before = measure.resident_mib()
    strongly_connected_subgraphs(graph)
    return measure.resident_mib(peak=True) - before


def memory_row(graph: np.ndarray) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/graph.npy"
        np.save(path, graph)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            extra = pool.apply(extra_mib, (path,))
    name = f"memory beside the graph's {graph.nbytes / 2**20:.0f} MiB"
    return {"graph": name, "MiB": extra, "ratio": extra * 2**20 / graph.nbytes}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workdir", type=pathlib.Path, help="a trained run, for its graph")
    parser.add_argument("--connected", type=int, default=1_360_000, help="6-d points; 0 for none")
    parser.add_argument("--copies", type=int, default=80_000, help="8-d points of each of 17")
    args = parser.parse_args()
    strongly_connected_subgraphs(np.zeros((20, K), np.int32))  # compiled, or from the cache
    graph = gaussian_graph(args.copies, 8, copies=17)
    rows = [memory_row(graph), *compare("17 copies of 8-d points", graph, args.rounds)]
    if args.connected:
        rows += compare("6-d points", gaussian_graph(args.connected, 6), args.rounds)
    if args.workdir:
        rows += compare("trained memory", trained_graph(args.workdir), args.rounds)
    measure.report("SCS search on one core", rows, args.json)


if __name__ == "__main__":
    main()
