"""Sorts images into folders: by links to the originals, or by copies."""

import os
import pathlib
import re
import shutil
from collections.abc import Sequence

from PIL import Image

from pad_jax import outputs, progress
from pad_jax.collection import Collection
from pad_jax.errors import InputError


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
      InputError: where ``output`` is in use or cannot be written, or where nobody knows what one of
        the images looks like.
    """
    outputs.check_new(output)
    with outputs.whole(output) as part:
        part.mkdir()
        try:
            _fill(part, collection, folders, copy)
        except BaseException:
            shutil.rmtree(part)  # links and copies, made just now
            raise


def _fill(part: pathlib.Path, collection: Collection, folders: Sequence[str], copy: bool) -> None:
    taken: set[tuple[str, str]] = set()
    for i, folder in enumerate(progress.bar(folders, len(folders), "sorting")):
        target, source = part / folder, collection.path(i)
        target.mkdir(parents=True, exist_ok=True)
        if source is not None:
            name = _free(taken, folder, source.stem, source.suffix)
            if copy:
                shutil.copy2(source, target / name)
            else:
                os.symlink(source, target / name)
            continue
        if (pixels := collection.picture(i)) is None:
            raise InputError(
                f"the image of {collection.names[i]} is not at hand; --images says where images are"
            )
        name = _free(taken, folder, re.sub(r"[/\\]", "-", collection.names[i]), ".png")
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(target / name)


def _free(taken: set[tuple[str, str]], folder: str, stem: str, suffix: str) -> str:
    """A name that no other file in the folder has, also where A and a are one."""
    name, number = stem + suffix, 1
    while (folder, name.casefold()) in taken:
        number += 1
        name = f"{stem}-{number}{suffix}"
    taken.add((folder, name.casefold()))
    return name
