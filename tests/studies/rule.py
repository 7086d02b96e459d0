"""Which sign, read off the affinity graph without labels, tells how pure groups are?

Takes finished runs that have kept their checkpoints (``--config.checkpoint.keep=1000``) and whose
images are labelled. Of every third epoch, or so, the training images are embedded and their graph
is searched with many settings. Labels give the pair precision of the groups found; each sign is
compared with it by Spearman's correlation, over all runs together and within each. Draws the sign
that runs report, ``graph/support``, against the precision, as rule.svg beside the first run.

    python -m tests.studies.rule runs/digits runs/flowers runs/cifar10
"""

import argparse
import json
import pathlib
from collections.abc import Iterator

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from scipy.stats import spearmanr

import pad_jax
from pad_jax import config as configs
from pad_jax import data, runtime
from pad_jax.graph.diagnostics import group_statistics
from pad_jax.graph.groups import Groups, from_labels
from pad_jax.graph.modularity import clusters, modularity
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.subgraphs import strongest_edges, strongly_connected_subgraphs
from pad_jax.graph.trust import SOUND, support, trusted_edges
from pad_jax.run import checkpoints, folder

_NEIGHBORS = 10
_SHARES, _SIZES = (0.1, 0.5, 0.8, 1.0), (10, 50, 200, 900)  # searched, beside the trusted edges
_EPOCHS = 8  # of a run, about
_LEAST_COVERAGE = 0.01  # of groups that count


def points(rows: np.ndarray, labels: np.ndarray) -> Iterator[dict[str, float]]:
    """Pair precision and signs of the groups that searches of one graph find.

    Args:
      rows: float32 [N, D], unit rows.
      labels: int64 [N], the classes.
    """
    graph = nearest_neighbors(rows, _NEIGHBORS)
    structure = clusters(graph)
    searched = {"auto": trusted_edges(graph, structure)}
    searched |= {str(share): strongest_edges(*graph, share) for share in _SHARES}
    for share, edges in searched.items():
        for max_size in _SIZES:
            group_id = strongly_connected_subgraphs(edges, max_size)
            found = group_statistics(Groups(group_id, group_id), labels)
            if found["coverage"] < _LEAST_COVERAGE:
                continue
            inside = group_id[graph.indices] == group_id[:, None]
            yield {
                "share": share,
                "max_size": max_size,
                "pair precision": found["pair_precision"],
                "support": support(structure, group_id),
                "peak of modularity": structure.levels.peak.modularity,
                "separation": structure.separation,
                "modularity of the groups": modularity(graph, from_labels(group_id)),
                "smallness (1 / mean size)": 1 / found["mean_size"],
                "similarity within groups": float(graph.similarities[inside].mean()),
                "share of edges within groups": float(inside.mean()),
            }


def of_run(workdir: pathlib.Path) -> Iterator[dict]:
    """The points of some kept epochs of a run."""
    train = data.load(configs.read(folder.read_config(workdir))).train
    [images] = train.batches(np.arange(len(train))[None])
    kept = checkpoints.epochs(workdir)
    for epoch in kept[:: max(len(kept) // _EPOCHS, 1)]:
        embeddings = pad_jax.load(workdir, epoch).embed(images)
        for point in points(embeddings, train.labels):
            yield {"run": workdir.name, "epoch": epoch} | point


def correlations(found: list[dict]) -> str:
    """A table of Spearman's correlations with the pair precision."""
    runs = sorted({point["run"] for point in found})
    known = ("run", "epoch", "share", "max_size", "pair precision")
    lines = [f"| sign | all | {' | '.join(runs)} |", "|---" * (len(runs) + 2) + "|"]
    for sign in (name for name in found[0] if name not in known):
        cells = []
        for chosen in (found, *([p for p in found if p["run"] == run] for run in runs)):
            pairs = [(point[sign], point["pair precision"]) for point in chosen]
            # A sign that is the same for all of a run's searches says nothing there.
            varies = len({sign for sign, _ in pairs}) > 1
            cells.append(f"{spearmanr(pairs).statistic:.2f}" if varies else "")
        lines.append(f"| {sign} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(found: list[dict], path: pathlib.Path) -> None:
    figure = Figure((6.5, 4), layout="constrained")
    axes = figure.add_subplot()
    runs = sorted({point["run"] for point in found})
    for run, color in zip(runs, colormaps["tab10"].colors, strict=False):
        pairs = [(p["support"], p["pair precision"]) for p in found if p["run"] == run]
        axes.scatter(
            *zip(*pairs, strict=True), s=9, alpha=0.6, color=color, label=run, rasterized=True
        )
    axes.axvline(SOUND, color="gray", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlabel("support of the graph, no labels read")
    axes.set_ylabel("pair precision of the groups")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path, help="where the points go, a line each")
    args = parser.parse_args()
    runtime.configure()
    found = [point for workdir in args.runs for point in of_run(workdir)]
    if args.json:
        args.json.write_text("".join(json.dumps(point) + "\n" for point in found))
    print(correlations(found))
    draw(found, args.runs[0].parent / "rule.svg")


if __name__ == "__main__":
    main()
