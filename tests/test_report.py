"""The report: whole, safe and true of the run, whatever the run has and lacks."""

import base64
import html.parser
import io
import itertools
import json
import logging
import re

import networkx as nx
import numpy as np
import pytest
from PIL import Image

from configs import digits as digits_config
from pad_jax import report, run_files, subgraphs
from pad_jax.data import Dataset
from pad_jax.data.images import ResidentImages, prepare
from pad_jax.data.sources import ArraySource
from pad_jax.report import galleries, graphs, page, pictures
from pad_jax.report.galleries import GroupTable
from pad_jax.report.snapshot import Snapshot

NASTY = "\"><script>alert(1)</script>&amp;'{{ 7 * 7 }}"
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


def discover(rows, kind="scs", k=5, **options):
    """The affinity graph of unit rows and its groups, by NumPy."""
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -np.inf)
    neighbors = np.argsort(-similarity, axis=1, kind="stable")[:, :k].astype(np.int32)
    groups = subgraphs.find_groups(kind, neighbors, rows, **options)
    similarities = np.take_along_axis(similarity, neighbors, axis=1)
    return subgraphs.Discovery(2, neighbors, similarities, groups)


def metric_rows(num_epochs, labelled=True):
    rows = []
    for epoch in range(1, num_epochs + 1):
        row = {"step": 4 * epoch, "epoch": epoch, "train/loss": 5.0 / epoch, "train/loss_scs": 4.0,
               "train/loss_hpe": 0.0, "train/learning_rate": 0.03, "time/train": 1.0,
               "time/graph": 0.1, "time/search": 0.0, "scs/count": 3.0, "scs/mean_size": 4.0,
               "scs/coverage": 0.5, "scs/size_histogram": [[2, 3]]}  # fmt: skip
        if labelled:
            row |= {"scs/purity": 0.9, "scs/pair_precision": 0.8, "eval/knn_accuracy": 0.7}
        rows.append(row)
    return rows


@pytest.fixture
def render(tmp_path):
    """A function that renders a snapshot as the page of a run, parsed and as text."""

    def make(snapshot, kind="scs", num_epochs=3, name="run", labelled=True):
        config = digits_config.get_config()
        config.grouping.kind, config.num_epochs = kind, num_epochs
        workdir = tmp_path / name
        workdir.mkdir(exist_ok=True)
        run_files.write(workdir, config, Dataset(snapshot.images, None))
        lines = [json.dumps(row) + "\n" for row in metric_rows(num_epochs, labelled)]
        (workdir / "metrics.jsonl").write_text("".join(lines))
        source = page.render(workdir, snapshot)
        return Page(source), source

    return make


@pytest.fixture
def snapshot(rng):
    """60 images of 4 classes, two of them mislabelled, with 5 test images."""
    rows, cluster = clustered(60, 4, rng)
    labels = np.where(np.arange(60) < 2, (cluster + 1) % 4, cluster)
    queries, query_class = clustered(5, 4, rng)
    return Snapshot(make_images(labels), discover(rows), rows, make_images(query_class), queries)


def test_the_page_is_whole_and_needs_nothing_else(render, snapshot):
    parsed, source = render(snapshot)
    assert source.startswith("<!DOCTYPE html>")
    for _, attributes, _ in parsed.elements:
        for name in ("src", "href", "xlink:href"):
            assert re.match(r"#|data:image/(png|jpeg);base64,|$", attributes.get(name) or "")
        assert not any(name.startswith("on") for name in attributes)
    assert not parsed.all("script")
    assert not parsed.all("link")
    style = "".join(text for _, text in parsed.all("style"))
    assert "@import" not in style
    assert not re.search(r"url\(\s*['\"]?[^#'\"]", source)
    ids = [a["id"] for _, a, _ in parsed.elements if "id" in a]
    assert len(ids) == len(set(ids))
    pointed_at = set(re.findall(r'(?:href="|url\()#([\w-]+)', source))
    assert pointed_at <= set(ids)
    assert {a["href"][1:] for a, _ in parsed.all("a")} <= {
        a["id"] for a, _ in parsed.all("section")
    }
    assert all(a["alt"] and int(a["width"]) > 0 for a, _ in parsed.all("img"))
    assert all("aria-label" in a or a["aria-hidden"] == "true" for a, _ in parsed.all("svg"))


