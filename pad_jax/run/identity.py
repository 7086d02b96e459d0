"""Whether images are those of a run: by their names, and the sizes of some of their files."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from pad_jax.data.images import Images


def record(images: Images) -> dict[str, Any]:
    """What ``run.json`` says of the training images, for ``is_same``."""
    return {
        "num_images": len(images),
        "fingerprint": images.fingerprint,
        "sizes": list(images.sizes),
    }


def is_same(recorded: Mapping[str, Any], images: Images) -> bool:
    """Whether a run's images, as ``run.json`` has them, are these; they may lie elsewhere now."""
    if not have_sizes(recorded, images.sizes):
        return False
    if "fingerprint" in recorded:
        return recorded["fingerprint"] == images.fingerprint
    # A run of before 0.1.0 knew images by their names.
    names = "\n".join(images.names).encode(errors="surrogateescape")
    return recorded.get("images_sha256") == hashlib.sha256(names).hexdigest()


def have_sizes(recorded: Mapping[str, Any], sizes: Sequence[int]) -> bool:
    """Whether images of the names of a run's are the same files; true where nobody knows.

    Most of their sizes are the same then: a rating written into some of them makes no others.

    Args:
      recorded: what ``run.json`` has.
      sizes: of the files, as ``Selection.sizes`` gives them.
    """
    before = recorded.get("sizes", ())
    if not before or len(before) != len(sizes):
        return True
    return sum(a == b for a, b in zip(before, sizes, strict=True)) > len(before) / 2
