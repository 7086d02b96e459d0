"""--mode=search: the images most similar to an example."""

import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import flags

from pad_jax.collection import Collection
from pad_jax.data.reading import printable
from pad_jax.errors import InputError
from pad_jax.graph.search import search
from pad_jax.modes import flags as shared
from pad_jax.modes.base import Call, Mode
from pad_jax.modes.opening import open_call
from pad_jax.paths import local

_QUERY = flags.DEFINE_multi_string(
    "query",
    None,
    "Image to search by: a file, or the name of one of the images searched. Give it again for more "
    "than one.",
)
_COUNT = 10


class Found(NamedTuple):
    """An image that was found: its row, and its cosine similarity with the query."""

    row: int
    similarity: float


def find(collection: Collection, queries: list[str], count: int = _COUNT) -> list[list[Found]]:
    """The most similar images of a collection for each query, nearest first, exactly.

    A query that is one of the images does not find itself.

    Args:
      collection: where to search.
      queries: each the path of an image, or the name of one of the collection.
      count: how many for each; fewer where there are no more.

    Raises:
      InputError: where a query is neither, cannot be decoded, or cannot be embedded.
    """
    own = _rows(collection, queries)
    strangers = [query for query, row in zip(queries, own, strict=True) if row is None]
    vectors = _embedded(collection, strangers)
    found = []
    for row in own:
        vector = next(vectors)[None] if row is None else collection.embeddings[row][None]
        k = min(count + (row is not None), len(collection))
        nearest = search(vector, collection.embeddings, k)
        pairs = zip(nearest.indices[0].tolist(), nearest.similarities[0].tolist(), strict=True)
        found.append([Found(*pair) for pair in pairs if pair[0] != row][:count])
    return found


def _rows(collection: Collection, queries: list[str]) -> list[int | None]:
    """Which row of the collection each query is; None for none."""
    by_name = {name: row for row, name in reversed(list(enumerate(collection.names)))}
    by_file = {os.path.basename(name): [] for name in queries}
    for row, name in enumerate(collection.names):
        if (candidates := by_file.get(os.path.basename(name))) is not None:
            candidates.append(row)

    def find_row(query: str) -> int | None:
        if query in by_name:
            return by_name[query]
        real = os.path.realpath(query)
        for row in by_file[os.path.basename(query)]:  # others cannot be this file
            if (path := collection.path(row)) and os.path.realpath(path) == real:
                return row
        return None

    return [find_row(query) for query in queries]


def _embedded(collection: Collection, queries: list[str]) -> Iterator[np.ndarray]:
    """The embedding of each file, float32 [D]."""
    for query in queries:
        if not pathlib.Path(query).is_file():
            raise InputError(f"--query={query} is no file, and none of the images searched")
    if not queries:
        return iter(())
    if collection.embed is None:
        raise InputError(
            f"--query={queries[0]} is none of the images searched, and what embeds others as these "
            "were is not known; give the name of one of them"
        )
    try:
        return iter(collection.embed(queries))
    except InputError as error:
        text = re.sub(r"^images\[(\d+)\]", lambda m: f"--query={queries[int(m[1])]}", str(error))
        raise InputError(text) from None


def _run(call: Call) -> str:
    if not all(_QUERY.value or [""]):
        raise InputError("--query is missing; give an image")
    queries = [str(local(query, "--query")) for query in _QUERY.value]
    collection = open_call(call)
    answers = find(collection, queries, shared.COUNT.value or _COUNT)
    lines = []
    for query, found in zip(queries, answers, strict=True):
        if len(queries) > 1:
            lines.append(f"{_on_one_line(query)}:")
        lines += [f"{_shown(collection, row)}\t{similarity:.4f}" for row, similarity in found]
    return "\n".join(lines)


def _shown(collection: Collection, row: int) -> str:
    """The path of an image, or its name, on one line."""
    return _on_one_line(collection.path(row) or collection.names[row])


def _on_one_line(name: str | os.PathLike) -> str:
    return printable(os.fsencode(name).decode("utf-8", "backslashreplace"))


MODE = Mode(_run, works_on_run=True, takes=("images", "features", "epoch", "count"))
