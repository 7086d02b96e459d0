"""How many images get the right label from so many names, for docs/studies/labels.md.

    python -m tests.studies.naming mnist=mnist.npz flowers=flowers.npz --out=DIR

A file has the features (embeddings) and labels of images, as --mode=embed writes them. A name is
what a person would say: the class of an image, or the class of most images of a set, which all of
them get. Every rule is run with each seed. Means are printed as a table of each file; DIR of
``--out`` gets names.csv with a line for each run.
"""

import argparse
import csv
import pathlib
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.cluster import KMeans

import pad_jax
from pad_jax import runtime
from pad_jax.data import feature_files
from pad_jax.graph.neighbors import nearest_neighbors
from pad_jax.graph.rows import divided_by_length, unit_rows
from pad_jax.labelling.diffusion import Diffusion, Pile
from pad_jax.labelling.naming import Naming, ToName
from pad_jax.labelling.spreading import find_again, spread

_SAMPLE = 10_000  # rows that k-means sees, here as in ``Naming``


class Images:
    """Embeddings, their labels, and what all rules work on."""

    def __init__(self, features: np.ndarray, labels: np.ndarray):
        self.rows, self.labels = unit_rows(features), labels
        self.graph = nearest_neighbors(self.rows, 10)
        self.groups = pad_jax.AffinityGroups().fit(self.rows, precomputed_knn=self.graph).labels_
        self.diffusion = Diffusion(self.graph, alpha=0.99)  # as Zhou et al. and Iscen et al.
        self.pile = Pile(self.rows, self.graph)
        self.naming: dict[int, Naming] = {}  # by seed
        self.chosen: dict[tuple[int, int], list[ToName]] = {}  # by number of names and seed

    def to_name(self, count: int, seed: int) -> list[ToName]:
        """What is to be named first."""
        if seed not in self.naming:
            self.naming[seed] = Naming(self.pile, self.groups, seed)
        if (count, seed) not in self.chosen:
            self.chosen[count, seed] = self.naming[seed].choose(count)
        return self.chosen[count, seed]

    def named(self, sets: list[np.ndarray]) -> np.ndarray:
        """The names that a person gives sets of images, int [N]: of the class of most."""
        names = np.full(len(self.labels), -1)
        for rows in sets:
            names[rows] = np.bincount(self.labels[rows]).argmax()
        return names

    def diffused(self, names: np.ndarray) -> np.ndarray:
        """Labels by plain diffusion of the names."""
        given = np.zeros((len(names), names.max() + 1))
        named = np.flatnonzero(names >= 0)
        given[named, names[named]] = 1.0
        return self.diffusion(given).argmax(axis=1)

    def kmeans(self, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Centres, unit rows."""
        if len(rows) > _SAMPLE:
            rows = rows[np.random.default_rng(seed).choice(len(rows), _SAMPLE, replace=False)]
        found = KMeans(count, n_init=1, random_state=seed).fit(rows)
        return divided_by_length(found.cluster_centers_).astype(np.float32)


def random_images(images: Images, count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).choice(len(images.labels), count, replace=False)
    return images.named([np.array([row]) for row in rows])


def random_knn(images: Images, count: int, seed: int) -> np.ndarray:
    """Random images; a vote of all that are named, weighted as in the kNN evaluation."""
    names = random_images(images, count, seed)
    named = np.flatnonzero(names >= 0)
    weight = np.exp(images.rows @ images.rows[named].T / 0.1)
    return (weight @ np.eye(names.max() + 1)[names[named]]).argmax(axis=1)


def random_diffusion(images: Images, count: int, seed: int) -> np.ndarray:
    """Random images, diffusion."""
    return images.diffused(random_images(images, count, seed))


def medoids(images: Images, count: int, seed: int) -> np.ndarray:
    """The image nearest to each k-means centre, diffusion."""
    centers = images.kmeans(images.rows, count, seed)
    return images.diffused(images.named(_nearest(centers, images.rows)))


def whole_clusters(images: Images, count: int, seed: int) -> np.ndarray:
    """k-means clusters, each named by what most of it is."""
    centers = images.kmeans(images.rows, count, seed)
    cluster = (images.rows @ centers.T).argmax(axis=1)
    return images.named([np.flatnonzero(cluster == i) for i in np.unique(cluster)])


def largest_groups(images: Images, count: int, seed: int) -> np.ndarray:
    """The largest groups, diffusion."""
    return images.diffused(images.named(_members(images)[:count]))


def spread_groups(images: Images, count: int, seed: int) -> np.ndarray:
    """The groups nearest to the k-means centres of all groups' means, diffusion."""
    members = _members(images)
    means = divided_by_length(np.array([images.rows[rows].mean(axis=0) for rows in members]))
    centers = images.kmeans(means, min(count, len(means)), seed)
    chosen = [members[int(found[0])] for found in _nearest(centers, means)]
    return images.diffused(images.named(chosen))


def ours(images: Images, count: int, seed: int) -> np.ndarray:
    """What --mode=label writes to to_name.csv, and then makes of the names."""
    chosen = images.to_name(count, seed)
    return spread(images.pile, images.named([one.rows for one in chosen])).labels


def ours_corrected(images: Images, count: int, seed: int) -> np.ndarray:
    """The same where the images of a set that are none of its name are left without."""
    chosen = images.to_name(count, seed)
    names = images.named([one.rows for one in chosen])
    return spread(images.pile, np.where(names == images.labels, names, -1)).labels


def ours_in_rounds(images: Images, count: int, seed: int) -> np.ndarray:
    """The same in two rounds of half the names."""
    first = images.to_name(count // 2, seed)
    named = np.concatenate([one.rows for one in first])
    second = images.naming[seed].choose(count - count // 2, named)
    return spread(images.pile, images.named([one.rows for one in (*first, *second)])).labels


def ours_groups(images: Images, count: int, seed: int) -> np.ndarray:
    """The same with the group beside the middle of each part in place of the middle."""
    members = _members(images)
    chosen = images.to_name(count, seed)
    sets = [members[one.group] if one.group >= 0 else one.rows for one in chosen]
    return spread(images.pile, images.named(sets)).labels


def ours_random(images: Images, count: int, seed: int) -> np.ndarray:
    """Random images, spread as by --mode=label."""
    return spread(images.pile, random_images(images, count, seed)).labels


RULES: dict[str, Callable[[Images, int, int], np.ndarray]] = {
    "random images, kNN": random_knn,
    "random images, diffusion": random_diffusion,
    "k-means medoids, diffusion": medoids,
    "whole k-means clusters by majority": whole_clusters,
    "largest groups, diffusion": largest_groups,
    "spread groups, diffusion": spread_groups,
    "**--mode=label**": ours,
    "the same, wrong images of a set left out": ours_corrected,
    "the same, in two rounds": ours_in_rounds,
    "the same, a group of each part": ours_groups,
    "random images, spread by --mode=label": ours_random,
}


def held_back(images: Images, count: int, seed: int) -> dict[str, float]:
    """How well what is said of the labels fits them."""
    chosen = images.to_name(count, seed)
    names = images.named([one.rows for one in chosen])
    sets = np.arange(len(names))
    for one in chosen:
        sets[one.rows] = one.rows[0]
    again = find_again(images.pile, names, sets)
    found = spread(images.pile, names, again.sharpness)
    others = names < 0
    right, confidence = (found.labels == images.labels)[others], found.confidence[others]
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
        for b in np.unique(bins)
    ]
    return {
        "found again": again.share,
        "right": float(right.mean()),
        "confidence": float(confidence.mean()),
        "calibration error": float(sum(gaps)),
    }


def _members(images: Images) -> list[np.ndarray]:
    """The images of each group."""
    order = np.argsort(images.groups, kind="stable")
    order = order[images.groups[order] >= 0]
    return np.split(order, np.cumsum(np.bincount(images.groups[order]))[:-1])


def _nearest(centers: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """A row near each centre, [1] each, none twice."""
    taken: list[int] = []
    for similarity in centers @ rows.T:
        order = np.argsort(-similarity, kind="stable")
        taken.append(next(int(i) for i in order if i not in taken))
    return [np.array([i]) for i in taken]


def main() -> None:
    runtime.configure()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", help="NAME=FILE")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--names", type=int, nargs="+", default=[50, 100, 300])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "names.csv").open("a", newline="") as file:
        writer = csv.writer(file)
        for given in options.files:
            name, _, path = given.partition("=")
            found = feature_files.read(pathlib.Path(path))
            images = Images(np.asarray(found.features), np.asarray(found.labels))
            print(f"\n{name}, {len(images.labels):,} images\n", flush=True)
            for row in measured(images, options.names, range(options.seeds)):
                writer.writerow([name, *row])
                file.flush()


def measured(images: Images, counts: list[int], seeds: range) -> Iterator[list]:
    """Prints the tables; gives their runs: rule, names, seed, figure."""
    print(f"| names | {' | '.join(map(str, counts))} |\n|---{'|---' * len(counts)}|")
    for rule, labels in RULES.items():
        cells = []
        for count in counts:
            shares = [float(np.mean(labels(images, count, s) == images.labels)) for s in seeds]
            yield from ([rule, count, *pair] for pair in zip(seeds, shares, strict=True))
            cells.append(f"{np.mean(shares):.3f} ± {np.std(shares, ddof=1):.3f}")
        print(f"| {rule} | {' | '.join(cells)} |", flush=True)
    for count in counts:
        runs = [held_back(images, count, s) for s in seeds]
        for key in runs[0]:
            yield from ([key, count, s, run[key]] for s, run in zip(seeds, runs, strict=True))
        told = [f"{key} {np.mean([run[key] for run in runs]):.3f}" for key in runs[0]]
        print(f"\n{count} names: {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
