"""The report: whole, safe and true of the run, whatever the run has and lacks."""

import json
import logging
import re

import numpy as np
import pytest

from configs import digits as digits_config
from pad_jax import groupings, report
from pad_jax.data import Dataset
from pad_jax.data.arrays import ArraySource
from pad_jax.data.images import prepare
from pad_jax.graph.groups import singletons
from pad_jax.graph.search import Graph
from pad_jax.report import graphs, page, plots
from pad_jax.report.galleries import GroupTable
from pad_jax.report.snapshot import Snapshot
from pad_jax.run import folder, kinds
from pad_jax.settings import Settings
from tests.support import report_run
from tests.support.report_run import (
    Page,
    clustered,
    discover,
    make_images,
    make_objective,
    metric_rows,
)

NASTY = "\"><script>alert(1)</script>&amp;'{{ 7 * 7 }}"


@pytest.fixture
def render(tmp_path):
    """A function that renders a snapshot as the page of a run, parsed and as text."""

    def make(snapshot, num_epochs=3, name="run", labelled=True):
        config = digits_config.get_config()
        config.num_epochs = num_epochs
        workdir = tmp_path / name
        workdir.mkdir(exist_ok=True)
        folder.write(workdir, config, Dataset(snapshot.images, None))
        rows = metric_rows(num_epochs, labelled, snapshot.objective.prefix)
        lines = [json.dumps(row) + "\n" for row in rows]
        (workdir / "metrics.jsonl").write_text("".join(lines))
        source = page.render(workdir, snapshot)
        return Page(source), source

    return make


@pytest.fixture
def snapshot(rng):
    return report_run.snapshot(rng)


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
    assert not re.search(r"url\(\s*['\"]?[^#'\"]|https?:|w3.org", source)
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
    assert figures["nearest alone"] == "0.650"
    assert figures["groups"] == str(len(table))
    assert [t for _, t in parsed.all("h3")][:4] == ["Largest", "Least pure", "Purest", "Random"]
    titles = [t for _, t in parsed.all("strong")]
    assert titles[:3] == ["Loss", "Evaluation", "Agreement with the labels"]
    assert {"Number of groups", "Histogram of sizes", "60 images by class"} <= set(titles)
    sections = [a["id"] for a, _ in parsed.all("section")]
    assert sections[:2] == ["groups", "curves"]
    assert "SCS" not in parsed.text.replace("SCS (Eq 3)", "")
    drawn = graphs.drawings(snapshot, table)
    assert len(parsed.all("g", "node")) == sum(len(drawing.nodes) for drawing in drawn) > 0
    fields = {t for _, t in parsed.all("th")}
    assert {"num_epochs", "temperature", "crop_scale", "python", "jaxlib"} <= fields
    # Colours are the page's; every one of them exists.
    assert not re.search(r"#0[1-5]0[1-5]\w\w", source)
    assert set(re.findall(r"var\((--[\w-]+)\)", source)) <= set(re.findall(r"(--[\w-]+):", source))


def test_the_page_says_how_many_kinds_stand_apart(render, snapshot):
    sentence = kinds.sentence(kinds.figures(snapshot.found.clusters))
    newest = snapshot.found._replace(epoch=30)
    parsed, _ = render(snapshot._replace(found=newest), num_epochs=30)
    assert [text for _, text in parsed.all("p", "said")] == [sentence]
    first, *_ = plots.kinds(metric_rows(30), newest)
    assert [(s.name, s.last) for s in first.series[:3]] == [
        *(("epoch 0", "0.6"), ("epoch 10", "1.6"), ("epoch 20", "2.6"))
    ]
    assert first.series[3].name == "epoch 30"  # the newest graph, by the encoder as it is now
    assert float(first.series[3].last) == pytest.approx(
        newest.clusters.levels.peak.modularity, abs=5e-4
    )
    titles = [t for _, t in parsed.all("strong")]
    here = titles.index("Modularity against share of edges")
    assert titles[here + 1 : here + 3] == ["Number of kinds", "How far they stand apart"]
    counted = {text for _, text in parsed.all("b")}
    assert str(newest.clusters.count) in counted


def test_kinds_of_a_run_of_before_they_were_written_down(render, snapshot):
    rows = [{k: v for k, v in row.items() if "graph/" not in k} for row in metric_rows(3)]
    first, *others = plots.kinds(rows, snapshot.found)
    assert [s.name for s in first.series] == ["epoch 2"]
    assert [len(plot.series) for plot in others] == [1, 2]


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
    assert f"60 images, the {groups} largest groups in colour" in parsed.text
    assert "have no labels" in parsed.text
    assert "var(--none)" in source


def test_runs_without_a_group(render, rng):
    rows, cluster = clustered(30, 3, rng)
    found = discover(rows, "singleton")
    for kind, sentence in (("singleton", "a class of its own"), ("scs", "No group was found")):
        parsed, _ = render(Snapshot(make_images(cluster), make_objective(kind), found, rows))
        assert sentence in parsed.text
        assert "There is no" in parsed.text
        assert not parsed.all("figure", "card")


