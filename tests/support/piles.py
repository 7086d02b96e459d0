"""Small collections of images in well-separated groups, for what shows and names them."""

import os
import pathlib
import types

import numpy as np
from PIL import Image

from pad_jax.data.decoding import decode
from pad_jax.graph.search import Graph


class _Pile(types.SimpleNamespace):
    """What of a collection is looked at, free to be changed by a test."""

    prefix = ""

    def __len__(self) -> int:
        return len(self.names)

    def output(self, name: str) -> pathlib.Path:
        return self.folder / name


def pile(
    folder: pathlib.Path,
    names: list[str | bytes],
    group: list[int],
    cluster: list[int],
    k: int = 10,
):
    """Images in files, the color of each that of its group, as ``pad_jax.collection`` has them.

    Args:
      folder: in which the images are written, in ``images``; outputs go there, too.
      names: of the images' files; bytes where they are no UTF-8.
      group: of each image, -1 for none.
      cluster: of each image, -1 for none.
      k: neighbours of each image.
    """
    root = folder / "images"
    names = [os.fsdecode(name) for name in names]
    files = [root / name for name in names]
    group, cluster = np.array(group), np.array(cluster)
    rng = np.random.default_rng(0)
    for i, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        hue = 255 * (group[i] + 1) // (group.max() + 2)
        pixels = np.full((120, 90, 3), (hue, 200, 220), np.uint8)
        pixels[40:80, 30 : 32 + i] = 90
        Image.fromarray(pixels, "HSV").convert("RGB").save(file, "png")
    num_groups = group.max() + 1
    centers = np.eye(num_groups + 4, dtype=np.float32)  # those of images in none, of the clusters
    features = centers[group] + 0.3 * centers[num_groups + (cluster + 1) % 3]
    features = features + 0.05 * rng.standard_normal(features.shape).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    similarity = features @ features.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, len(names) - 1)]
    sums = np.stack([features[group == g].sum(0) for g in range(num_groups)] or [features[0]])
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    typical = np.where(group < 0, 0, np.einsum("nd,nd->n", features, sums[group]))
    return _Pile(
        embeddings=features.astype(np.float32),
        names=names,
        path=files.__getitem__,
        picture=lambda i: decode(files[i]),
        labels=np.full(len(names), -1),
        folder=folder,
        graph=Graph(nearest.astype(np.int32), np.take_along_axis(similarity, nearest, 1)),
        groups=types.SimpleNamespace(labels_=group, similarities_=typical.astype(np.float32)),
        hierarchy=types.SimpleNamespace(labels_=cluster),
    )