def test_the_page_says_what_the_run_measured(render, snapshot):
    parsed, source = render(snapshot)
    assert "After epoch 3 of 3, on 60 images of 8" in parsed.text
    figures = dict(
        zip(
            (text for _, text in parsed.all("dt")),
            (text for _, text in parsed.all("dd")),
            strict=True,
        )
    )
    table = GroupTable(snapshot.found.groups, snapshot.images.labels)
    assert figures["kNN accuracy"] == "0.700"
    assert figures["SCSs"] == str(len(table))
    assert [t for _, t in parsed.all("h3")][:4] == ["Largest", "Least pure", "Purest", "Random"]
    titles = [t for _, t in parsed.all("strong")]
    assert titles[:3] == ["Loss", "Evaluation", "Agreement with the labels"]
    assert {"Number of SCSs", "Histogram of sizes", "60 images by class"} <= set(titles)
    fields = {t for _, t in parsed.all("th")}
    assert {"num_epochs", "temperature", "crop_scale", "python", "jaxlib"} <= fields
    # Colours are the page's; every one of them exists.
    assert not re.search(r"#0[1-5]0[1-5]\w\w", source)
    assert set(re.findall(r"var\((--[\w-]+)\)", source)) <= set(re.findall(r"(--[\w-]+):", source))


def test_the_same_run_gives_the_same_page(render, snapshot):
    assert render(snapshot)[1] == render(snapshot)[1]


def test_names_are_escaped(render, snapshot):
    images = make_images(snapshot.images.labels, names=[f"{NASTY}{i}" for i in range(60)])
    queries = make_images(snapshot.queries.labels, names=[NASTY] * 5)
    parsed, source = render(
        snapshot._replace(images=images, queries=queries), name="<b>&\"' {{ name }}"
    )
    assert not parsed.all("script")
    assert "<script" not in source
    assert "<b>&" not in source
    assert [t for _, t in parsed.all("h1")] == ["<b>&\"' {{ name }}"]
    titles = [a["title"] for a, _ in parsed.all("img")]
    assert all(title.startswith(NASTY) for title in titles)
    assert any(text.startswith(NASTY) for _, text in parsed.all("title")[1:])


def test_wrong_members_are_marked_and_only_those(snapshot):
    labels = snapshot.images.labels
    table = GroupTable(snapshot.found.groups, labels)
    marked = {}
    for gallery in galleries.group_galleries(snapshot, table):
        for card in gallery.cards:
            marked |= {int(p.name.split()[0]): p.wrong for p in card.pictures}
    for i in range(len(table)):
        members = table.members(i)
        counts = np.bincount(labels[members])
        for j in set(members.tolist()) & marked.keys():
            assert marked[j] == (labels[j] != counts.argmax())
    assert any(marked.values())


def test_without_labels_nothing_is_right_or_wrong(render, snapshot):
    unknown = make_images(np.full(60, -1))
    queries = make_images(np.full(5, -1))
    parsed, source = render(snapshot._replace(images=unknown, queries=queries), labelled=False)
    assert not parsed.all("li", "wrong")
    assert not parsed.all("g", "wrong")
    assert "urity" not in parsed.text
    assert "class" not in " ".join(a["alt"] for a, _ in parsed.all("img"))
    assert [t for _, t in parsed.all("h3")][:2] == ["Largest", "Random"]
    groups = min(10, len(GroupTable(snapshot.found.groups, unknown.labels)))
    assert f"60 images, the {groups} largest SCSs in colour" in parsed.text
    assert "have no labels" in parsed.text
    assert "var(--none)" in source


