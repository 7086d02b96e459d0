"""--mode=duplicates: finds images that are the same, or nearly so; takes none of them out."""

import logging
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from absl import flags

from pad_jax import outputs, progress
from pad_jax.collection import Collection
from pad_jax.data import copies
from pad_jax.graph.copies import near_copies
from pad_jax.modes.base import Call, Mode
from pad_jax.modes.opening import open_call

_log = logging.getLogger(__name__)

_SIMILARITY = flags.DEFINE_float(
    "similarity",
    0.999,
    "How similar copies are at least, as the cosine of their embeddings.",
    lower_bound=0.0,
    upper_bound=1.0,
)
_HEADER = ("set", "image", "nearest", "similarity", "copy_of")


def write(collection: Collection, similarity: float, output: pathlib.Path) -> str:
    """Writes the images that are nearly the same as another one: what was found, in words.

    A line has the number of a set of such images, the image, the one nearest to it and the cosine
    similarity of the two, and ``copy_of``: the first image of its set that has the very same
    pixels, empty where that is the image itself, or there is none. Sets come by falling size.

    Args:
      collection: N images.
      similarity: what two images of a set have at least, or are linked by others that have.
      output: a ``.csv`` file; one of an earlier call is replaced.

    Raises:
      InputError: where the file is another, or cannot be written.
    """
    graph = collection.graph
    copies = near_copies(collection.embeddings, graph, similarity)
    rows = np.flatnonzero(copies.sets >= 0)
    rows = rows[np.argsort(copies.sets[rows], kind="stable")].tolist()
    first, unseen = _first_of_same_pixels(collection, rows)
    names = collection.names
    table = [
        (
            int(copies.sets[row]) + 1,
            names[row],
            names[graph.indices[row, 0]],
            f"{graph.similarities[row, 0]:.6f}",
            names[first[row]] if first[row] != row else "",
        )
        for row in rows
    ]
    outputs.write_csv(output, _HEADER, table)
    if not rows:
        return f"No two images have a similarity of {similarity:g} or more."
    exact = sum(first[row] != row for row in rows)
    said = (
        f"{len(rows):,} of {len(collection):,} images have near-copies, of similarity "
        f"{similarity:g} or more: {copies.num_pairs:,} pairs, in {copies.sets.max() + 1:,} sets.\n"
        f"Images with the very same pixels as an earlier one (copy_of): {exact:,}."
    )
    if unseen:
        said += (
            f" The pixels of {unseen:,} are not at hand; {collection.where} says where files are."
        )
    return said


def _first_of_same_pixels(collection: Collection, rows: list[int]) -> tuple[dict[int, int], int]:
    """Of some rows the first one, among them, that has the same pixels: itself, where none has.

    Beside it, of how many rows nobody knows the pixels.
    """
    unseen = []

    def digest(row: int) -> bytes:
        pixels = collection.original(row)
        if pixels is None:
            unseen.append(row)
            return str(row).encode()
        return copies.digest(pixels)

    first: dict[bytes, int] = {}
    ordered = sorted(rows)
    with ThreadPoolExecutor() as pool:
        digests = progress.bar(pool.map(digest, ordered), len(rows), "comparing pixels")
        found = zip(ordered, digests, strict=True)
        return {row: first.setdefault(key, row) for row, key in found}, len(unseen)


def _run(call: Call) -> str:
    collection = open_call(call)
    output = call.output or collection.output("duplicates.csv")
    if call.output is not None:
        outputs.check_new(output)
    said = write(collection, _SIMILARITY.value, output)
    _log.info("Nothing was taken out.")
    return f"{said}\nWritten: {output}"


MODE = Mode(_run, works_on_run=True, takes=("images", "features", "epoch", "output"))
