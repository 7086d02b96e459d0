"""Labels for every image from the names of a few, and how far they can be trusted."""

from typing import NamedTuple

import numpy as np

from pad_jax.graph.search import search
from pad_jax.labelling.diffusion import Pile

_SHARPNESS = np.geomspace(1, 8, 25)  # exponents tried
# Without enough names that were held back; on all sets of the study it lay between 1 and 4.
_USUAL_SHARPNESS = 2.0


class Spread(NamedTuple):
    """A label for every image.

    Attributes:
      labels: int64 [N], never -1.
      confidence: float32 [N], in 0..1: 1 for images that were named, 0 for those that no name
        reaches, which have the label of the most similar named image.
    """

    labels: np.ndarray
    confidence: np.ndarray


class FoundAgain(NamedTuple):
    """What became of names that were held back.

    Attributes:
      rows: int64 [M], the images whose names were held back and could be found again.
      right: bool [M], whether they were.
      sets: how many sets of images these are, that were named together.
      once: how many names cannot be found again, since a single set has them.
      sharpness: the exponent that makes confidences fit what was found again; see ``spread``.
    """

    rows: np.ndarray
    right: np.ndarray
    sets: int
    once: int
    sharpness: float

    @property
    def share(self) -> float:
        """How often names were found again; NaN where none could be."""
        return float(self.right.mean()) if len(self.right) else float("nan")


def spread(pile: Pile, names: np.ndarray, sharpness: float = _USUAL_SHARPNESS) -> Spread:
    """Spreads names over the pile.

    First every image has the label of the most similar named one, in the diffused embeddings, with
    that similarity for its weight; named ones have theirs with weight 1. Then all of these diffuse
    over the graph (Zhou et al. 2004), and each image gets the label of which most arrives. A label
    that an image has from far away gives way to those of its neighbours, and no name can flood what
    others are nearer to.

    Args:
      pile: N images.
      names: int [N], 0 .. C-1, or -1 where an image has no name.
      sharpness: b of the confidence.

    Returns:
      Labels of all. With p_c the share of label c in what arrives at an image, the confidence in
      its label is max_c p_c^b / sum_c p_c^b. Named images keep their names.

    Raises:
      ValueError: if no image has a name, or ``names`` is not [N].
    """
    shares, nearest = _shares(pile, names)
    best = shares.argmax(axis=1)
    confidence = _sharpened(shares, sharpness)[np.arange(len(best)), best].astype(np.float32)
    labels = np.where(confidence > 0, best, nearest)
    named = names >= 0
    return Spread(np.where(named, names, labels), np.where(named, np.float32(1), confidence))


def _shares(pile: Pile, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of what arrives at each row the share of each label, [N, C]; the label of the nearest name.

    A row of zeros is one that nothing reaches.
    """
    if names.shape != (len(pile),):
        raise ValueError(f"names are {list(names.shape)}, for {len(pile)} rows; give one a row")
    named = np.flatnonzero(names >= 0)
    if not len(named):
        raise ValueError("no row has a name; name some")
    found = search(pile.rows, pile.rows[named], 1)
    nearest = names[named][found.indices[:, 0]].astype(np.int64)
    weight = np.clip(found.similarities[:, 0].astype(np.float64), 0.0, 1.0)
    nearest[named], weight[named] = names[named], 1.0
    given = np.zeros((len(pile), int(names.max()) + 1))
    given[np.arange(len(pile)), nearest] = weight
    arrived = np.maximum(pile.diffusion(given), 0.0)
    return _divided(arrived), nearest


def _sharpened(shares: np.ndarray, sharpness: float) -> np.ndarray:
    return _divided(shares**sharpness)


def _divided(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their sums; those of zeros stay so."""
    total = rows.sum(axis=1, keepdims=True)
    return np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)


def find_again(
    pile: Pile, names: np.ndarray, sets: np.ndarray, *, folds: int = 5, seed: int = 0
) -> FoundAgain:
    """Holds back a fifth of the sets, sees what the other names make of it, and so all five times.

    Args:
      pile: N images.
      names: int [N], as for ``spread``.
      sets: int [N], equal for images that were named together, such as those of one group: with a
        part of them at hand the others would be found too easily.
      folds: 5 for fifths; fewer where there are fewer sets.
      seed: which sets are held back together.
    """
    named = np.flatnonzero(names >= 0)
    own = names[named]
    numbers, own_set = np.unique(sets[named], return_inverse=True)
    # Images that were named together need not have one name.
    _, name_of_set = np.unique(np.stack([own_set, own]), axis=1)
    sets_of_name = np.bincount(name_of_set)
    once = int((sets_of_name == 1).sum())
    back_once = np.flatnonzero(sets_of_name[own] > 1)
    fold = np.random.default_rng(seed).permutation(len(numbers))[own_set] % folds
    shares = np.zeros((len(named), int(names.max(initial=-1)) + 1))
    right = np.zeros(len(named), bool)
    for i in np.unique(fold[back_once]):
        back = fold == i
        rest = names.copy()
        rest[named[back]] = -1
        if (rest < 0).all():
            continue
        arrived, nearest = _shares(pile, rest)
        arrived, nearest = arrived[named[back]], nearest[named[back]]
        found = np.where(arrived.any(axis=1), arrived.argmax(axis=1), nearest)
        shares[back, : arrived.shape[1]] = arrived
        right[back] = found == own[back]
    return FoundAgain(
        named[back_once],
        right[back_once],
        len(np.unique(own_set[back_once])),
        once,
        _fitted(shares[back_once], own[back_once]),
    )


def _fitted(shares: np.ndarray, names: np.ndarray) -> float:
    """The sharpness under which the names of held-back images are most likely.

    As temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017).
    """
    if len(np.unique(names)) < 2:
        return _USUAL_SHARPNESS
    own = np.arange(len(names))
    likelihood = [
        np.log(np.maximum(_sharpened(shares, b)[own, names], 1e-3)).mean() for b in _SHARPNESS
    ]
    return float(_SHARPNESS[int(np.argmax(likelihood))])