def test_labels_of_some(snapshot):
    labels = snapshot.images.labels.copy()
    labels[::2] = -1
    images = make_images(labels)
    table = GroupTable(snapshot.found.groups, labels)
    for i in range(len(table)):
        known = labels[table.members(i)]
        known = known[known >= 0]
        if len(known) < 2:
            assert table.majority(i) == -1
        else:
            assert np.sum(known == table.majority(i)) == pytest.approx(table.purity[i] * len(known))
    cards = galleries.group_galleries(snapshot._replace(images=images), table)
    for picture in itertools.chain(*(c.pictures for g in cards for c in g.cards)):
        assert "class" in picture.name or not picture.wrong


def test_galleries_show_what_they_promise(rng):
    rows, cluster = clustered(400, 8, rng)
    snapshot = Snapshot(make_images(cluster % 5), discover(rows), rows)
    table = GroupTable(snapshot.found.groups, snapshot.images.labels)
    largest, least_pure, purest, rest = galleries.group_galleries(snapshot, table)
    shown = [
        frozenset(int(p.name.split()[0]) for p in card.pictures)
        for gallery in (largest, least_pure, purest, rest)
        for card in gallery.cards
    ]
    assert len(set(shown)) == len(shown) == len(list(itertools.chain(shown)))
    groups = {frozenset(table.members(i).tolist()): i for i in range(len(table))}
    numbers = [groups[members] for members in shown]  # whole groups, every one of them
    sizes = sorted(table.size)[::-1]
    assert [table.size[i] for i in numbers[:6]] == sizes[:6]
    impure = numbers[6 : 6 + len(least_pure.cards)]
    assert (table.purity[impure] < 1).all()
    assert (np.diff(table.purity[impure]) >= 0).all()
    first = 6 + len(impure)
    assert (table.purity[numbers[first : first + 6]] == 1).all()


def test_members_come_most_typical_first_and_large_groups_are_sampled(rng):
    rows, _ = clustered(50, 1, rng)
    everything = np.zeros(50, np.int32)
    found = discover(rows)._replace(groups=subgraphs.Groups(everything, everything))
    snapshot = Snapshot(make_images(np.zeros(50, np.int64)), found, rows)
    table = GroupTable(found.groups, snapshot.images.labels)
    (card,) = galleries.group_galleries(snapshot, table)[0].cards
    assert card.title == "50 members, 50 of class 0; 20 random ones shown"
    members = [int(p.name.split()[0]) for p in card.pictures]
    assert len(set(members)) == 20
    typical = rows[members] @ rows[members].mean(0)
    assert (np.diff(typical) <= 1e-6).all()


def random_digraphs(rng, count):
    for _ in range(count):
        n = int(rng.integers(2, 8))
        graph = nx.DiGraph()
        graph.add_nodes_from(range(n))
        density = rng.random()
        pairs = itertools.permutations(range(n), 2)
        graph.add_edges_from(pair for pair in pairs if rng.random() < density)
        yield graph


def test_the_closing_cycle_is_a_cycle_of_the_graph(rng):
    lengths = []
    for graph in random_digraphs(rng, 300):
        cycle = graphs.closing_cycle(graph)
        lengths.append(len(cycle))
        assert len(set(cycle)) == len(cycle)
        for a, b in itertools.pairwise([*cycle, *cycle[:1]]):
            assert graph.has_edge(a, b)
        every = list(nx.simple_cycles(graph))
        if longer := [c for c in every if len(c) > 2]:
            assert cycle[0] == min(map(min, longer))
            assert len(cycle) == min(len(c) for c in longer if cycle[0] in c)
        else:
            assert len(cycle) == (2 if every else 0)
    assert {0, 2, 3, 4} <= set(lengths)


