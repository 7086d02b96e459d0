"""Sorts images into folders: by links to the originals, or by copies."""

import os
import pathlib
import re
import shutil
from collections.abc import Sequence

from PIL import Image

from pad_jax import outputs, progress, storage
from pad_jax.collection import Collection
from pad_jax.errors import InputError
from pad_jax.paths import lies_in

_LONGEST = 255  # bytes of a file's name


def sort_into(
    collection: Collection, folders: Sequence[str], output: pathlib.Path, *, copy: bool = False
) -> None:
    """Makes a folder that holds every image, in a folder of its own kind.

    An image that has a file becomes a symbolic link to it, which needs no room, under the same
    name; of files of one name in one folder the second becomes ``NAME-2``, and so on. An image
    without a file is written as PNG. Originals are only read. The folder appears whole or not at
    all.

    Args:
      collection: N images.
      folders: [N], the folder of each below ``output``, as "cluster_1/group_2".
      output: the folder to make: there may be an empty one, and nothing else.
      copy: whether files are copied, instead of linked.

    Raises:
      InputError: where ``output`` is in use, lies among the images or cannot be written, or where
        nobody knows what one of the images looks like.
    """
    outputs.check_new(output, folder=True)
    check_place(collection, output)
    with outputs.whole(output) as part:
        part.mkdir()
        try:
            _fill(part, collection, folders, copy)
        except BaseException:
            shutil.rmtree(part)  # links and copies, made just now
            raise


def check_place(collection: Collection, output: pathlib.Path) -> None:
    """Raises InputError for a place among the images, of which links would be more from then on."""
    root = collection.root
    if root is not None and lies_in(output, root):
        raise InputError(
            f"--output={output} lies inside of {root}, of which all images are taken; choose a "
            "place outside of it"
        )


def _fill(part: pathlib.Path, collection: Collection, folders: Sequence[str], copy: bool) -> None:
    taken: set[tuple[str, str]] = set()
    for i, folder in enumerate(progress.bar(folders, len(folders), "sorting")):
        target, source = part / folder, collection.path(i)
        target.mkdir(parents=True, exist_ok=True)
        if source is not None:
            name = _free(taken, folder, source.stem, source.suffix)
            if copy:
                _copy(source, target / name)
            else:
                os.symlink(source, target / name)
            continue
        if (pixels := collection.picture(i)) is None:
            raise InputError(
                f"the image of {collection.names[i]} is not at hand; {collection.where} says where "
                "images are"
            )
        stem = re.sub(r"[/\\]", "-", collection.names[i]).removesuffix(".png")
        name = _free(taken, folder, stem, ".png")
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(target / name)


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    try:
        shutil.copy2(source, target)
    except OSError as error:
        if error.filename != os.fspath(source):
            raise
        raise InputError(storage.unread(source, error)) from None


def _free(taken: set[tuple[str, str]], folder: str, stem: str, suffix: str) -> str:
    """A name that no other file in the folder has, also where A and a are one; not too long."""
    name, number = _of_length(stem, suffix), 1
    while (folder, name.casefold()) in taken:
        number += 1
        name = _of_length(stem, f"-{number}{suffix}")
    taken.add((folder, name.casefold()))
    return name


def _of_length(stem: str, end: str) -> str:
    """The name of a file, shortened to what systems take."""
    room = _LONGEST - len(os.fsencode(end))
    if len(os.fsencode(stem)) <= room:
        return stem + end
    return os.fsencode(stem)[:room].decode(errors="ignore") + end
