"""Near-copies, against all similarities in float64."""

import networkx as nx
import numpy as np
import pytest

from pad_jax.graph import copies
from pad_jax.graph.rows import unit_rows as unit_rows_of
from pad_jax.graph.search import search


def oracle(rows, threshold):
    """The sets of rows that pairs link, as sets, and the number of pairs."""
    similarity = rows.astype(np.float64) @ rows.astype(np.float64).T
    pairs = np.argwhere(np.triu(similarity >= threshold, 1))
    graph = nx.Graph()
    graph.add_edges_from(pairs.tolist())
    return sorted(map(sorted, nx.connected_components(graph))), len(pairs)


@pytest.mark.parametrize("block", [2**24, 200])
@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.99])
def test_all_pairs_are_found_whatever_the_graph_has(unit_rows, monkeypatch, block, k, threshold):
    monkeypatch.setattr(copies, "_BLOCK", block)
    rows = unit_rows(120, 3)  # many more than k are that similar
    graph = search(rows, rows, k, leave_one_out=True)
    found = copies.near_copies(rows, graph, threshold)
    sets, num_pairs = oracle(rows, threshold)
    assert found.num_pairs == num_pairs > 0
    of_row = found.sets
    assert sorted(np.flatnonzero(of_row == i).tolist() for i in range(of_row.max() + 1)) == sets
    sizes = np.bincount(of_row[of_row >= 0])
    assert (np.diff(sizes) <= 0).all()
    assert (of_row >= 0).sum() == sum(map(len, sets))


def test_equal_rows_are_copies_at_one(unit_rows):
    rows = np.tile(unit_rows(50, 128), (2, 1))  # not all cosines of equal rows round to 1
    graph = search(rows, rows, 2, leave_one_out=True)
    found = copies.near_copies(rows, graph, 1.0)
    assert found.num_pairs == 50
    assert found.sets.tolist() == list(range(50)) * 2


def test_no_copies(unit_rows):
    rows = np.eye(4, dtype=np.float32)
    graph = search(rows, rows, 3, leave_one_out=True)
    found = copies.near_copies(rows, graph, 0.9)
    assert found.num_pairs == 0
    assert (found.sets == -1).all()


def test_equal_rows_of_half_precision_are_copies_at_one(unit_rows):
    rows = unit_rows_of(np.tile(unit_rows(50, 128).astype(np.float16), (2, 1)))
    found = copies.near_copies(rows, search(rows, rows, 2, leave_one_out=True), 1.0)
    assert found.num_pairs == 50
