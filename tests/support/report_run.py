"""A made-up run for the tests of the report, and a reader of its pages."""

import html.parser

import numpy as np

from pad_jax import groupings, objectives
from pad_jax.data.images import ResidentImages
from pad_jax.graph.search import Graph
from pad_jax.groupings import GroupingSettings
from pad_jax.groupings.scs import SubgraphSettings
from pad_jax.report.snapshot import Snapshot
from pad_jax.settings import Settings

VOID = {"img", "meta", "link", "br", "hr", "input"}


class Page(html.parser.HTMLParser):
    """Every element of a page, with its attributes and the text directly inside of it."""

    def __init__(self, source):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(source)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))
        if tag not in VOID:
            self.open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            self.open[-1][2].append(data)

    def all(self, tag, class_=None):
        return [
            (attributes, "".join(text).strip())
            for name, attributes, text in self.elements
            if name == tag and (class_ is None or class_ in attributes.get("class", "").split())
        ]

    @property
    def text(self):
        words = " ".join(t for tag, _, parts in self.elements if tag != "style" for t in parts)
        return " ".join(words.split())


def make_images(labels, shape=(8, 8, 1), names=None):
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), *shape), np.uint8)
    return ResidentImages(pixels, np.asarray(labels), names or [str(i) for i in range(len(labels))])


def clustered(n, num_clusters, rng):
    """Unit rows around a few centres, float32 [n, 16], and which centre, int64 [n]."""
    cluster = rng.integers(0, num_clusters, n)
    x = rng.standard_normal((num_clusters, 16))[cluster] + 0.5 * rng.standard_normal((n, 16))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), cluster


def make_objective(kind="scs", name="pad", k=5):
    """The objective of a run that learns this kind of groups."""
    return objectives.create(
        Settings(
            objectives.ObjectiveSettings(objective=name),
            GroupingSettings(kind=kind, num_neighbors=k),
        )
    )


def discover(rows, kind="scs", k=5, **options):
    """The affinity graph of unit rows and its groups, by NumPy."""
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -np.inf)
    neighbors = np.argsort(-similarity, axis=1, kind="stable")[:, :k].astype(np.int32)
    graph = Graph(neighbors, np.take_along_axis(similarity, neighbors, axis=1))
    grouping = groupings.create(
        Settings(GroupingSettings(kind=kind, num_neighbors=k), SubgraphSettings(**options))
    )
    return groupings.discover(grouping, groupings.evidence(graph, rows, 0))._replace(epoch=2)


def metric_rows(num_epochs, labelled=True, prefix="scs"):
    """What a run with an objective of this prefix writes."""
    rows = []
    for epoch in range(1, num_epochs + 1):
        row = {"step": 4 * epoch, "epoch": epoch, "train/loss": 5.0 / epoch, "train/loss_scs": 4.0,
               "train/loss_hpe": 0.0, "train/learning_rate": 0.03, "time/train": 1.0,
               "time/graph": 0.1, "time/search": 0.0}  # fmt: skip
        groups = {"count": 3.0, "mean_size": 4.0, "max_size": 4.0, "coverage": 0.5,
                  "size_histogram": [[2, 3]]}  # fmt: skip
        if labelled:
            groups |= {"purity": 0.9, "pair_precision": 0.8}
            row |= {"eval/knn_accuracy": 0.7, "eval/knn_accuracy_at_1": 0.65}
        if prefix in ("scs", "groups"):  # found in an affinity graph
            row |= {"graph/peak_share": 0.9, "graph/peak_modularity": 0.5 + 0.1 * epoch,
                    "graph/separation": 0.9, "graph/components": 10.0 + epoch,
                    "graph/components_coverage": 0.8,
                    "graph/modularity": [[0.5, 0.3], [1.0, 0.2]]}  # fmt: skip
        if prefix is not None:
            row |= {f"{prefix}/{name}": value for name, value in groups.items()}
        rows.append(row)
    return rows


def snapshot(rng):
    """60 images of 4 classes, two of them mislabelled, with 5 test images."""
    rows, cluster = clustered(60, 4, rng)
    labels = np.where(np.arange(60) < 2, (cluster + 1) % 4, cluster)
    queries, query_class = clustered(5, 4, rng)
    images, query_images = make_images(labels), make_images(query_class)
    return Snapshot(images, make_objective(), discover(rows), rows, query_images, queries)
