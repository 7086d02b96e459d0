"""What the commands after training work on: images by name, with their embeddings and groups."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import pad_jax
from pad_jax import progress
from pad_jax.data.decoding import DEFAULT, Decoding, decode_if_possible
from pad_jax.errors import InputError
from pad_jax.graph.groups import similarities_to_means
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.search import Graph
from pad_jax.groupings import GroupingSettings
from pad_jax.groupings.scs import SubgraphSettings
from pad_jax.run import cache
from pad_jax.settings import RunSettings, Settings

if TYPE_CHECKING:
    from pad_jax import AffinityHierarchy

_NEIGHBORS = 10


class Grouped(NamedTuple):
    """Groups, as ``pad_jax.AffinityGroups`` has them.

    Attributes:
      labels_: int64 [N], 0 .. G-1 by falling size, -1 for images in none.
      similarities_: float32 [N], cosine of each image with the mean of its group; 0 in none.
    """

    labels_: np.ndarray
    similarities_: np.ndarray


@dataclasses.dataclass(frozen=True)
class Collection:
    """N images, or whatever features are of.

    Attributes:
      embeddings: float32 [N, D], unit rows.
      names: what a user knows each image by: the path below its folder, or the name of its row.
      path: of row i: its file, absolute; None where it has none.
      picture: of row i: what it looks like, uint8 [H, W, 1 or 3], decoded from the original where
        there is a file; None where nobody knows.
      labels: int64 [N], the classes where they are known, else -1. For diagnostics only.
      folder: where outputs go by default.
      prefix: what their names begin with there, so that those of several files do not meet.
      root: the folder of which all images are taken; None where there is none.
      settings: how groups are found.
      embed: embeds the images of files as these were, B paths -> float32 [B, D]; None where nobody
        knows how.
      kept: the name that ``folder`` keeps the graph under; None where it does not.
      known: reads the groups of the run's groups.csv, int64 [N], numbered by falling size, -1 for
        none; gives None where these are not its images, or another epoch's embeddings are asked
        for, and groups have to be found.
      decoding: how files are decoded, as for whoever embedded them.
      where: the flag that says where images are which are not found.
    """

    embeddings: np.ndarray
    names: Sequence[str]
    path: Callable[[int], pathlib.Path | None]
    picture: Callable[[int], np.ndarray | None]
    labels: np.ndarray
    folder: pathlib.Path
    settings: Settings = dataclasses.field(default_factory=Settings)
    embed: Callable[[Iterable[str]], np.ndarray] | None = None
    kept: str | None = None
    known: Callable[[], np.ndarray | None] = lambda: None
    decoding: Decoding = DEFAULT
    where: str = "--images"
    prefix: str = ""
    root: pathlib.Path | None = None

    def __len__(self) -> int:
        return len(self.embeddings)

    def output(self, name: str) -> pathlib.Path:
        """Where a command writes what it was given no other place for."""
        return self.folder / (self.prefix + name)

    def original(self, i: int) -> np.ndarray | None:
        """As ``picture``, and in full size, however large, where row i has a file."""
        if (file := self.path(i)) is None:
            return self.picture(i)
        return decode_if_possible(file, dataclasses.replace(self.decoding, least_side=None))

    @functools.cached_property
    def graph(self) -> Graph:
        """The 10 nearest others of each row, or as many as groups are found with, or there are.

        Raises:
          InputError: for fewer than two rows.
        """
        if len(self) < 2:
            raise InputError("there is one image, and no other to compare it with; give more")
        wanted = max(_NEIGHBORS, self.settings[GroupingSettings].num_neighbors)
        k = min(wanted, len(self) - 1)
        key = ""
        if self.kept is not None:
            digest = hashlib.sha256(np.ascontiguousarray(self.embeddings))
            key = f"{k} {digest.hexdigest()}"
            arrays = cache.read(self.folder, f"{self.kept}_graph", key, Graph._fields)
            if arrays is not None and arrays["indices"].shape == (len(self), k):
                return Graph(**arrays)
        with progress.clock(f"affinity graph of {len(self):,} images"):
            graph = nearest_neighbors(self.embeddings, k)
        if self.kept is not None:
            cache.write(self.folder, f"{self.kept}_graph", key, graph._asdict())
        return graph

    @functools.cached_property
    def groups(self) -> Grouped:
        """Small groups of the most similar: the run's own, else those found in the graph."""
        if (known := self.known()) is not None:
            return Grouped(known, similarities_to_means(self.embeddings, known))
        searched = self.settings[SubgraphSettings]
        num_epochs = self.settings[RunSettings].num_epochs
        groups = pad_jax.AffinityGroups(
            n_neighbors=min(self.settings[GroupingSettings].num_neighbors, len(self) - 1),
            max_size=searched.size_limit(num_epochs, num_epochs),
            edge_share=searched.edge_share,
            cyclic=searched.cyclic,
            random_state=self.settings[RunSettings].seed,
        )
        graph = self.graph
        with progress.clock("groups"):
            groups.fit(self.embeddings, precomputed_knn=graph)
        return Grouped(groups.labels_, groups.similarities_)

    @functools.cached_property
    def hierarchy(self) -> "AffinityHierarchy":
        """The clusters that the graph falls into, found in it."""
        hierarchy = pad_jax.AffinityHierarchy(n_neighbors=self.graph.indices.shape[1])
        graph = self.graph
        with progress.clock("clusters"):
            return hierarchy.fit(self.embeddings, precomputed_knn=graph)
