"""A static site for looking at groups of images and naming them; it opens from the disk."""

import hashlib
import pathlib
import shutil
import zlib
from collections.abc import Iterable

import jinja2
import numpy as np

from pad_jax import outputs, progress, storage
from pad_jax.browse import thumbnails
from pad_jax.browse.catalogue import Catalogue, arrange
from pad_jax.browse.scripts import scripts
from pad_jax.collection import Collection
from pad_jax.data.selection import evenly
from pad_jax.errors import InputError

_SITE = pathlib.Path(__file__).parent / "site"
_PREFIX = "site-"
_LOOKED_AT = 64  # images: a network is asked for each


def write(collection: Collection, command: str) -> pathlib.Path:
    """Writes the site of a collection: ``browse``, where its outputs go.

    Names that were given in a site of the same images are found again: the browser keeps them by
    the images' names, unless half of those that are looked at are others. The page changes to what
    is new when all of it is there.

    Args:
      collection: the images, their groups and clusters.
      command: what is run with the file of names, ``labels.csv``; the page tells it.

    Returns:
      The page, ``index.html``.

    Raises:
      InputError: for fewer than two images, and where nothing can be written.
    """
    folder = collection.output("browse")
    with progress.clock("groups"):
        catalogue = arrange(collection)
    try:
        return _write(collection, catalogue, folder, command)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({storage.obstacle(folder, error)}); make room there, or "
            "see who may write to it"
        ) from None


def _write(
    collection: Collection, catalogue: Catalogue, folder: pathlib.Path, command: str
) -> pathlib.Path:
    pictures = thumbnails.write(collection, catalogue.rows, folder)
    title = collection.prefix.removesuffix(".") or collection.folder.resolve().name
    facts = {
        "title": title,
        "fingerprint": _fingerprint(collection.names),
        "looks": _looks(collection),
        "command": command,
        "pictures": pictures.name,
        "perPack": thumbnails.PER_PACK,
    }
    site = _write_site(folder, scripts(collection, catalogue, facts))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_SITE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("index.html.j2").render(title=title, site=site.name)
    index = folder / "index.html"
    with outputs.whole(index) as part:
        part.write_text(page, encoding="utf-8", errors="backslashreplace")
    thumbnails.remove_others(pictures)
    for other in folder.glob(_PREFIX + "*"):
        if other != site:
            shutil.rmtree(other, ignore_errors=True)
    return index


def _fingerprint(names: Iterable[str]) -> str:
    """Tells a pile of images from others, whatever their groups."""
    digest = hashlib.blake2b(digest_size=8)
    for name in names:
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def _looks(collection: Collection) -> list[int | None]:
    """A number of some images each, by which others of the same names are known for others.

    The size of a file, or a checksum of pixels; of a row that is known by its number alone that of
    its embedding; None where nothing is at hand.
    """

    def look(i: int) -> int | None:
        if (file := collection.path(i)) is not None:
            return file.stat().st_size if file.is_file() else None
        if (picture := collection.picture(i)) is not None:
            return zlib.crc32(np.ascontiguousarray(picture))
        is_number = collection.names[i] == str(i)
        return zlib.crc32(np.ascontiguousarray(collection.embeddings[i])) if is_number else None

    return [look(i) for i in evenly(len(collection), _LOOKED_AT).tolist()]


def _write_site(folder: pathlib.Path, data: Iterable[tuple[str, str]]) -> pathlib.Path:
    """Writes style, program and data into a folder whose name says what is in it."""
    part = folder / "site.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(_SITE.glob("*.css")) + sorted(_SITE.glob("*.js")):
        digest.update(file.read_bytes())
        shutil.copyfile(file, part / file.name)
    for name, text in data:
        digest.update(text.encode("ascii"))
        (part / f"{name}.js").write_text(text, encoding="ascii")
    site = folder / (_PREFIX + digest.hexdigest())
    if site.exists():
        shutil.rmtree(part)
    else:
        for file in part.iterdir():
            outputs.to_disk(file)
        part.rename(site)
    return site