def test_groups_that_are_no_partition(render, rng):
    rows, cluster = clustered(40, 3, rng)
    for k, sentence in ((10, "Every group has too many members"), (4, "Inside a few groups")):
        found = discover(rows, "neighbors", k)
        objective = make_objective("neighbors", k=k)
        parsed, _ = render(Snapshot(make_images(cluster), objective, found, rows))
        assert sentence in parsed.text
        assert "SCS" not in parsed.text.replace("SCS (Eq 3)", "")
        assert any(f": {k + 1} members" in text for _, text in parsed.all("figcaption"))


@pytest.mark.parametrize("n", [2, 3])
def test_two_or_three_images_one_epoch_and_no_test_images(render, rng, n):
    rows, _ = clustered(n, 1, rng)
    found = discover(rows, k=1)
    snapshot = Snapshot(make_images([10**12] * n), make_objective(), found, rows)
    parsed, _ = render(snapshot, num_epochs=1)
    assert "One epoch is a dot" in parsed.text
    assert "There are no test images" in parsed.text
    assert ("too few images" in parsed.text) == (n == 2)


def test_a_group_of_everything_and_many_classes(render, rng):
    rows, _ = clustered(200, 1, rng)
    found = discover(rows, k=8, max_size=None)
    labels = rng.integers(0, 50, 200)
    parsed, _ = render(Snapshot(make_images(labels), make_objective(), found, rows))
    assert "; 20 random ones shown" in parsed.text
    assert "The number of a class" not in parsed.text  # there are too many


def test_streamed_images(render, rng):
    rows, cluster = clustered(40, 3, rng)
    source = ArraySource(rng.integers(0, 256, (40, 9, 9, 3), np.uint8), cluster)
    options = {"image_size": 8, "channels": 3, "strict": False}
    resident = prepare(source, max_resident_bytes=1e9, **options)
    streamed = prepare(source, max_resident_bytes=0, **options)
    found, objective = discover(rows), make_objective()
    expected = render(Snapshot(resident, objective, found, rows, resident, rows))[1]
    assert render(Snapshot(streamed, objective, found, rows, streamed, rows))[1] == expected


@pytest.mark.parametrize("name", ["rotation", "clusters"])
def test_baselines_have_no_graph(render, snapshot, name):
    found = snapshot.found._replace(graph=None, clusters=None)
    if name == "rotation":
        found = found._replace(groups=singletons(60))
    for queries in (snapshot.queries, None):
        objective = make_objective(name=name)
        changed = snapshot._replace(objective=objective, found=found, queries=queries)
        if name == "rotation":
            changed = changed._replace(features=None, queries=None)
        parsed, _ = render(changed)
        assert "builds no affinity graph" in parsed.text
        assert "stand apart" not in parsed.text
        assert ("needs no groups" in parsed.text) == (name == "rotation")
        assert bool(parsed.all("li", "anchor")) == (changed.queries is not None)


def test_ten_thousand_images_are_under_five_megabytes(render, rng):
    rows, cluster = clustered(10_000, 40, rng)
    neighbors = np.arange(10_000)[:, None] // 8 * 8 + (np.arange(10_000)[:, None] + [1, 2, 3]) % 8
    similarities = np.einsum("nd,nkd->nk", rows, rows[neighbors])
    neighbors = neighbors.astype(np.int32)
    graph = Graph(neighbors, similarities)
    found = groupings.discover(groupings.create(Settings()), groupings.evidence(graph, rows, 0))
    images = make_images(cluster, (32, 32, 3))  # noise: no file is smaller than its pixels
    queries = make_images(cluster[:12], (32, 32, 3))
    snapshot = Snapshot(images, make_objective(), found, rows, queries, rows[:12])
    parsed, source = render(snapshot, num_epochs=200)
    assert len(parsed.all("img")) > 200
    assert len(source.encode()) < 5e6


@pytest.fixture
def dataset(snapshot):
    return Dataset(snapshot.images, make_images(np.arange(20) % 4))


def embed(images):
    return np.ones((len(images), 16), np.float32) / 4


def write(workdir, dataset, snapshot, embed=embed):
    objective, found, features = snapshot.objective, snapshot.found, snapshot.features
    report.write(workdir, dataset, objective, found, features, embed)


def test_written_to_the_runs_folder(render, snapshot, dataset, tmp_path, caplog):
    render(snapshot)
    write(tmp_path / "run", dataset, snapshot)
    parsed = Page((tmp_path / "run/report.html").read_text(encoding="utf-8"))
    assert len(parsed.all("li", "anchor")) == 12  # of the 20 test images
    assert not [record for record in caplog.records if record.name.startswith("pad_jax")]


def test_a_report_that_fails_is_one_line_of_warning(snapshot, dataset, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        write(tmp_path / "nowhere", dataset, snapshot)
    (record,) = (r for r in caplog.records if r.name.startswith("pad_jax"))
    assert "report.html is not written: InputError" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_of_several_processes_all_embed_and_the_first_writes(
    snapshot, dataset, tmp_path, monkeypatch, caplog
):
    embedded = []
    monkeypatch.setattr("pad_jax.processes.on_first", lambda work, otherwise: otherwise)
    write(
        tmp_path,
        dataset,
        snapshot,
        lambda images: embedded.append(len(images)) or embed(images),
    )
    assert embedded == [12]
    assert not list(tmp_path.iterdir())
    assert "report.html" not in caplog.text  # where it would have failed without a config
