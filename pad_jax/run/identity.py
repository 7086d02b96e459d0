"""Whether images are those of a run: by their names, and the sizes of some of their files."""

import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pad_jax.data.images import Images

_LOOKED_AT = 64  # files: a network is asked for each of their sizes


def record(images: Images) -> dict[str, Any]:
    """What ``run.json`` says of the training images, for ``is_same``."""
    return {
        "num_images": len(images),
        "fingerprint": images.fingerprint,
        "sizes": _sizes(images.path, len(images)),
    }


def is_same(recorded: Mapping[str, Any], images: Images) -> bool:
    """Whether a run's images, as ``run.json`` has them, are these; they may lie elsewhere now."""
    if not have_sizes(recorded, images.path, len(images)):
        return False
    if "fingerprint" in recorded:
        return recorded["fingerprint"] == images.fingerprint
    # A run of before 0.1.0 knew images by their names.
    names = "\n".join(images.names).encode(errors="surrogateescape")
    return recorded.get("images_sha256") == hashlib.sha256(names).hexdigest()


def have_sizes(
    recorded: Mapping[str, Any], path: Callable[[int], pathlib.Path | None], count: int
) -> bool:
    """Whether images of the same names are the same files, by sizes; true where nobody knows.

    Args:
      recorded: what ``run.json`` has.
      path: of image i, None where it has no file.
      count: how many images there are.
    """
    before, now = recorded.get("sizes"), _sizes(path, count)
    return not (before and now) or before == now


def _sizes(path: Callable[[int], pathlib.Path | None], count: int) -> str:
    """A digest of the sizes of some files, spread evenly; "" where one is not at hand."""
    sizes = []
    for i in np.unique(np.linspace(0, count - 1, _LOOKED_AT).astype(int)).tolist():
        file = path(i)
        try:
            sizes.append("" if file is None else str(os.path.getsize(file)))
        except OSError:
            return ""
    return hashlib.sha256(" ".join(sizes).encode()).hexdigest() if any(sizes) else ""
