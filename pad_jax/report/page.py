"""Puts the parts of a report together."""

import logging
import pathlib

import jinja2
import numpy as np
from sklearn.decomposition import PCA

from pad_jax.data.images import Images
from pad_jax.graph import diagnostics
from pad_jax.report import galleries, graphs, plots
from pad_jax.report.galleries import GroupTable
from pad_jax.report.snapshot import Snapshot
from pad_jax.run import doubts, folder, kinds, metrics

_log = logging.getLogger(__name__)

_FOLDER = pathlib.Path(__file__).parent
_MAP_POINTS = 2000
_LOOKED_AT = 12  # images, of which one at least should be at hand
_MAP_GROUPS = 10  # are coloured where there are no labels
_MAP_MEMBERS = 50  # of such a group, at most

_FIGURES = {  # what a metric of the last row is called at the top of the page
    "train/loss": "loss",
    "eval/knn_accuracy": "kNN accuracy",
    "eval/knn_accuracy_at_1": "nearest alone",
    "eval/kmeans_acc": "k-means ACC",
    "eval/clusters_acc": "kinds ACC",
    "eval/largest_class": "largest class",
}


def render(workdir: pathlib.Path, snapshot: Snapshot) -> str:
    """The report of the run in a folder, as HTML.

    Args:
      workdir: of a run that has written config.json, run.json and a first row of metrics.
      snapshot: the run as it is now.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["css"] = (_FOLDER / "page.css").read_text(encoding="utf-8")
    config = folder.read_config(workdir)
    rows, images, found = metrics.read(workdir), snapshot.images, snapshot.found
    objective = snapshot.objective
    noun = objective.noun
    table = GroupTable(found.groups, images.labels)
    curves = plots.curves(rows, objective)
    if len(table):
        histogram = diagnostics.size_histogram(found.groups)
        curves.append(plots.size_histogram(histogram, noun))
    return environment.get_template("page.html.j2").render(
        name=workdir.resolve().name,
        config=_sections(config),
        environment=_environment(folder.read_run(workdir)),
        noun=noun,
        heading=objective.heading,
        nothing=objective.nothing,
        can_be_surer=config.get("grouping", {}).get("edge_share") == 1 and noun == "group",
        has_graph=found.graph is not None,
        labelled=bool((images.labels >= 0).any()),
        num_images=len(images),
        samples=str(images.preparation),
        has_pictures=_has_pictures(images),
        epoch=rows[-1]["epoch"],
        num_epochs=config["num_epochs"],
        found_epoch=found.epoch,
        figures=_figures(rows[-1], snapshot, noun),
        curves=curves,
        kinds=plots.kinds(rows, found),
        sentences=list(
            filter(None, [kinds.sentence(kinds.figures(found.clusters)), doubts.sentence(rows[-1])])
        ),
        galleries=galleries.group_galleries(snapshot, table) if len(table) else [],
        drawings=graphs.drawings(snapshot, table),
        queries=galleries.neighbor_rows(snapshot),
        from_test=snapshot.queries is not None,
        map=_map(snapshot, table, noun),
    )


def _has_pictures(images: Images) -> bool:
    """Whether some of the first images are at hand; of features that is not so by itself."""
    found = any(images.picture(i) is not None for i in range(min(len(images), _LOOKED_AT)))
    if not found:
        _log.info(
            "The report shows no images: --config.dataset.paths says where they are (first: %s).",
            images.names[0],
        )
    return found


def _figures(row: metrics.Row, snapshot: Snapshot, noun: str) -> list[tuple[str, str]]:
    """What the page says at its top: (name, value)."""
    figures = [(name, f"{row[key]:.3f}") for key, name in _FIGURES.items() if key in row]
    groups = diagnostics.group_statistics(snapshot.found.groups, snapshot.images.labels)
    figures += [
        (f"{noun}s", f"{groups['count']:,.0f}"),
        ("mean size", f"{groups['mean_size']:.1f}"),
        ("coverage", f"{groups['coverage']:.3f}"),
    ]
    if groups["count"] and "purity" in groups:
        figures += [("purity", f"{groups['purity']:.3f}")]
    return figures


def _map(snapshot: Snapshot, table: GroupTable, noun: str) -> plots.Plot | None:
    """Random features by their two principal components; nothing for fewer than three."""
    labels, n = snapshot.images.labels, len(snapshot.images)
    if n < 3 or snapshot.features is None:
        return None
    rows = np.sort(np.random.default_rng(0).permutation(n)[:_MAP_POINTS])
    if (labels >= 0).any():
        return plots.embedding_map(_plane(snapshot.features[rows]), labels[rows])
    largest = np.argsort(-table.size, kind="stable")[:_MAP_GROUPS].tolist()
    members = [table.members(i)[:_MAP_MEMBERS] for i in largest]
    rows = np.unique(np.concatenate([rows, *members]))
    group = np.full(len(rows), -1)
    for i, rows_of_group in enumerate(members):
        group[np.isin(rows, rows_of_group)] = i
    return plots.group_map(_plane(snapshot.features[rows]), group, noun)


def _plane(rows: np.ndarray) -> np.ndarray:
    """The two principal components of each row: [P, D] -> [P, 2]."""
    return PCA(2, svd_solver="randomized", random_state=0).fit_transform(rows)


def _sections(config: dict) -> list[tuple[str, list[tuple[str, str]]]]:
    """A config as (section, [(field, value)]); the fields without a section first."""
    plain = {name: value for name, value in config.items() if not isinstance(value, dict)}
    nested = {name: value for name, value in config.items() if isinstance(value, dict)}
    return [
        (section, [(name, _value(value)) for name, value in sorted(fields.items())])
        for section, fields in [("run", plain), *sorted(nested.items())]
    ]


def _value(value) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return '""' if value == "" else str(value)


def _environment(run: dict) -> list[tuple[str, str]]:
    devices = f"{run['device_count']} x {run['device_kind']} ({run['platform']})"
    versions = [("python", run["python"]), *run["packages"].items()]
    return [("devices", devices), *versions]
