"""Small pictures of all images, in packs that a page loads as they come into view."""

import base64
import hashlib
import io
import logging
import os
import pathlib
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image

from pad_jax import outputs, progress
from pad_jax.collection import Collection

_log = logging.getLogger(__name__)

PER_PACK = 64
_SIDE = 160  # px, of the longer side at most
_EXACT_SIDE = 64  # up to here a picture is kept without loss: it is shown enlarged
_VERSION = b"1 webp"  # of what is written; another one makes all pictures anew
_MAX_THREADS = 8  # each holds a decoded original
_PREFIX = "pictures-"
_GREY = ".grey"  # ending of what says that a pack lacks pictures of files
# A line of a pack: what the picture is of, and WebP as base64, empty where nobody has a picture.
_LINE = re.compile(rb'\["([0-9a-f]{32})","([A-Za-z0-9+/=]*)"\],\n')


class _Stored(NamedTuple):
    """A picture in a pack of before: bytes ``offset`` .. ``offset + length`` of a file."""

    file: pathlib.Path
    offset: int
    length: int


def write(collection: Collection, rows: np.ndarray, site: pathlib.Path) -> pathlib.Path:
    """Writes the packs of all images; pictures that are there already are not made again.

    The folder's name says what is in it, so packs of one that was stopped half-way are kept, and
    what another folder has of the same images is copied. Packs without some of their pictures are
    written anew: what was not at hand may be there now.

    Args:
      collection: the images.
      rows: int [N], the row of the collection at each place.
      site: the folder of the site.

    Returns:
      The folder of the packs, ``site/pictures-<digest>``, with ``<number>.js`` for each 64 places.
    """
    keys = [_key(collection, row) for row in rows.tolist()]
    digest = hashlib.blake2b(b"".join(keys), digest_size=8).hexdigest()
    folder = site / (_PREFIX + digest)
    folder.mkdir(parents=True, exist_ok=True)
    packs = range(0, len(rows), PER_PACK)
    grey = {file.with_suffix(".js") for file in folder.glob(f"*{_GREY}")}
    files = {first: folder / _name(first) for first in packs}
    missing = [first for first, file in files.items() if file in grey or not file.exists()]
    stored = dict(_stored(site, grey)) if missing else {}

    def pack(first: int) -> int:
        """Writes the pack that begins at a place; how many pictures it could not be given."""
        lines, some, unknown, lacking = [], slice(first, first + PER_PACK), 0, False
        for key, row in zip(keys[some], rows[some].tolist(), strict=True):
            name = key.hex()
            picture = _read(stored[name]) if name in stored else _encode(collection.picture(row))
            lines.append(f'["{name}","{picture}"],\n')
            unknown += not picture
            lacking |= not picture and collection.path(row) is not None  # else its key will change
        text = f"Pad.receivePictures({first // PER_PACK},[\n{''.join(lines)}]);\n"
        mark = files[first].with_suffix(_GREY)
        # Another command may write the same pack.
        part = folder / f"{_name(first)}.{os.getpid()}.{threading.get_ident()}.part"
        part.write_text(text, encoding="ascii")
        outputs.to_disk(part)
        if lacking:
            mark.touch()
        part.replace(files[first])
        if not lacking:
            mark.unlink(missing_ok=True)
        return unknown

    pool = ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1))
    try:
        done = pool.map(pack, missing)
        unknown = sum(progress.bar(done, len(missing) * PER_PACK, "pictures", each=PER_PACK))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for all that is planned
    if unknown:
        _log.warning(
            "%d of %d images have no picture at hand and are grey on the page.", unknown, len(rows)
        )
    return folder


def remove_others(folder: pathlib.Path) -> None:
    """Removes the packs of earlier sites beside those in ``folder``."""
    for other in folder.parent.glob(_PREFIX + "*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _name(first: int) -> str:
    return f"{first // PER_PACK}.js"


def _key(collection: Collection, row: int) -> bytes:
    """What tells a picture from all others: its file's name, size and time, else its embedding."""
    digest = hashlib.blake2b(_VERSION, digest_size=16)
    digest.update(collection.names[row].encode("utf-8", "surrogateescape"))
    path = collection.path(row)
    try:
        status = None if path is None else path.stat()
    except OSError:
        status = None  # gone since it was embedded
    if status is None:
        digest.update(np.ascontiguousarray(collection.embeddings[row]).tobytes())
    else:
        digest.update(os.fsencode(path))
        digest.update(b"%d %d" % (status.st_size, status.st_mtime_ns))
    return digest.digest()


def _stored(site: pathlib.Path, replaced: set[pathlib.Path]) -> Iterator[tuple[str, _Stored | str]]:
    """The pictures of earlier packs, by key; as text of packs that are about to be replaced."""
    for file in site.glob(f"{_PREFIX}*/*.js"):
        offset = 0
        with file.open("rb") as lines:
            for line in lines:
                if (match := _LINE.fullmatch(line)) and match[2]:
                    place = _Stored(file, offset + match.start(2), len(match[2]))
                    yield match[1].decode(), match[2].decode() if file in replaced else place
                offset += len(line)


def _read(stored: _Stored | str) -> str:
    if isinstance(stored, str):
        return stored
    with stored.file.open("rb") as file:
        file.seek(stored.offset)
        return file.read(stored.length).decode("ascii")


def _encode(pixels: np.ndarray | None) -> str:
    """uint8 [H, W, 1 or 3] -> WebP as base64; "" for None."""
    if pixels is None:
        return ""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    if max(image.size) <= _EXACT_SIDE:
        image.save(buffer, "webp", lossless=True)
    else:
        image.save(buffer, "webp", quality=78, method=2)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