def test_graphs_are_drawn_as_they_are(render, snapshot):
    found, labels = snapshot.found, snapshot.images.labels
    drawn = graphs.drawings(snapshot, GroupTable(found.groups, labels))
    assert drawn
    for drawing in drawn:
        members = [int(node.picture.name.split()[0]) for node in drawing.nodes]
        group_id = found.groups.group_id
        assert set(members) == set(np.flatnonzero(group_id == group_id[members[0]]).tolist())
        edges = {(i, j) for i in members for j in found.neighbors[i].tolist() if j in members}
        assert sum(len(line.arrows) for line in drawing.lines) == len(edges)
        labels_drawn = sorted(line.label[0] for line in drawing.lines)
        cosines = {frozenset(e): snapshot.memory[e[0]] @ snapshot.memory[e[1]] for e in edges}
        assert labels_drawn == sorted(f"{x:.2f}" for x in cosines.values())
        cycle = [line for line in drawing.lines if line.in_cycle]
        assert len(cycle) == 1 or len(cycle) >= 3
        width, height = drawing.size
        for _, x, y in drawing.nodes:
            assert drawing.node <= x <= width - drawing.node
            assert drawing.node <= y <= height - drawing.node
        for a, b in itertools.combinations((line.label for line in drawing.lines), 2):
            assert max(abs(a[1] - b[1]) / 24, abs(a[2] - b[2]) / 12) >= 1  # both can be read
    parsed, _ = render(snapshot)
    assert len(parsed.all("g", "node")) == sum(len(d.nodes) for d in drawn)


def test_neighbours_of_test_images_are_the_nearest(snapshot):
    rows = galleries.neighbor_rows(snapshot)
    assert len(rows) == 5
    for row, embedding, label in zip(
        rows, snapshot.query_embeddings, snapshot.queries.labels, strict=True
    ):
        similarity = snapshot.memory @ embedding
        nearest = np.argsort(-similarity, kind="stable")[:7]
        assert [int(p.name.split()[0]) for p in row.neighbors] == nearest.tolist()
        assert [p.note for p in row.neighbors] == [f"{x:.2f}" for x in similarity[nearest]]
        assert [p.wrong for p in row.neighbors] == (
            snapshot.images.labels[nearest] != label
        ).tolist()


@pytest.mark.parametrize(
    ("shape", "kind", "size"),
    [((8, 8, 1), "png", (64, 64)), ((28, 28, 1), "png", (56, 56)), ((32, 20, 3), "png", (40, 64)),
     ((224, 112, 3), "jpeg", (32, 64)), ((48, 48, 3), "jpeg", (48, 48))],
)  # fmt: skip
def test_pictures_are_small_and_keep_their_shape(shape, kind, size):
    (picture,) = pictures.pictures(make_images([3], shape), np.array([0]))
    assert picture.uri.startswith(f"data:image/{kind};base64,")
    assert (picture.width, picture.height) == size
    assert len(picture.uri) < 8000


def test_pictures_are_the_images(tmp_path):
    images = make_images([0, 1, 2], (12, 12, 3))
    (picture,) = pictures.pictures(images, np.array([2]))
    file = io.BytesIO(base64.b64decode(picture.uri.split(",")[1]))
    np.testing.assert_array_equal(np.asarray(Image.open(file)), images.array[2])


def test_runs_without_a_group(render, rng):
    rows, cluster = clustered(30, 3, rng)
    found = discover(rows, "singleton")
    for kind, sentence in (("singleton", "instance discrimination"), ("scs", "No SCS was found")):
        parsed, _ = render(Snapshot(make_images(cluster), found, rows), kind)
        assert sentence in parsed.text
        assert "There is no" in parsed.text
        assert not parsed.all("figure", "card")


def test_groups_that_are_no_partition(render, rng):
    rows, cluster = clustered(40, 3, rng)
    for k, sentence in ((10, "Every group has too many members"), (4, "Inside a few groups")):
        found = discover(rows, "neighbors", k)
        parsed, _ = render(Snapshot(make_images(cluster), found, rows), "neighbors")
        assert sentence in parsed.text
        assert "SCS" not in parsed.text.replace("SCS (Eq 3)", "")
        assert any(text.startswith(f"{k + 1} members") for _, text in parsed.all("figcaption"))


def test_without_the_cyclic_constraint_a_graph_may_have_no_cycle(rng):
    rows, _ = clustered(4, 1, rng)
    neighbors = np.array([[1], [2], [3], [0]], np.int32)
    neighbors[3] = 3  # an edge to itself is none
    one = np.zeros(4, np.int32)
    found = subgraphs.Discovery(
        0, neighbors, np.ones((4, 1), np.float32), subgraphs.Groups(one, one)
    )
    snapshot = Snapshot(make_images([0] * 4), found, rows)
    (drawing,) = graphs.drawings(snapshot, GroupTable(found.groups, snapshot.images.labels))
    assert "No cycle closes" in drawing.description
    assert not any(line.in_cycle for line in drawing.lines)


