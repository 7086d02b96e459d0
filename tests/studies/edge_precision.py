"""Do the most similar edges of the affinity graph join images of one class more often than others?

Embeds the training images of a finished run afresh, and keeps smaller and smaller shares of the
graph's edges: how many of these join one class, and what the SCSs are like that are left of them.
The last columns say what these could do for k-means, started from the means of the classes: how
many of the images that it puts into a wrong cluster are in no group, how many are in one whose
majority is in the right cluster, and how many that are in the right cluster now in one of another.

    python -m tests.studies.edge_precision --workdir=runs/precision/singletons

k and the scale threshold are the run's (of a growing threshold the one after the last epoch);
``--num_neighbors`` and ``--max_size`` try others.
"""

import pathlib

import numpy as np
from absl import app, flags, logging
from sklearn.cluster import KMeans

import pad_jax
from pad_jax import data, runtime
from pad_jax.graph import diagnostics
from pad_jax.graph.groups import Groups, hard_positives
from pad_jax.graph.modularity import clusters
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.subgraphs import strongest_edges, strongly_connected_subgraphs
from pad_jax.graph.trust import trusted_size
from pad_jax.groupings import GroupingSettings
from pad_jax.groupings.scs import SubgraphSettings
from pad_jax.settings import AUTO, RunSettings

_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of a run.", required=True)
_SHARES = flags.DEFINE_list("shares", "0.01,0.02,0.05,0.1,0.2,0.5,1", "Shares of edges to keep.")
_NUM_NEIGHBORS = flags.DEFINE_integer("num_neighbors", None, "k of Eq 1.")
_MAX_SIZE = flags.DEFINE_integer("max_size", None, "s, the scale threshold.")


def main(_):
    runtime.configure()
    logging.set_verbosity(logging.WARNING)
    workdir = pathlib.Path(_WORKDIR.value)
    model = pad_jax.load(workdir)
    run_settings = model.settings[RunSettings]
    train = data.load(model.settings).train
    if (train.labels < 0).any():
        raise app.UsageError("the run's images have to be labelled, all of them")
    [images] = train.batches(np.arange(len(train))[None])
    features = model.embed(images)
    num_neighbors = _NUM_NEIGHBORS.value or model.settings[GroupingSettings].num_neighbors
    max_size = _MAX_SIZE.value or model.settings[SubgraphSettings].size_limit(
        model.epoch, run_settings.num_epochs
    )
    graph = nearest_neighbors(features, num_neighbors)
    if max_size == AUTO:
        max_size = trusted_size(clusters(graph))
    nearest, similarities = graph
    same = train.labels[nearest] == train.labels[:, None]
    own = np.arange(len(train))[:, None]
    cluster = _clusters(features, train.labels)
    wrong = (cluster != train.labels).sum()
    print(f"{len(train)} images, {wrong} in a wrong cluster after {model.epoch} epochs; ", end="")
    print(f"k = {num_neighbors}, s = {max_size}\n")
    print("| share of edges | least similarity | of one class | pair precision | purity ", end="")
    print("| coverage | mean size | wrong, alone | set right | set wrong |\n" + "| --- " * 10 + "|")
    for share in map(float, _SHARES.value):
        edges = strongest_edges(nearest, similarities, share)
        stays = edges != own
        group_id = strongly_connected_subgraphs(edges, max_size, seed=run_settings.seed)
        groups = Groups(group_id, hard_positives(group_id, features))
        found = diagnostics.group_statistics(groups, train.labels)
        figures = [similarities[stays].min(), same[stays].mean()]
        figures += [found[key] for key in ("pair_precision", "purity", "coverage", "mean_size")]
        cells = [f"{x:.3f}" for x in figures] + [*map(str, _pull(groups, cluster, train.labels))]
        print(f"| {share:g} | {' | '.join(cells)} |")


def _clusters(features, labels):
    """The class whose cluster each image is in, int [N]."""
    classes = np.unique(labels)
    means = np.stack([features[labels == c].mean(axis=0) for c in classes])
    return classes[KMeans(len(means), init=means, n_init=1).fit(features).labels_]


def _pull(groups, cluster, labels):
    """How many wrong images are alone, would be set right, and right ones set wrong."""
    _, group, size = diagnostics.membership(groups)
    votes = np.zeros((len(size), cluster.max() + 1), int)
    np.add.at(votes, (group, cluster), 1)
    majority = votes.argmax(axis=1)[group]
    wrong = cluster != labels
    right = majority == labels
    return (wrong & (size[group] == 1)).sum(), (wrong & right).sum(), (~wrong & ~right).sum()


if __name__ == "__main__":
    app.run(main)
