"""The affinity graph inside a few groups, drawn with the cycle that closes (Figs 3, 5)."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import networkx as nx
import numpy as np

from pad_jax.graph.discovery import Discovery
from pad_jax.report.galleries import GroupTable
from pad_jax.report.pictures import Picture, pictures
from pad_jax.report.snapshot import Snapshot

_GRAPHS = 3
_MAX_MEMBERS = 7  # more of them make a drawing that cannot be read
_SIZE = 5  # the number of members that shows best how they hang together
# In units of the drawing, which is as many pixels on a narrow screen.
_WIDTH, _HEIGHT = 340, 320
_NODE = 25  # half the side of an image with its frame
_ARROW = 8
_LABEL = (28, 15)


class Node(NamedTuple):
    """An image of a drawing and where its middle lies."""

    picture: Picture
    x: float
    y: float


class Line(NamedTuple):
    """An edge, or two that link the same images both ways.

    Attributes:
      ends: x1, y1, x2, y2.
      arrows: the corners of each arrow head, for SVG.
      label: the similarity, and where it stands: x, y.
      in_cycle: whether the closing cycle runs along it.
    """

    ends: tuple[float, float, float, float]
    arrows: list[str]
    label: tuple[str, float, float]
    in_cycle: bool


class Drawing(NamedTuple):
    """The affinity graph inside one group."""

    description: str
    nodes: list[Node]
    lines: list[Line]
    size: tuple[int, int] = (_WIDTH, _HEIGHT)
    node: int = _NODE
    label: tuple[int, int] = _LABEL


def drawings(snapshot: Snapshot, table: GroupTable) -> list[Drawing]:
    """A few random groups of middle size; none where all are too large, or there is no graph."""
    if snapshot.found.graph is None:
        return []
    shuffled = np.random.default_rng(1).permutation(len(table))
    fit = shuffled[table.size[shuffled] <= _MAX_MEMBERS]
    by_fitness = np.argsort(np.abs(table.size[fit] - _SIZE), kind="stable")
    return [_draw(snapshot, table, i) for i in fit[by_fitness[:_GRAPHS]]]


def affinity_graph(found: Discovery, members: np.ndarray) -> nx.DiGraph:
    """The graph that was searched, of ``members``, int [m], alone; edges have a ``similarity``."""
    graph = nx.DiGraph()
    graph.add_nodes_from(members.tolist())
    for i in members.tolist():
        for j, similarity in zip(
            found.edges[i].tolist(), found.graph.similarities[i].tolist(), strict=True
        ):
            if j in graph and j != i:
                graph.add_edge(i, j, similarity=similarity)
    return graph


def closing_cycle(graph: nx.DiGraph) -> list[int]:
    """A shortest cycle of three vertices or more, through the lowest vertex that is on one.

    Two that link each other are a cycle as well, but show little: they are taken where there is
    nothing longer.

    Returns:
      The vertices in order; none where there is no cycle (as may be without the cyclic constraint).
    """
    for start in sorted(graph):
        cycles = []
        for second in graph.successors(start):
            detour = nx.restricted_view(graph, [], [(second, start)])
            if nx.has_path(detour, second, start):
                cycles.append([start, *nx.shortest_path(detour, second, start)[:-1]])
        if cycles:
            return min(cycles, key=len)  # of equally short ones that of the nearest neighbour
    return next(([a, b] for a, b in sorted(graph.edges) if graph.has_edge(b, a)), [])


def _draw(snapshot: Snapshot, table: GroupTable, i: int) -> Drawing:
    members = table.members(i)
    graph = affinity_graph(snapshot.found, members)
    cycle = closing_cycle(graph)
    # Neighbours in the cycle are neighbours on the circle too: it is seen at a glance.
    order = cycle + [v for v in members.tolist() if v not in cycle]
    places = _layout(order)
    in_cycle = {frozenset(edge) for edge in itertools.pairwise([*cycle, *cycle[:1]])}
    lines, taken = [], []
    # Those of the cycle last, to lie on top; their labels first, to stand in the middle.
    pairs = sorted(
        {frozenset(edge) for edge in graph.edges}, key=lambda p: (p not in in_cycle, sorted(p))
    )
    for pair in pairs:
        a, b = sorted(pair)
        arrows = [edge for edge in ((a, b), (b, a)) if graph.has_edge(*edge)]
        similarity = graph.edges[arrows[0]]["similarity"]
        ends = _between(places[a], places[b])
        taken.append(_label_place(ends, taken))
        heads = [_arrow(ends if edge == (a, b) else ends[::-1]) for edge in arrows]
        label = (f"{similarity:.2f}", *np.round(taken[-1], 1).tolist())
        lines.append(
            Line(tuple(np.round(ends, 1).ravel().tolist()), heads, label, pair in in_cycle)
        )
    shown = pictures(snapshot.images, np.array(order), table.majority(i))
    description = f"{len(members)} images, linked by {graph.number_of_edges()} edges. " + (
        f"The closing cycle runs through {len(cycle)}." if cycle else "No cycle closes."
    )
    nodes = [
        Node(picture, *np.round(places[v], 1).tolist())
        for v, picture in zip(order, shown, strict=True)
    ]
    return Drawing(description, nodes, lines[::-1])


def _layout(order: list[int]) -> dict[int, np.ndarray]:
    """Middles of the images: on a ring that fills the drawing, clockwise, the first on top."""
    x, y = np.array(list(nx.circular_layout(order).values())).T
    places = np.stack([y, -x], axis=1).round(6)
    low, extent = places.min(0), np.ptp(places, axis=0)
    shares = np.where(extent > 0, (places - low) / np.where(extent > 0, extent, 1), 0.5)
    margin = _NODE + 9  # leaves room for the mark at a corner
    room = np.array([_WIDTH, _HEIGHT]) - 2 * margin
    return dict(zip(order, margin + shares * room, strict=True))


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The line from one image's frame to another's: [[x1, y1], [x2, y2]]."""
    step = b - a
    margin = (_NODE + 3) / np.abs(step).max()
    return np.stack([a + margin * step, b - margin * step])


def _arrow(ends: Sequence[np.ndarray]) -> str:
    """The corners of the arrow head at the end of a line, for SVG."""
    start, tip = ends
    along = (tip - start) / np.linalg.norm(tip - start)
    across = np.array([-along[1], along[0]])
    back = tip - _ARROW * along
    corners = (tip, back + 0.45 * _ARROW * across, back - 0.45 * _ARROW * across)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _label_place(ends: np.ndarray, labels: list[np.ndarray]) -> np.ndarray:
    """Where a label stands on a line: next to the middle, clear of the labels there are."""

    def room(place):
        return min((np.max(np.abs(place - label) / _LABEL) for label in labels), default=1)

    places = [ends[0] + t * (ends[1] - ends[0]) for t in (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73)]
    return next((p for p in places if room(p) >= 1), max(places, key=room))
