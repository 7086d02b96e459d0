"""Kinds of groups: what each finds, and in which form."""

import subprocess
import sys

import numpy as np
import pytest

from pad_jax import config, groupings
from pad_jax.errors import InputError
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import Groups, singletons
from pad_jax.graph.search import Graph, search
from pad_jax.graph.subgraphs import strongest_edges, strongly_connected_subgraphs
from pad_jax.graph.trust import trusted_edges, trusted_size
from pad_jax.groupings import GroupingSettings
from pad_jax.groupings.anchors import AnchorSettings, anchor_neighbors, anchor_share
from pad_jax.groupings.base import Grouping
from pad_jax.groupings.scs import SubgraphSettings
from pad_jax.settings import RunSettings, Settings

N, K = 30, 3


def create(kind, *settings, **fields):
    return groupings.create(
        Settings(GroupingSettings(kind=kind, num_neighbors=K, **fields), *settings)
    )


@pytest.fixture
def features(unit_rows):
    return unit_rows(N, 4)


@pytest.fixture
def graph(features):
    return search(features, features, K, leave_one_out=True)


def find(grouping, graph, features, epoch=0):
    return groupings.discover(grouping, groupings.evidence(graph, features, epoch)).groups


def structure(groups):
    return [None if x is None else (x.dtype, x.shape) for x in groups]


def test_neighbors_are_each_a_group(graph, features):
    groups = find(create("neighbors"), graph, features)
    assert groups.members[5].tolist() == [5, *graph.indices[5]]
    assert groups.hard_positive[5] == graph.indices[5, -1]
    assert groups.group_id.tolist() == list(range(N))


def test_singletons_are_alone(graph, features):
    single = find(create("singleton"), graph, features)
    assert single.group_id.tolist() == single.hard_positive.tolist() == list(range(N))


def test_subgraphs_are_those_of_the_seed_and_the_epoch(graph, features):
    settings = SubgraphSettings(max_size=4), RunSettings(seed=1)
    scs = find(create("scs", *settings), graph, features, epoch=2)
    expected = strongly_connected_subgraphs(graph.indices, 4, seed=(1, 2))
    np.testing.assert_array_equal(scs.group_id, expected)
    np.testing.assert_array_equal(scs.group_id[scs.hard_positive], scs.group_id)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_subgraphs_are_searched_in_the_strongest_edges(graph, features, share):
    scs = create("scs", SubgraphSettings(edge_share=share, cyclic=False))
    found = groupings.discover(scs, groupings.evidence(graph, features, 7))
    np.testing.assert_array_equal(found.edges, strongest_edges(*graph, share))
    expected = strongly_connected_subgraphs(found.edges, 10, cyclic=False, seed=(0, 7))
    np.testing.assert_array_equal(found.groups.group_id, expected)


@pytest.mark.parametrize(
    ("epoch", "sizes", "limit"),
    [
        (0, (50, 800), 50),
        (1, (50, 800), 100),
        (4, (50, 800), 800),
        (5, (50, 800), 800),  # the groups after the last epoch
        (2, (50, None), 50),
        (2, (None, None), None),
    ],
)
def test_the_scale_threshold_grows(epoch, sizes, limit):
    assert SubgraphSettings(*sizes).size_limit(epoch, 5) == limit


@pytest.mark.parametrize("epoch", [0, 2, 4])
def test_subgraphs_are_as_large_as_the_threshold_of_the_epoch(rng, epoch):
    settings = SubgraphSettings(max_size=2, final_max_size=N), RunSettings(num_epochs=5)
    everyone = Graph(np.stack([rng.permutation(N) for _ in range(N)]), np.zeros((N, N)))
    groups = find(create("scs", *settings), everyone, np.eye(N), epoch)
    limit = settings[0].size_limit(epoch, 5)
    assert np.unique(groups.group_id, return_counts=True)[1].max() == limit


@pytest.mark.parametrize(
    ("epoch", "until", "are_classes"),
    [(0, 1.0, True), (199, 1.0, True), (149, 0.75, True), (150, 0.75, False), (0, 0.0, False)],
)
def test_singletons_are_classes_up_to_a_share_of_the_run(epoch, until, are_classes):
    group_id, hard_positive = np.array([0, 1, 0, 3], np.int32), np.array([2, 1, 0, 3], np.int32)
    scs = create("scs", RunSettings(num_epochs=200), singletons_until=until)
    learnt = scs.learnt(Discovery(epoch, Groups(group_id, hard_positive))).group_id
    assert learnt.dtype == np.int32
    assert learnt.tolist() == ([0, 1, 0, 3] if are_classes else [0, -1, 0, -1])


def test_singletons_stay_classes_where_there_is_no_group():
    learnt = create("scs", singletons_until=0.0).learnt(Discovery(1, singletons(4)))
    assert learnt.group_id.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["neighbors", "anchor_neighbors", "singleton"])
