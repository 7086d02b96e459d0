"""--mode=label: labels for all images from the names of a few, or what to name first."""

import os
import pathlib
from typing import NamedTuple

import numpy as np
from absl import flags

from pad_jax import outputs, progress
from pad_jax.collection import Collection
from pad_jax.errors import InputError
from pad_jax.folders import check_place, sort_into
from pad_jax.labelling import files
from pad_jax.labelling.diffusion import Pile
from pad_jax.labelling.naming import Naming, ToName
from pad_jax.labelling.spreading import FoundAgain, Spread, find_again, spread
from pad_jax.modes import flags as shared
from pad_jax.modes.base import Call, Mode
from pad_jax.modes.opening import open_call

_LABELS = flags.DEFINE_string(
    "labels",
    None,
    "Table of names, image,label: of groups, as browse saves it, or of single images. Without it "
    "to_name.csv is written: what to name first.",
)
_COUNT = 50
_FEW_SETS = 20  # held back, of which a share says little


def write_to_name(collection: Collection, count: int, output: pathlib.Path) -> str:
    """Writes the sets of images to name first: what they are, in words.

    Raises:
      InputError: where the file cannot be written, or is another.
    """
    with progress.clock("what to name"):
        naming = Naming(_pile(collection), collection.groups.labels_)
        chosen = naming.choose(count)
    files.write_to_name(output, collection, chosen, collection.groups.labels_)
    sets = f"{len(chosen)} set{'s' * (len(chosen) != 1)} of images to name"
    return (
        f"{sets}; when each has a name, {chosen[-1].near:.0%} of {len(collection):,} "
        "images are near one.\n"
        "Images of one order get one name: what most of them are. Add it in a column label and\n"
        f"give the file to --labels.\nWritten: {output}"
    )


class Labelled(NamedTuple):
    """What names make of a collection.

    Attributes:
      spread: a label for every image.
      again: what became of names that were held back.
      near: share of the images that are near a name.
      to_name: what is worth naming next, the best first.
    """

    spread: Spread
    again: FoundAgain
    near: float
    to_name: list[ToName]


def label(collection: Collection, given: files.Names, count: int = _COUNT) -> Labelled:
    """Labels all images.

    Args:
      collection: N images.
      given: the names of some.
      count: of sets to name next.
    """
    pile, groups = _pile(collection), collection.groups.labels_
    with progress.clock("holding names back"):
        again = find_again(pile, given.rows, _sets_of(given, groups))
    with progress.clock("spreading names"):
        found = spread(pile, given.rows, again.sharpness)
    with progress.clock("what to name next"):
        naming = Naming(pile, groups)
        named = np.flatnonzero(given.rows >= 0)
        return Labelled(found, again, naming.near(named), naming.choose(count, named))


def _pile(collection: Collection) -> Pile:
    return Pile(collection.embeddings, collection.graph)


def _sets_of(given: files.Names, groups: np.ndarray) -> np.ndarray:
    """Which images were named together: by the file's column order, else by group, else alone."""
    n = len(groups)
    alone = np.where(groups >= 0, n + groups, np.arange(n))
    return np.where(given.order >= 0, 2 * n + given.order, alone)


def _told(collection: Collection, given: files.Names, labelled: Labelled) -> str:
    """In words."""
    count, others = len(collection), given.rows < 0
    said = f"{count - others.sum():,} of {count:,} images have one of {len(given.names)} names"
    if others.any():
        mean = labelled.spread.confidence[others].mean()
        said += f"; the others got one of these, with a mean confidence of {mean:.2f}"
    return "\n".join(
        [
            f"{said}.",
            *_on_held_back(labelled.again, given),
            *_on_next(labelled.near, labelled.to_name, collection),
        ]
    )


def _on_held_back(again: FoundAgain, given: files.Names) -> list[str]:
    if not len(again.rows):
        return ["No name stands at two groups or more, so none can be held back and found again."]
    lines = [
        f"Held back, a fifth at a time and whole groups together, {again.share:.1%} of the names "
        f"of {len(again.rows):,} images in {again.sets:,} sets were found again."
    ]
    if again.sets < _FEW_SETS:
        lines[0] += " These are few sets: take it for a guess."
    if again.once:
        lines.append(f"Names of one set only, which cannot be held back: {again.once}.")
    own = given.rows[again.rows]
    count = np.bincount(own, minlength=len(given.names))
    right = np.bincount(own, again.right, minlength=len(given.names))
    share = np.divide(right, count, out=np.ones(len(count)), where=count > 0)
    worst = [i for i in np.argsort(share, kind="stable")[:3].tolist() if share[i] < again.share]
    if worst:
        told = ", ".join(f"{given.names[i]} ({share[i]:.0%} of {count[i]})" for i in worst)
        lines.append(f"Found again least, so in need of more: {told}.")
    return lines


def _on_next(near: float, to_name: list[ToName], collection: Collection) -> list[str]:
    lines = [f"{near:.0%} of the images are near a name."]
    if to_name:
        steps = sorted({min(10, len(to_name)), len(to_name)})
        more = ", ".join(f"{to_name[i - 1].near:.0%} with {i} more" for i in steps)
        first = files.shown(collection.names[int(to_name[0].rows[0])])
        lines.append(f"It would be {more}. Worth naming next: {first} and images like it.")
    return lines


def _run(call: Call) -> str:
    labels = shared.path(_LABELS)
    if labels is None:
        if call.output is not None:
            raise InputError("--output sorts by names; give them, --labels=FILE")
        collection = open_call(call)
        output = collection.output("to_name.csv")
        return write_to_name(collection, shared.COUNT.value or _COUNT, output)
    if call.output is not None:
        outputs.check_new(call.output, folder=True)  # before anything takes its time
    collection = open_call(call)
    if call.output is not None:
        check_place(collection, call.output)
    output = collection.output("labelled.csv")
    if os.path.realpath(labels) == os.path.realpath(output):
        raise InputError(f"--labels={labels} would be written over; move it to another name")
    given = files.read(labels, collection)
    if len(given.names) == 1:
        raise InputError(
            f"--labels={labels} has one name, {files.shown(given.names[0])}, which all images "
            "would get; name some of another kind as well"
        )
    labelled = label(collection, given, shared.COUNT.value or _COUNT)
    files.write_labelled(output, collection, labelled.spread, given.names)
    said = [_told(collection, given, labelled), f"Written: {output}"]
    if shared.COUNT.value and labelled.to_name:
        listed = collection.output("to_name_next.csv")
        files.write_to_name(listed, collection, labelled.to_name, collection.groups.labels_)
        said.append(f"Written: {listed}")
    else:
        said.append("--count=50 writes the 50 sets to name next.")
    if call.output is not None:
        folders = files.folder_names(given.names)
        sort_into(collection, [folders[i] for i in labelled.spread.labels], call.output)
        said.append(f"Written: {call.output}")
    return "\n".join(said)


MODE = Mode(_run, works_on_run=True, takes=("images", "features", "epoch", "output", "count"))
