"""Which groups and which neighbours a report shows, with their images."""

from typing import NamedTuple

import numpy as np

from pad_jax.graph import diagnostics
from pad_jax.graph.groups import Groups
from pad_jax.graph.search import search
from pad_jax.report.pictures import Picture, class_name, pictures
from pad_jax.report.snapshot import Snapshot

_GROUPS = 6  # of a gallery
_MEMBERS = 20  # of a group
_NEIGHBORS = 7
_TRAINING_QUERIES = 12


class GroupTable:
    """The groups of two or more, numbered from 0.

    Attributes:
      size: int [G].
      number: int [G], by falling size, as groups.csv has them.
      purity: float64 [G], NaN where fewer than two members have a label.
    """

    def __init__(self, groups: Groups, labels: np.ndarray):
        sample, group, size = diagnostics.membership(groups)
        order = np.argsort(group, kind="stable")
        self._sample, self._labels = sample[order], labels
        real = size > 1
        self._start = (np.cumsum(size) - size)[real]
        self.size = size[real]
        self.number = np.argsort(np.argsort(-self.size, kind="stable"))
        self.purity = diagnostics.purity_by_group(group, labels[sample], len(size))[real]

    def __len__(self) -> int:
        return len(self.size)

    def members(self, i: int) -> np.ndarray:
        """The samples of group i, in order."""
        return self._sample[self._start[i] : self._start[i] + self.size[i]]

    def majority(self, i: int) -> int:
        """The class of most members of group i; -1 where it cannot be told."""
        if np.isnan(self.purity[i]):
            return -1
        labels = self._labels[self.members(i)]
        classes, count = np.unique(labels[labels >= 0], return_counts=True)
        return int(classes[count.argmax()])


class Card(NamedTuple):
    """A row of images with a heading."""

    title: str
    pictures: list[Picture]


class Gallery(NamedTuple):
    """Some groups of one kind.

    Attributes:
      title, explanation: what kind.
      cards: the groups.
      empty: what is said where there is none.
    """

    title: str
    explanation: str
    cards: list[Card]
    empty: str


def group_galleries(snapshot: Snapshot, table: GroupTable) -> list[Gallery]:
    """The largest, the least pure, the purest and random groups; no group twice (Fig 2)."""
    shuffled = np.random.default_rng(0).permutation(len(table))
    size, purity = table.size[shuffled], table.purity[shuffled]
    labelled = not np.isnan(purity).all()
    shown = []

    def choose(order: np.ndarray) -> list[Card]:
        fresh = [i for i in shuffled[order].tolist() if i not in shown][:_GROUPS]
        shown.extend(fresh)
        return [_card(snapshot, table, i) for i in fresh]

    by_size = np.argsort(-size, kind="stable")
    galleries = [Gallery("Largest", "With the most members.", choose(by_size[:_GROUPS]), "")]
    if labelled:
        by_purity = np.lexsort((-size, purity))  # NaN last
        impure = by_purity[purity[by_purity] < 1][: 2 * _GROUPS]
        galleries.append(
            Gallery(
                "Least pure",
                "With the smallest share of one class: where the affinities mislead.",
                choose(impure),
                "There is none besides those above: all others are of one class.",
            )
        )
        by_purity = np.lexsort((-size, -np.nan_to_num(purity, nan=-1.0)))
        pure = by_purity[~np.isnan(purity[by_purity])][: 3 * _GROUPS]
        galleries.append(
            Gallery(
                "Purest",
                "With the largest share of one class; of equally pure ones the largest.",
                choose(pure),
                "There is none besides those above.",
            )
        )
    galleries.append(
        Gallery(
            "Random",
            "What most of them look like.",
            choose(np.arange(min(len(table), 4 * _GROUPS))),
            "There is none besides those above.",
        )
    )
    return galleries


def _card(snapshot: Snapshot, table: GroupTable, i: int) -> Card:
    """Group i, its most typical members first; random ones of a large group."""
    members, expected = table.members(i), table.majority(i)
    noun = snapshot.objective.noun.capitalize()
    title = f"{noun} {table.number[i]}: {len(members)} members"
    if expected >= 0:
        labels = snapshot.images.labels[members]
        known = int(np.sum(labels >= 0))
        of_known = "" if known == len(members) else f" of {known} with a label"
        own, name = int(np.sum(labels == expected)), class_name(snapshot.images, expected)
        title += f", {own}{of_known} of {name}"
    if len(members) > _MEMBERS:
        members = np.random.default_rng(0).choice(members, _MEMBERS, replace=False)
        title += f"; {_MEMBERS} random ones shown"
    if snapshot.features is not None:
        rows = snapshot.features[members]
        members = members[np.argsort(-(rows @ rows.mean(0)), kind="stable")]
    return Card(title, pictures(snapshot.images, members, expected))


class Query(NamedTuple):
    """An image with its nearest training images, nearest first."""

    picture: Picture
    neighbors: list[Picture]


def neighbor_rows(snapshot: Snapshot) -> list[Query]:
    """Nearest training images of random test images, or of random training images without any.

    An empty list where there is no affinity graph to find the latter's in.
    """
    images, found = snapshot.images, snapshot.found
    if snapshot.queries is None and found.graph is None:
        return []
    if snapshot.queries is None:
        queries = images
        chosen = np.random.default_rng(0).permutation(len(images))[:_TRAINING_QUERIES]
        nearest = found.graph.indices[chosen, :_NEIGHBORS]
        similarities = found.graph.similarities[chosen, :_NEIGHBORS]
    else:
        queries, chosen = snapshot.queries, np.arange(len(snapshot.queries))
        k = min(_NEIGHBORS, len(images))
        nearest, similarities = search(snapshot.query_features, snapshot.features, k)
    return [
        Query(
            pictures(queries, row[None])[0],
            pictures(images, neighbors, int(queries.labels[row]), [f"{x:.2f}" for x in similarity]),
        )
        for row, neighbors, similarity in zip(chosen, nearest, similarities, strict=True)
    ]
