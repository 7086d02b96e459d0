"""Curves, histogram and map as inline SVG that takes its colours from the page.

Matplotlib draws in placeholder colours, which become the page's CSS variables: one drawing serves
light and dark. No global state of pyplot is touched.
"""

import colorsys
import io
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from pad_jax.graph import diagnostics
from pad_jax.graph.clusters import APART
from pad_jax.graph.discovery import Discovery
from pad_jax.objectives.base import Objective, Panel
from pad_jax.run.metrics import Row

_STYLE = {
    "svg.fonttype": "none",  # text stays text, in the page's own font
    "font.size": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "axes.linewidth": 0.8,
    "axes.formatter.limits": (-3, 5),
}
_COLORS = {"ink": "#010101", "muted": "#020202", "rule": "#030303", "none": "#040404"}
_COLORS |= {f"series-{i}": f"#0501{i:02x}" for i in range(4)}
_COLORS |= {f"class-{i}": f"#0502{i:02x}" for i in range(10)}
_NUMBERED = 20  # classes at most whose numbers a map has room for
_DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


class Series(NamedTuple):
    """One curve of a plot: its name, the number of its line style, its last value."""

    name: str
    style: int
    last: str


class Plot(NamedTuple):
    """A drawing with its title and what its legend says."""

    title: str
    svg: Markup
    series: list[Series]
    note: str = ""


_EVALUATION = Panel(
    "Evaluation",
    {
        "eval/knn_accuracy": "kNN",
        "eval/knn_accuracy_fc": "kNN on fc",
        "eval/kmeans_acc": "k-means ACC",
        "eval/kmeans_nmi": "k-means NMI",
    },
    share=True,
    note="Weighted kNN accuracy; k-means into the true number of classes.",
)
_COSTS = (
    Panel(
        "Seconds an epoch",
        {
            "time/train": "training",
            "time/graph": "graph",
            "time/structure": "kinds",
            "time/search": "search",
            "time/clusters": "k-means",
        },
        scale="log",
    ),
    Panel("Learning rate", {"train/learning_rate": "at the epoch's end"}, scale="log"),
)


_KINDS = (
    Panel("Number of kinds", {"graph/components": "clusters of the graph"}, whole=True),
    Panel(
        "How far they stand apart",
        {"graph/separation": "separation", "graph/components_coverage": "coverage"},
        share=True,
        note=f"Below a separation of {APART} their number means nothing. Coverage: the share of "
        "images that are surely of one of them.",
    ),
)


def _group_panels(prefix: str, noun: str) -> tuple[Panel, ...]:
    """What is drawn of the groups of an objective that has some (Fig 4)."""
    return (
        Panel(
            "Agreement with the labels",
            {
                f"{prefix}/purity": "purity",
                f"{prefix}/pair_precision": "pairs",
                "neighbors/precision_at_1": "nearest neighbour",
            },
            share=True,
            note="Share of the majority class in the groups, of pairs within them of one class, "
            "and of nearest neighbours of one class (Fig 4: precision).",
        ),
        Panel(f"Number of {noun}s", {f"{prefix}/count": "of two images or more"}),
        Panel(
            f"Size of the {noun}s",
            {f"{prefix}/mean_size": "mean"},
            note="Singletons left out (Fig 4: size).",
        ),
        Panel("Coverage", {f"{prefix}/coverage": "share of images in one"}, share=True),
    )


def curves(rows: Sequence[Row], objective: Objective) -> list[Plot]:
    """The metrics of a run by epoch; those it does not have are left out.

    Args:
      rows: of ``metrics.jsonl``, in order.
      objective: what the run learns: it has panels of its own, and names of its groups.
    """
    groups = () if objective.prefix is None else _group_panels(objective.prefix, objective.noun)
    return _by_epoch(rows, (*objective.panels, _EVALUATION, *groups, *_COSTS))


def kinds(rows: Sequence[Row], found: Discovery) -> list[Plot]:
    """What stands apart in the affinity graphs of a run, by the epochs done before each.

    Args:
      rows: of ``metrics.jsonl``, in order; older runs have nothing of it there.
      found: the newest graph, which may be that of the last row, or None: then there are no plots.
    """
    if found.clusters is None:
        return []
    # The graph of a row was made before its epoch.
    graphs = {row["epoch"] - 1: row for row in rows if "graph/modularity" in row}
    graphs[found.epoch] = diagnostics.graph_statistics(found.clusters)
    by_epochs_done = [row | {"epoch": epoch} for epoch, row in sorted(graphs.items())]
    return [_modularity(by_epochs_done), *_by_epoch(by_epochs_done, _KINDS)]


def _modularity(rows: Sequence[Row]) -> Plot:
    """A curve for a few graphs, each with its peak."""
    chosen = np.linspace(0, len(rows) - 1, len(_DASHES)).round().astype(int)
    figure, axes = _figure()
    series = []
    for style, row in enumerate(rows[i] for i in np.unique(chosen)):
        peak, color = (row["graph/peak_share"], row["graph/peak_modularity"]), f"series-{style}"
        points = sorted([(0, 0), *map(tuple, row["graph/modularity"]), peak])
        axes.plot(*zip(*points, strict=True), color=_COLORS[color], linestyle=_DASHES[style])
        if peak[1] > 0:
            axes.plot(*peak, "o", ms=7, color=_COLORS[color])
        series.append(Series(f"epoch {row['epoch']}", style, _short(peak[1])))
    axes.set_xlabel("share of edges, from the most similar on")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    note = (
        "The dot marks a curve's peak, the number is its height: where it is high and clear, kinds "
        "of images stand apart; where it is low, none do."
    )
    return Plot("Modularity against share of edges", _svg(figure, "modularity"), series, note)


