"""--mode=embed: writes the embeddings of images to a file that other tools read."""

import logging
import os
import pathlib
from collections.abc import Callable

import numpy as np

from pad_jax import outputs
from pad_jax.collection import Collection
from pad_jax.errors import InputError
from pad_jax.modes.base import Call, Mode
from pad_jax.modes.opening import open_call

_log = logging.getLogger(__name__)


def write(collection: Collection, output: pathlib.Path, *, replace: bool = False) -> str:
    """Writes embeddings: what they are written to, in words.

    ``.npy``: float32 [N, D], with the images' names in a ``.csv`` of the same name beside it.
    ``.npz``: ``features``, ``paths`` (bytes), and ``labels`` where some are known.
    ``.parquet``: ``image``, ``label`` and ``group`` (empty where there is none), ``embedding``.
    Each of them is a file for --features.

    Args:
      collection: N images.
      output: the file; its ending says of which kind.
      replace: whether a file that is there is replaced.

    Raises:
      InputError: for another ending, a file that is there, or one that cannot be written.
    """
    if output.suffix not in _WRITERS:
        raise InputError(
            f"--output={output} is of no kind that embeddings are written to; end it in "
            + ", ".join(_WRITERS)
        )
    files = [output, *([output.with_suffix(".csv")] if output.suffix == ".npy" else [])]
    for file in files:
        if not replace:
            outputs.check_new(file)
    _WRITERS[output.suffix](collection, output)
    n, width = collection.embeddings.shape
    return f"{' and '.join(map(str, files))} ({n:,} x {width})"


def _write_npy(collection: Collection, output: pathlib.Path) -> None:
    with outputs.whole(output) as part:
        with part.open("wb") as file:
            np.save(file, collection.embeddings)
        # What fails leaves neither of the two: one alone would be in the way of the next call.
        outputs.write_csv(output.with_suffix(".csv"), ("image",), ([n] for n in collection.names))


def _write_npz(collection: Collection, output: pathlib.Path) -> None:
    arrays = {
        "features": collection.embeddings,
        "paths": np.array([os.fsencode(name) for name in collection.names]),
    }
    if (collection.labels >= 0).any():
        arrays["labels"] = collection.labels
    with outputs.whole(output) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def _write_parquet(collection: Collection, output: pathlib.Path) -> None:
    import pyarrow
    import pyarrow.parquet

    n, width = collection.embeddings.shape
    labels, groups = collection.labels, np.full(n, -1)
    if n > 1:
        groups = collection.groups.labels_
    # Parquet's text is UTF-8, which names of files need not be.
    names = [os.fsencode(name).decode("utf-8", "backslashreplace") for name in collection.names]
    values = pyarrow.array(collection.embeddings.reshape(-1))
    columns = {
        "image": pyarrow.array(names, pyarrow.string()),
        "label": pyarrow.array(labels, pyarrow.int64(), mask=labels < 0),
        "group": pyarrow.array(groups, pyarrow.int64(), mask=groups < 0),
        "embedding": pyarrow.FixedSizeListArray.from_arrays(values, width),
    }
    with outputs.whole(output) as part:
        pyarrow.parquet.write_table(pyarrow.table(columns), part)


_WRITERS: dict[str, Callable[[Collection, pathlib.Path], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".parquet": _write_parquet,
}


def _run(call: Call) -> str:
    if call.output is None and call.features is not None:
        raise InputError("--output is missing; give a file, such as embeddings.parquet")
    if call.output is not None:
        return f"Written: {write(open_call(call), call.output)}"
    collection = open_call(call)
    default = collection.output("embeddings.npy")
    return f"Written: {write(collection, default, replace=True)}"


MODE = Mode(_run, works_on_run=True, takes=("images", "features", "epoch", "output"))
