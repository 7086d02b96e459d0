"""What the site shows, as arrays: groups in an order, their neighbours, sets of them, the rest."""

from typing import NamedTuple

import numpy as np

from pad_jax.browse.order import nearest_rows, similar_order
from pad_jax.browse.sets import Sets, find_sets
from pad_jax.browse.sketch import Sketch, sketch
from pad_jax.collection import Collection
from pad_jax.graph.search import Graph
from pad_jax.labelling.diffusion import Pile
from pad_jax.labelling.naming import Naming

_GLANCE = 20  # groups that are seen at first
_OFFERED = 50  # groups to name first
_NEIGHBORS = 10  # of an image that are shown
_NEAREST_GROUPS = 3  # of an image in none


class Catalogue(NamedTuple):
    """A pile of N images in the order in which a page shows it.

    An image's number in that order is its *place*: group by group, similar groups one after the
    other, the most typical member of a group first; then the images in no group, similar ones
    beside each other. So a group is a range of places.

    Attributes:
      rows: int64 [N], the row of the collection at each place.
      start: int64 [G + 1], group g has the places start[g] .. start[g + 1] - 1, at least two.
      alike: float32 [G], mean cosine of two different members.
      sets: which groups, and images in none, belong together.
      sketch: groups and some images, as the page tells what is near a name.
      first: int64 [F], groups that are worth naming first, in order.
      nearest: of each image in no group, the groups whose means it is most similar to, [S, 3 or
        fewer].
      neighbors: the nearest images of each place, as places, [N, k].
    """

    rows: np.ndarray
    start: np.ndarray
    alike: np.ndarray
    sets: Sets
    sketch: Sketch
    first: np.ndarray
    nearest: Graph
    neighbors: Graph


def arrange(collection: Collection) -> Catalogue:
    """The catalogue of a collection.

    Raises:
      InputError: for fewer than two images.
    """
    features, graph = collection.embeddings, collection.graph
    labels, typical = collection.groups.labels_, collection.groups.similarities_
    clusters = np.asarray(collection.hierarchy.labels_)
    members, sums = _members(labels, typical, features)
    size = np.array([len(of_group) for of_group in members], np.int64)
    length = np.linalg.norm(sums, axis=1)
    means = sums / np.maximum(length, 1e-12)[:, None]
    # |sum|^2 = m + the cosines of all m (m - 1) ordered pairs.
    alike = (length**2 - size) / np.maximum(size * (size - 1), 1)
    path = _surest_first(similar_order(means), means, alike)
    means, size, alike = means[path], size[path], alike[path]
    start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)

    single = np.flatnonzero(labels < 0)
    nearest = Graph(*nearest_rows(means, min(_NEAREST_GROUPS, len(means)), features[single]))
    if len(means):
        beside = np.lexsort((-nearest.similarities[:, 0], nearest.indices[:, 0]))
        single, nearest = single[beside], Graph(*(x[beside] for x in nearest))
    rows = np.concatenate([*(members[g] for g in path), single]).astype(np.int64)
    place = np.empty(len(rows), np.int64)
    place[rows] = np.arange(len(rows))

    pile = Pile(features, graph)
    naming = Naming(pile, labels)
    groups = np.array([found.group for found in naming.choose(_OFFERED)], np.int64)
    diffused = pile.rows[rows]
    return Catalogue(
        rows=rows,
        start=start,
        alike=alike.astype(np.float32),
        sets=find_sets(clusters[rows], diffused, start),
        sketch=sketch(diffused, start, naming.reach),
        first=np.argsort(path)[groups[groups >= 0]],
        nearest=nearest,
        neighbors=Graph(
            place[graph.indices[rows, :_NEIGHBORS]], graph.similarities[rows, :_NEIGHBORS]
        ),
    )


def _members(
    labels: np.ndarray, typical: np.ndarray, features: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """The rows of each group, the most typical first, and their sums, [G, D]."""
    order = np.lexsort((-typical, labels))
    order = order[labels[order] >= 0]
    if not len(order):
        return [], np.zeros((0, features.shape[1]), np.float32)
    first = np.flatnonzero(np.diff(labels[order], prepend=-1))
    return np.split(order, first[1:]), np.add.reduceat(features[order], first, axis=0)


def _surest_first(path: np.ndarray, means: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """The path from another group on, so that what is seen at first is sure.

    It is cut where its steps are the longest anyway, and its ends are joined.

    Args:
      path: int [G].
      means: float32 [G, D], unit rows, of the groups.
      alike: float32 [G], how sure they are.
    """
    if len(path) <= _GLANCE:
        return path
    steps = np.einsum("gd,gd->g", means[path[:-1]], means[path[1:]])
    cuts = [0, *(1 + np.flatnonzero(steps <= np.quantile(steps, 0.1))).tolist()]
    around = np.concatenate([alike[path], alike[path[:_GLANCE]]])
    first = max(cuts, key=lambda cut: around[cut : cut + _GLANCE].mean())
    return np.roll(path, -first)