def _by_epoch(rows: Sequence[Row], panels: Iterable[Panel]) -> list[Plot]:
    """Panels that have something to show."""
    plots = []
    for panel in panels:
        figure, axes = _figure()
        series = []
        for key, name in panel.curves.items():
            style = len(series) % len(_DASHES)
            points = [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]
            if panel.scale == "log":
                points = [(epoch, value) for epoch, value in points if value > 0]
            if not points:
                continue
            axes.plot(
                *zip(*points, strict=True),
                color=_COLORS[f"series-{style}"],
                linestyle=_DASHES[style],
                marker="o" if len(points) <= 12 else None,
            )
            series.append(Series(name, style, _short(points[-1][1])))
        if not series:
            continue
        axes.set_xlabel("epoch")
        axes.set_yscale(panel.scale)
        if panel.scale == "log":
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.set_xlim(rows[0]["epoch"] - 0.5, rows[-1]["epoch"] + 0.5)
        if panel.share:
            axes.set_ylim(0, 1.02)
        elif panel.whole:
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.set_ylim(0, 1.08 * max(axes.get_ylim()[1], 1))
        plots.append(Plot(panel.title, _svg(figure, panel.title), series, panel.note))
    return plots


def size_histogram(histogram: list[list[int]], noun: str) -> Plot:
    """How many groups there are of each size.

    Args:
      histogram: [size, number of groups] of every size that occurs; at least one.
      noun: what a group is called.
    """
    figure, axes = _figure()
    sizes, counts = np.transpose(histogram)
    if sizes.max() <= 60:
        axes.bar(sizes, counts, width=0.72, color=_COLORS["series-0"])
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
        axes.set_xlim(sizes.min() - 1, sizes.max() + 1)
    else:  # a few groups may be very much larger than all others
        axes.plot(sizes, counts, "o", color=_COLORS["series-0"])
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlabel("members")
    note = f"How many {noun}s have so many members, among the newest."
    return Plot("Histogram of sizes", _svg(figure, "sizes"), [], note)


def embedding_map(points: np.ndarray, class_: np.ndarray) -> Plot:
    """Embeddings in two dimensions, coloured by class.

    Args:
      points: float [P, 2].
      class_: int [P], -1 where it is not known: these points are grey.
    """
    figure, axes = _map(points[class_ < 0])
    values = np.unique(class_[class_ >= 0]).tolist()
    for i, value in enumerate(values):
        color = _COLORS[f"class-{i}"] if len(values) <= 10 else _hue(i / len(values))
        axes.plot(*points[class_ == value].T, "o", ms=3.2, mew=0, color=color)
    numbered = len(values) <= _NUMBERED
    for value in values if numbered else ():
        x, y = np.median(points[class_ == value], axis=0)
        axes.text(
            *(x, y, str(value)), color=_COLORS["ink"], size=17, ha="center", va="center", gid="halo"
        )
    note = "The number of a class stands in the middle of its images." if numbered else ""
    return Plot(f"{len(points):,} images by class", _svg(figure, "map"), [], note)


def group_map(points: np.ndarray, group: np.ndarray, noun: str) -> Plot:
    """Embeddings in two dimensions, a few groups in colour.

    Args:
      points: float [P, 2].
      group: int [P], 0 to 9, -1 outside of these groups: such points are grey.
      noun: what a group is called.
    """
    figure, axes = _map(points[group < 0])
    values = np.unique(group[group >= 0]).tolist()
    for i in values:
        axes.plot(*points[group == i].T, "o", ms=6, mew=0, color=_COLORS[f"class-{i}"])
    title = f"{len(points):,} images, the {len(values)} largest {noun}s in colour"
    return Plot(title, _svg(figure, "map"), [])


def _map(grey_points: np.ndarray) -> tuple[Figure, Axes]:
    figure, axes = _figure(width=6.4, height=5.2)
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_position((0.01, 0.01, 0.98, 0.98))
    axes.plot(*grey_points.T, "o", ms=2.4, mew=0, color=_COLORS["none"])
    return figure, axes


def _figure(width: float = 4.8, height: float = 2.9) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure((width, height))
        axes = figure.add_axes((0.12, 0.17, 0.86, 0.78))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_COLORS["muted"])
        axes.tick_params(colors=_COLORS["muted"], length=0, pad=5)
        axes.tick_params(which="minor", length=0)
        axes.xaxis.label.set_color(_COLORS["muted"])
        axes.grid(axis="y", color=_COLORS["rule"], linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure, name: str) -> Markup:
    """A figure as an SVG element of a page: no fixed size, no font and no colours of its own."""
    buffer = io.StringIO()
    # The salt makes the ids of definitions the same in every run and different in every drawing.
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure.savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', svg))
    svg = re.sub(
        r' id="([\w.-]+)"',
        lambda m: m[0] if m[1] in used else ' class="halo"' if m[1] == "halo" else "",
        svg,
    )
    svg = re.sub(r"font: (bold |)([\d.]+)px [^;\"]*", r"font-size: \2px", svg)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg
    )
    for variable, color in _COLORS.items():
        svg = svg.replace(color, f"var(--{variable})")
    return Markup(svg)


def _hue(x: float) -> str:
    return matplotlib.colors.to_hex(colorsys.hls_to_rgb(x, 0.52, 0.6))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