@pytest.mark.parametrize("n", [2, 3])
def test_two_or_three_images_one_epoch_and_no_test_images(render, rng, n):
    rows, _ = clustered(n, 1, rng)
    found = discover(rows, k=1)
    parsed, _ = render(Snapshot(make_images([10**12] * n), found, rows), num_epochs=1)
    assert "One epoch is a dot" in parsed.text
    assert "There are no test images" in parsed.text
    assert ("too few images" in parsed.text) == (n == 2)


def test_a_group_of_everything_and_many_classes(render, rng):
    rows, _ = clustered(200, 1, rng)
    found = discover(rows, k=8, max_size=None)
    labels = rng.integers(0, 50, 200)
    parsed, _ = render(Snapshot(make_images(labels), found, rows))
    assert "; 20 random ones shown" in parsed.text
    assert "The number of a class" not in parsed.text  # there are too many


def test_streamed_images(render, rng):
    rows, cluster = clustered(40, 3, rng)
    source = ArraySource(rng.integers(0, 256, (40, 9, 9, 3), np.uint8), cluster)
    options = {"image_size": 8, "channels": 3, "strict": False}
    resident = prepare(source, max_resident_bytes=1e9, **options)
    streamed = prepare(source, max_resident_bytes=0, **options)
    found = discover(rows)
    expected = render(Snapshot(resident, found, rows, resident, rows))[1]
    assert render(Snapshot(streamed, found, rows, streamed, rows))[1] == expected


def test_ten_thousand_images_are_under_five_megabytes(render, rng):
    rows, cluster = clustered(10_000, 40, rng)
    neighbors = np.arange(10_000)[:, None] // 8 * 8 + (np.arange(10_000)[:, None] + [1, 2, 3]) % 8
    similarities = np.einsum("nd,nkd->nk", rows, rows[neighbors])
    groups = subgraphs.find_groups("scs", neighbors.astype(np.int32), rows)
    found = subgraphs.Discovery(2, neighbors.astype(np.int32), similarities, groups)
    images = make_images(cluster, (32, 32, 3))  # noise: no file is smaller than its pixels
    queries = make_images(cluster[:12], (32, 32, 3))
    parsed, source = render(Snapshot(images, found, rows, queries, rows[:12]), num_epochs=200)
    assert len(parsed.all("img")) > 200
    assert len(source.encode()) < 5e6


@pytest.fixture
def dataset(snapshot):
    return Dataset(snapshot.images, make_images(np.arange(20) % 4))


def embed(images):
    return {"embedding": np.ones((len(images), 16), np.float32) / 4}


def test_written_to_the_runs_folder(render, snapshot, dataset, tmp_path, caplog):
    render(snapshot)
    report.write(tmp_path / "run", dataset, snapshot.found, snapshot.memory, embed)
    parsed = Page((tmp_path / "run/report.html").read_text(encoding="utf-8"))
    assert len(parsed.all("li", "anchor")) == 12  # of the 20 test images
    assert not [record for record in caplog.records if record.name.startswith("pad_jax")]


def test_a_report_that_fails_is_one_line_of_warning(snapshot, dataset, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        report.write(tmp_path / "nowhere", dataset, snapshot.found, snapshot.memory, embed)
    (record,) = (r for r in caplog.records if r.name.startswith("pad_jax"))
    assert "report.html is not written: InputError" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_of_several_processes_all_embed_and_the_first_writes(
    render, snapshot, dataset, tmp_path, monkeypatch
):
    render(snapshot)
    embedded = []
    monkeypatch.setattr("jax.process_index", lambda: 1)
    report.write(
        tmp_path / "run",
        dataset,
        snapshot.found,
        snapshot.memory,
        lambda images: embedded.append(len(images)) or embed(images),
    )
    assert embedded == [12]
    assert not (tmp_path / "run/report.html").exists()
