"""--mode=sort: sorts images into folders of what looks alike."""

import collections

import numpy as np
from absl import flags

from pad_jax import outputs, progress
from pad_jax.collection import Collection
from pad_jax.errors import InputError
from pad_jax.folders import check_place, sort_into
from pad_jax.graph.groups import by_falling_size, clusters_of_groups, smallest_index
from pad_jax.modes.base import Call, Mode
from pad_jax.modes.opening import open_call

_CLUSTERS = flags.DEFINE_integer(
    "clusters",
    None,
    "How many folders, by k-means; without it those clusters that the images fall into, with their "
    "groups inside, or the groups alone where none stand apart.",
    lower_bound=1,
)
_COPY = flags.DEFINE_bool("copy", False, "Copy the files, instead of making symbolic links.")

OTHERS, REST = "other_groups", "ungrouped"  # groups in no cluster, images in neither


def by_kmeans(collection: Collection, clusters: int) -> list[str]:
    """The folder of each image: as many clusters as wanted, by falling size.

    Raises:
      InputError: where there are fewer images.
    """
    if clusters > len(collection):
        raise InputError(
            f"--clusters={clusters} cannot be made of {len(collection)} images; use at most as many"
        )
    from sklearn.cluster import KMeans  # here, not at the top: it takes a second to load

    with progress.clock("k-means"):
        label = KMeans(clusters, n_init=3, random_state=0).fit_predict(collection.embeddings)
    names = _numbered("cluster", clusters)
    return [names[i] for i in by_falling_size(smallest_index(label), min_size=1).tolist()]


def by_hierarchy(collection: Collection) -> list[str]:
    """The folder of each image: its cluster of the hierarchy, and its group inside that.

    A group lies in the cluster that most of its images are in. Groups in no cluster lie together in
    a folder of their own, images in neither in ``ungrouped``. One cluster of nearly all images says
    that nothing stands apart: then groups are all there is.
    """
    cluster, group = collection.hierarchy.labels_, collection.groups.labels_
    groups = _numbered("group", group.max(initial=-1) + 1)
    if _none_apart(collection):
        return [groups[g] if g >= 0 else REST for g in group.tolist()]
    clusters = _numbered("cluster", cluster.max(initial=-1) + 1)
    if (grouped := group >= 0).any():
        of_group = clusters_of_groups(cluster[grouped], group[grouped])
        cluster = np.where(grouped, of_group[group], cluster)
    folders = []
    for c, g in zip(cluster.tolist(), group.tolist(), strict=True):
        inside = f"/{groups[g]}" if g >= 0 else ""
        if c >= 0:
            folders.append(clusters[c] + inside)
        else:
            folders.append(OTHERS + inside if inside else REST)
    return folders


def _none_apart(collection: Collection) -> bool:
    return collection.hierarchy.labels_.max(initial=-1) < 1


def _numbered(word: str, count: int) -> list[str]:
    """Names that a file manager shows in order: cluster_01, cluster_02, ..."""
    width = len(str(count))
    return [f"{word}_{i + 1:0{width}}" for i in range(count)]


def _run(call: Call) -> str:
    if call.output is None:
        raise InputError("--output is missing; give a folder to make")
    outputs.check_new(call.output, folder=True)  # before anything takes its time
    collection = open_call(call)
    check_place(collection, call.output)
    wanted = _CLUSTERS.value
    folders = by_hierarchy(collection) if wanted is None else by_kmeans(collection, wanted)
    sort_into(collection, folders, call.output, copy=_COPY.value)
    tops = collections.Counter(folder.partition("/")[0] for folder in folders)
    rest, others = tops.pop(REST, 0), tops.pop(OTHERS, 0)
    count, none_apart = len(tops), wanted is None and _none_apart(collection)
    what = "group" if none_apart else "cluster"
    lines = [f"{tops.total():,} images in {count} {what}{'s' * (count != 1)}"]
    if rest or others:
        places = [f"{n:,} in {name}" for n, name in ((others, OTHERS), (rest, REST)) if n]
        lines[0] += f"; in no {what}: {', '.join(places)}"
    if none_apart:
        lines.append(
            "No clusters stand apart here, so these are the small groups alone; --clusters=10 "
            "makes ten folders of all images."
        )
    return "\n".join([*lines, f"Written: {call.output}"])


MODE = Mode(_run, works_on_run=True, takes=("images", "features", "epoch", "output"))
