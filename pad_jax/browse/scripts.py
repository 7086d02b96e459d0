"""Data as script files: pages opened from the disk may load scripts, but read no files."""

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np

from pad_jax.browse.catalogue import Catalogue
from pad_jax.collection import Collection

NAMES_PER_FILE = 4096
NEIGHBORS_PER_FILE = 2048


def scripts(
    collection: Collection, catalogue: Catalogue, facts: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """The data of a site as (name, text of name.js), one at a time.

    Args:
      collection: the images.
      catalogue: their order.
      facts: what the page says of the run: title, fingerprint, looks, command, folder of the
        pictures.
    """
    count, base = len(catalogue.rows), _base(collection)
    yield _script(
        "catalogue",
        facts
        | {
            "images": count,
            "sizes": np.diff(catalogue.start).tolist(),
            "alike": np.rint(1000 * catalogue.alike).astype(int).tolist(),
            "sets": catalogue.sets.of_groups.tolist(),
            "setsAreClusters": catalogue.sets.are_clusters,
            "first": catalogue.first.tolist(),
            "base": base,
            "namesPerFile": NAMES_PER_FILE,
            "neighborsPerFile": NEIGHBORS_PER_FILE,
            "numNeighbors": catalogue.neighbors.indices.shape[1],
            "numNearest": catalogue.nearest.indices.shape[1],
        },
    )
    yield _script("rows", {"rows": _packed(catalogue.rows, "<u4")})
    means, places, images, reach = catalogue.sketch
    arrays = {"means": _packed(means, "<i2"), "images": _packed(images, "<i2")}
    yield _script("sketch", arrays | {"places": _packed(places, "<u4"), "reach": reach})
    single_sets = _packed(catalogue.sets.of_singles, "<i4")
    yield _script("outside", _graph(catalogue.nearest) | {"sets": single_sets})
    for first in range(0, count, NAMES_PER_FILE):
        rows = catalogue.rows[first : first + NAMES_PER_FILE].tolist()
        names = [_name(collection, row, base) for row in rows]
        yield _script(f"names-{first // NAMES_PER_FILE}", names)
    for first in range(0, count, NEIGHBORS_PER_FILE):
        part = (x[first : first + NEIGHBORS_PER_FILE] for x in catalogue.neighbors)
        yield _script(f"neighbors-{first // NEIGHBORS_PER_FILE}", _graph(part))


def _script(name: str, value: Any) -> tuple[str, str]:
    """A call that hands a value to the page; ASCII alone, so no encoding can be mistaken."""
    return name, f'Pad.receive("{name}",{json.dumps(value, separators=(",", ":"))});\n'


def _graph(graph) -> dict[str, str]:
    """Places or groups as 32 bits each, cosines as 8: 0 stands for 0 and less, 255 for 1."""
    indices, similarities = graph
    return {
        "indices": _packed(indices, "<u4"),
        "similarities": _packed(np.rint(255 * np.clip(similarities, 0, 1)), "u1"),
    }


def _packed(array: np.ndarray, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode("ascii")


def _base(collection: Collection) -> str | None:
    """The URI of the folder below which the first image's name leads to its file; None for none."""
    path = collection.path(0)
    if path is None:
        return None
    uri, name = path.as_uri(), _quoted(collection.names[0])
    return uri.removesuffix(name) if uri.endswith("/" + name) else None


def _name(collection: Collection, row: int, base: str | None) -> str | list[str | None]:
    """The name of an image, with the URI of its file where that is not base + name."""
    name, path = collection.names[row], collection.path(row)
    uri = None if path is None else path.as_uri()
    return name if base is not None and uri == base + _quoted(name) else [name, uri]


def _quoted(name: str) -> str:
    return quote(name, errors="surrogateescape")  # bytes that are no UTF-8 stay what they are
