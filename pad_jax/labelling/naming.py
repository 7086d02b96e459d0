"""What to name first: sets of images that lie apart, and that speak for many others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pad_jax.graph.rows import divided_by_length
from pad_jax.graph.search import search
from pad_jax.labelling.diffusion import Pile

_SAMPLE = 10_000  # rows that k-means looks at; its centres are means of many
_MOST_PARTS = 16  # times the names wanted; where names are everywhere more would hold some, too
_SHOWN = 10  # images that one name is asked for: seen at a glance, and enough to have a majority
# As near to a name as nine of ten images are to the middle of their part, of 50 parts.
_NEAR_PARTS, _NEAR_SHARE = 50, 0.9


class ToName(NamedTuple):
    """A set of images that takes one name: the middle of a part of the pile.

    Attributes:
      rows: int64 [m], the most central images of the part first, at most ten.
      group: the group in this part that is nearest to the middle, -1 where there is none: what to
        name where whole groups are named.
      near: share of all images that are near a name as soon as this set has one, and all before it.
    """

    rows: np.ndarray
    group: int
    near: float


class Naming:
    """Chooses what to name, from the parts that a pile falls into.

    Args:
      pile: N images.
      groups: int [N], the group of each image, 0 .. G-1, -1 for none.
      seed: of k-means.

    Attributes:
      reach: cosine in the diffused embeddings from which on an image is near another: see ``near``.
    """

    def __init__(self, pile: Pile, groups: np.ndarray, seed: int = 0):
        self._rows, self._seed = pile.rows, seed
        order = np.argsort(groups, kind="stable")
        in_none = int(np.searchsorted(groups[order], 0))
        size = np.bincount(groups[groups >= 0])
        members = np.split(order[in_none:], np.cumsum(size)[:-1]) if len(size) else []
        self._means = _means(self._rows, members)
        centers = self._centers(min(_NEAR_PARTS, len(pile)))
        nearest = search(self._rows, centers, 1).similarities[:, 0]
        self.reach = np.quantile(nearest, 1 - _NEAR_SHARE)

    def near(self, named: np.ndarray) -> float:
        """The share of all images that are near a named one.

        Near is: as similar, in the diffused embeddings, as nine of ten images are to the middle of
        their part, where the pile is divided into 50.

        Args:
          named: int [M], the rows that have a name.
        """
        return float(self._near(named).mean())

    def choose(self, count: int, named: np.ndarray | Sequence[int] = ()) -> list[ToName]:
        """The sets to name next, those first that bring most images near a name.

        k-means divides the diffused embeddings into as many parts as names are wanted, so that the
        names lie apart; of each part the most central images are taken, which are surer than the
        part. Where there are names, the pile is divided into more and more parts, until enough of
        them hold none. (Centres of k-means and what is most typical beside them: Hacohen et al.,
        "Active learning on a budget", ICML 2022, in place of the typical row a set, and in diffused
        embeddings.)

        Args:
          count: how many; fewer where the pile has no more parts, or few without a name.
          named: int [M], the rows that have a name.

        Returns:
          At most ``count`` sets, of which none has an image in common with another, or a name.
        """
        named = np.asarray(named, np.int64)
        is_named = np.zeros(len(self._rows), bool)
        is_named[named] = True
        most = min(len(self._rows), _SAMPLE, _MOST_PARTS * count)
        if is_named.all():
            return []
        wanted = count
        while True:
            parts = min(wanted, most)
            chosen = self._of_free_parts(self._centers(parts), is_named)
            if len(chosen) >= count or parts == most:
                break
            wanted *= 2
        return self._in_order(chosen, named)[:count]

    def _centers(self, parts: int) -> np.ndarray:
        """Centres of k-means, float32 [parts, D], unit rows."""
        from sklearn.cluster import KMeans  # here, not at the top: it takes a second to load

        rows = self._rows
        if len(rows) > _SAMPLE:
            sample = np.random.default_rng(self._seed).choice(len(rows), _SAMPLE, replace=False)
            rows = rows[np.sort(sample)]
        parts = min(parts, len(np.unique(rows, axis=0)))
        found = KMeans(parts, n_init=1, random_state=self._seed).fit(rows)
        return divided_by_length(found.cluster_centers_)

    def _of_free_parts(self, centers: np.ndarray, is_named: np.ndarray) -> list[ToName]:
        """A set of each part that holds no name."""
        part = search(self._rows, centers, 1).indices[:, 0]
        taken = np.bincount(part[is_named], minlength=len(centers)) > 0
        groups = np.full(len(self._means), -1)
        if len(groups):
            groups = search(self._means, centers, 1).indices[:, 0]
        order = np.argsort(part, kind="stable")
        first = np.searchsorted(part[order], np.arange(len(centers) + 1))
        chosen = []
        for i in np.flatnonzero(~taken & (np.diff(first) > 0)):
            rows = order[first[i] : first[i + 1]]
            rows = rows[np.argsort(-(self._rows[rows] @ centers[i]), kind="stable")]
            own = np.flatnonzero(groups == i)
            group = int(own[(self._means[own] @ centers[i]).argmax()]) if len(own) else -1
            chosen.append(ToName(rows[:_SHOWN], group, 0.0))
        return chosen

    def _in_order(self, chosen: list[ToName], named: np.ndarray) -> list[ToName]:
        """Greedily: first the set that brings most images near a name, then that with it, ..."""
        near = self._near(named)
        reached = [self._near(one.rows) for one in chosen]
        ordered, left = [], list(range(len(chosen)))
        while left:
            gains = [np.count_nonzero(reached[i] & ~near) for i in left]
            best = left.pop(int(np.argmax(gains)))
            near |= reached[best]
            ordered.append(chosen[best]._replace(near=float(near.mean())))
        return ordered

    def _near(self, rows: np.ndarray) -> np.ndarray:
        """Which images are near one of some rows, bool [N]."""
        rows = np.asarray(rows, np.int64)
        near = np.zeros(len(self._rows), bool)
        if len(rows):
            similarity = search(self._rows, self._rows[rows], 1).similarities[:, 0]
            near = similarity >= self.reach
            near[rows] = True  # whatever is lost in rounding
        return near


def _means(rows: np.ndarray, members: list[np.ndarray]) -> np.ndarray:
    """The mean row of each group, float32 [G, D], unit rows."""
    means = [rows[own].mean(axis=0) for own in members]
    return divided_by_length(np.array(means, np.float32).reshape(-1, rows.shape[1]))
