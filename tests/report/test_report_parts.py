"""What a report shows: groups and neighbours, their images, the affinity graph inside a group."""

import base64
import io
import itertools

import networkx as nx
import numpy as np
import pytest
from PIL import Image

from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import Groups, by_falling_size, singletons
from pad_jax.graph.search import Graph
from pad_jax.report import galleries, graphs, pictures
from pad_jax.report.galleries import GroupTable
from pad_jax.report.snapshot import Snapshot
from tests.support import report_run
from tests.support.report_run import clustered, discover, make_images, make_objective


@pytest.fixture
def snapshot(rng):
    return report_run.snapshot(rng)


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
    snapshot = Snapshot(make_images(cluster % 5), make_objective(), discover(rows), rows)
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


def test_a_group_has_the_number_and_the_class_the_name_that_users_know(rng):
    rows, cluster = clustered(400, 8, rng)
    images = make_images(cluster % 2)
    images.class_names = ("rose", "tulip")
    found = discover(rows)
    snapshot = Snapshot(images, make_objective(), found, rows)
    number = by_falling_size(found.groups.group_id)  # as groups.csv has it
    table = GroupTable(found.groups, images.labels)
    for gallery in galleries.group_galleries(snapshot, table):
        for card in gallery.cards:
            first = card.pictures[0].name
            row = int(first.split()[0])
            assert card.title.startswith(f"Group {number[row]}: ")
            assert first == f"{row} (class {images.class_names[images.labels[row]]})"
            assert card.title.endswith(("of class rose", "of class tulip"))


def test_members_come_most_typical_first_and_large_groups_are_sampled(rng):
    rows, _ = clustered(50, 1, rng)
    everything = np.zeros(50, np.int32)
    found = discover(rows)._replace(groups=Groups(everything, everything))
    snapshot = Snapshot(make_images(np.zeros(50, np.int64)), make_objective(), found, rows)
    table = GroupTable(found.groups, snapshot.images.labels)
    (card,) = galleries.group_galleries(snapshot, table)[0].cards
    assert card.title == "Group 0: 50 members, 50 of class 0; 20 random ones shown"
    members = [int(p.name.split()[0]) for p in card.pictures]
    assert len(set(members)) == 20
    typical = rows[members] @ rows[members].mean(0)
    assert (np.diff(typical) <= 1e-6).all()


def test_neighbours_of_test_images_are_the_nearest(snapshot):
    rows = galleries.neighbor_rows(snapshot)
    assert len(rows) == 5
    for row, embedding, label in zip(
        rows, snapshot.query_features, snapshot.queries.labels, strict=True
    ):
        similarity = snapshot.features @ embedding
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


def test_pictures_are_the_images():
    images = make_images([0, 1, 2], (12, 12, 3))
    (picture,) = pictures.pictures(images, np.array([2]))
    file = io.BytesIO(base64.b64decode(picture.uri.split(",")[1]))
    np.testing.assert_array_equal(np.asarray(Image.open(file)), images.array[2])


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


def test_graphs_are_drawn_as_they_are(snapshot):
    found, labels = snapshot.found, snapshot.images.labels
    drawn = graphs.drawings(snapshot, GroupTable(found.groups, labels))
    assert drawn
    for drawing in drawn:
        members = [int(node.picture.name.split()[0]) for node in drawing.nodes]
        group_id = found.groups.group_id
        assert set(members) == set(np.flatnonzero(group_id == group_id[members[0]]).tolist())
        edges = {(i, j) for i in members for j in found.graph.indices[i].tolist() if j in members}
        assert sum(len(line.arrows) for line in drawing.lines) == len(edges)
        labels_drawn = sorted(line.label[0] for line in drawing.lines)
        cosines = {frozenset(e): snapshot.features[e[0]] @ snapshot.features[e[1]] for e in edges}
        assert labels_drawn == sorted(f"{x:.2f}" for x in cosines.values())
        cycle = [line for line in drawing.lines if line.in_cycle]
        assert len(cycle) == 1 or len(cycle) >= 3
        width, height = drawing.size
        for _, x, y in drawing.nodes:
            assert drawing.node <= x <= width - drawing.node
            assert drawing.node <= y <= height - drawing.node


def test_without_the_cyclic_constraint_a_graph_may_have_no_cycle(rng):
    rows, _ = clustered(4, 1, rng)
    neighbors = np.array([[1], [2], [3], [0]], np.int32)
    neighbors[3] = 3  # an edge to itself is none
    one = np.zeros(4, np.int32)
    graph = Graph(neighbors, np.ones((4, 1), np.float32))
    found = Discovery(0, Groups(one, one), graph, neighbors)
    snapshot = Snapshot(make_images([0] * 4), make_objective(), found, rows)
    (drawing,) = graphs.drawings(snapshot, GroupTable(found.groups, snapshot.images.labels))
    assert "No cycle closes" in drawing.description
    assert not any(line.in_cycle for line in drawing.lines)


def test_only_edges_that_were_searched_are_drawn():
    found = Discovery(
        0,
        singletons(3),
        Graph(
            np.array([[1], [2], [0]], np.int32),
            np.array([[0.9], [0.8], [0.7]], np.float32),
        ),
        edges=np.array([[1], [2], [2]], np.int32),
    )
    assert set(graphs.affinity_graph(found, np.arange(3)).edges) == {(0, 1), (1, 2)}


@pytest.mark.parametrize("num_members", range(2, 8))
def test_similarities_can_be_read_where_all_are_linked(rng, num_members):
    rows, _ = clustered(num_members, 1, rng)
    one = np.zeros(num_members, np.int32)
    found = discover(rows, k=num_members - 1)._replace(groups=Groups(one, one))
    snapshot = Snapshot(make_images([0] * num_members), make_objective(), found, rows)
    (drawing,) = graphs.drawings(snapshot, GroupTable(found.groups, snapshot.images.labels))
    assert len(drawing.lines) == num_members * (num_members - 1) / 2
    for a, b in itertools.combinations((line.label for line in drawing.lines), 2):
        assert max(abs(a[1] - b[1]) / 26, abs(a[2] - b[2]) / 13) >= 1
    for line, node in itertools.product(drawing.lines, drawing.nodes):
        _, x, y = line.label
        assert max(abs(x - node.x) - 13, abs(y - node.y) - 6) > drawing.node
