"""How far runs are after how many epochs: a table and curves from their ``metrics.jsonl``.

    python -m tests.studies.schedules --output=curves.svg PAD=runs/pad singletons=runs/singletons

takes folders that have one, each with the name that the table and the curves have for it. The table
is Markdown, with a row for every epoch that was evaluated.
"""

import argparse
import pathlib
from collections.abc import Callable, Mapping, Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure

from pad_jax.run import metrics

Rows = Sequence[metrics.Row]

_COLUMNS = {
    "kNN, embedding": "eval/knn_accuracy",
    "kNN, fc": "eval/knn_accuracy_fc",
    "probe, conv5": "eval/linear_accuracy_conv5",
    "k-means ACC": "eval/kmeans_acc",
    "nearest neighbour of one class": "neighbors/precision_at_1",
    "pairs of one class": "scs/pair_precision",
    "coverage": "scs/coverage",
    "mean size": "scs/mean_size",
}
_PANELS = {
    title: (lambda row, key=key: row.get(key))
    for title, key in {
        "weighted kNN of the embedding": "eval/knn_accuracy",
        "k-means ACC": "eval/kmeans_acc",
        "nearest neighbours of one class": "neighbors/precision_at_1",
        "pairs of a group of one class": "scs/pair_precision",
    }.items()
}

_MARKED = 50  # from so many points on they run into each other


def table(runs: Mapping[str, Rows]) -> str:
    """The evaluated epochs of runs in Markdown, all runs of an epoch together."""
    evaluated = {
        name: {row["epoch"]: row for row in rows if "eval/knn_accuracy" in row}
        for name, rows in runs.items()
    }
    lines = [["epoch", "run", *_COLUMNS], ["---"] * (2 + len(_COLUMNS))]
    for epoch in sorted(set().union(*evaluated.values())):
        for name, rows in evaluated.items():
            if row := rows.get(epoch):
                # No groups have no precision: a 0 would be read as one.
                figures = (row.get(key) or "" for key in _COLUMNS.values())
                lines.append([str(epoch), name, *(f"{x:.3f}" if x else "" for x in figures)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(
    path: pathlib.Path,
    runs: Mapping[str, Rows],
    panels: Mapping[str, Callable[[metrics.Row], float | None]],
) -> None:
    """Draws runs over their epochs, a panel for each figure; a row without one is no point."""
    figure = Figure(figsize=(4.5 * len(panels), 4), layout="constrained")
    for axes, (title, value) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for color, (name, rows) in zip(colormaps["tab20"].colors, runs.items(), strict=False):
            # Without groups their precision is 0, and no curve.
            if points := [(row["epoch"], y) for row in rows if (y := value(row))]:
                marker = "." if len(points) < _MARKED else None
                axes.plot(*zip(*points, strict=True), color=color, marker=marker, label=name)
        axes.set(title=title, xlabel="epoch")
        axes.locator_params("x", integer=True)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(path, metadata={"Date": None})


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table, and draws the curves where a file is named for them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER", help="a run, and what to call it")
    parser.add_argument("--output", type=pathlib.Path, help="also draw the curves, as SVG or PNG")
    args = parser.parse_args(argv)
    runs = {}
    for text in args.runs:
        name, equals, folder = text.partition("=")
        if not equals:
            parser.error(f"{text}: give NAME=FOLDER")
        if not (rows := metrics.read(pathlib.Path(folder))):
            parser.error(f"{folder} has no epochs in a metrics.jsonl")
        runs[name] = rows
    print(table(runs))
    if args.output:
        draw(args.output, runs, _PANELS)


if __name__ == "__main__":
    main()