def test_other_kinds_have_no_singletons_to_leave_out(kind):
    with pytest.raises(InputError, match=f"singletons_until=0.5 .* grouping.kind={kind}; use 1.0"):
        create(kind, singletons_until=0.5)


def test_anchor_neighbors_are_the_surest_samples():
    nearest = np.array([1, 2, 0, 0, 1], np.int32)
    entropy = np.array([0.5, 0.1, 0.9, 0.3, 0.1], np.float32)
    groups = anchor_neighbors(nearest, entropy, 0.6)
    assert groups.members.tolist() == [[0, -1], [1, 2], [2, -1], [3, 0], [4, 1]]
    assert groups.hard_positive.tolist() == [0, 2, 2, 0, 1]
    assert groups.group_id.tolist() == [0, 1, 2, 3, 4]
    everyone = anchor_neighbors(nearest, entropy, 1.0)
    np.testing.assert_array_equal(everyone.members[:, 1], nearest)
    before = create("anchor_neighbors").before_training(5)
    assert structure(before) == structure(everyone)


@pytest.mark.parametrize(("epoch", "share"), [(0, 0.2), (39, 0.2), (40, 0.4), (199, 1), (200, 1)])
def test_rounds_of_anchors(epoch, share):
    assert anchor_share(epoch, 200, 5) == share


@pytest.mark.parametrize(("epoch", "anchors"), [(0, 15), (4, 15), (5, 30), (10, 30)])
def test_every_round_has_more_anchors(graph, features, epoch, anchors):
    grouping = create("anchor_neighbors", AnchorSettings(rounds=2), RunSettings(num_epochs=10))
    groups = find(grouping, graph, features, epoch)
    paired = groups.members[:, 1] >= 0
    assert paired.sum() == anchors
    np.testing.assert_array_equal(groups.members[paired, 1], graph.indices[paired, 0])


@pytest.mark.parametrize("kind", groupings.KINDS)
def test_groups_before_training_are_singletons_of_the_same_form(graph, features, kind):
    grouping = create(kind)
    before = grouping.before_training(N)
    assert structure(before) == structure(find(grouping, graph, features))
    assert before.group_id.tolist() == before.hard_positive.tolist() == list(range(N))
    if before.members is not None:
        assert before.members[:, 0].tolist() == list(range(N))
        assert (before.members[:, 1:] == -1).all()


class Pairs(Grouping):
    """A kind from outside of the package: samples two by two, as they come."""

    def find(self, evidence, edges):
        own = np.arange(len(edges), dtype=np.int32)
        return Groups(own // 2 * 2, own ^ 1)


def test_a_kind_from_outside_has_a_name(graph, features):
    chosen = config.default(grouping__kind=f"{__name__}:Pairs")
    grouping = groupings.create(config.read(chosen))
    assert type(grouping).__name__ == "Pairs"
    assert find(grouping, graph, features).hard_positive[:4].tolist() == [1, 0, 3, 2]


def test_what_takes_seconds_to_load_is_not_loaded_for_groups_alone():
    program = (
        "import sys, pad_jax.groupings, pad_jax.train, pad_jax.main; "
        "sys.exit(' '.join({'sklearn', 'numba', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == ""


def test_unknown_kind():
    with pytest.raises(InputError, match="kind='x'"):
        create("x")


def test_auto_asks_the_graph(unit_rows, rng):
    centers = unit_rows(5, 16)
    rows = centers[np.arange(500) % 5] + 0.3 * unit_rows(500, 16)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    graph = search(rows, rows, 10, leave_one_out=True)
    scs = create(
        "scs", SubgraphSettings(max_size="auto", edge_share="auto"), singletons_until="auto"
    )
    found = groupings.discover(scs, groupings.evidence(graph, rows, 3))
    assert found.clusters.stand_apart
    np.testing.assert_array_equal(found.edges, trusted_edges(graph, found.clusters))
    expected = strongly_connected_subgraphs(found.edges, trusted_size(found.clusters), seed=(0, 3))
    np.testing.assert_array_equal(found.groups.group_id, expected)
    learnt = scs.learnt(found).group_id
    alone = found.groups.hard_positive == np.arange(500)
    assert alone.any()
    np.testing.assert_array_equal(learnt < 0, alone)
    doubtful = found._replace(clusters=found.clusters._replace(separation=0.4))
    np.testing.assert_array_equal(scs.learnt(doubtful).group_id, found.groups.group_id)


@pytest.mark.parametrize("size", [1, 0.5, "large"])
def test_auto_is_the_only_word(size):
    with pytest.raises(InputError, match=r"max_size=.* use 2 or more, or auto, or None"):
        config.read({"grouping": {"max_size": size}})
