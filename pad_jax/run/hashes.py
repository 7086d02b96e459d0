"""Hashes of a tree's arrays, which tell whether what is read is what was saved."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def by_place(tree: Any) -> dict[str, Any]:
    """The arrays of a tree by their places in it, such as "params/conv1/kernel".

    A place has the same name in a tree of dataclasses as in one of dicts.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): x for path, x in leaves}


def hashes(tree: Any) -> dict[str, str]:
    """SHA-256 of each array on the host, of its type, shape and bytes, by its place in the tree."""
    return {place: _hash(x) for place, x in by_place(tree).items()}


def differing(tree: Any, recorded: Mapping[str, str]) -> str:
    """The first array that is not as it was recorded; "" where all are, or were not recorded."""
    found = hashes(tree)
    return next((name for name in found if recorded.get(name, found[name]) != found[name]), "")


def _hash(x: Any) -> str:
    x = np.ascontiguousarray(x)
    digest = hashlib.sha256(f"{x.dtype} {x.shape} ".encode())
    digest.update(x.reshape(-1).view(np.uint8))
    return digest.hexdigest()
