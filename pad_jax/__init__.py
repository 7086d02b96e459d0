"""Progressive Affinity Diffusion (Huang et al., AAAI 2020) in JAX: unsupervised deep learning.

What is public stands below; each name is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pad_jax import config
    from pad_jax.data.decoding import decode
    from pad_jax.errors import InputError
    from pad_jax.graph.estimators import AffinityGroups, AffinityHierarchy
    from pad_jax.graph.groups import hard_positives
    from pad_jax.graph.neighbors import nearest_neighbors
    from pad_jax.graph.queries import search
    from pad_jax.graph.subgraphs import strongly_connected_subgraphs
    from pad_jax.model import Model, load
    from pad_jax.objectives.losses import pad_loss
    from pad_jax.objectives.memory import refresh
    from pad_jax.train import train_and_evaluate

_WHERE = {
    "AffinityGroups": "pad_jax.graph.estimators",
    "AffinityHierarchy": "pad_jax.graph.estimators",
    "InputError": "pad_jax.errors",
    "Model": "pad_jax.model",
    "decode": "pad_jax.data.decoding",
    "hard_positives": "pad_jax.graph.groups",
    "load": "pad_jax.model",
    "nearest_neighbors": "pad_jax.graph.neighbors",
    "pad_loss": "pad_jax.objectives.losses",
    "refresh": "pad_jax.objectives.memory",
    "search": "pad_jax.graph.queries",
    "strongly_connected_subgraphs": "pad_jax.graph.subgraphs",
    "train_and_evaluate": "pad_jax.train",
}

__all__ = [
    "AffinityGroups",
    "AffinityHierarchy",
    "InputError",
    "Model",
    "__version__",
    "config",
    "decode",
    "hard_positives",
    "load",
    "nearest_neighbors",
    "pad_loss",
    "refresh",
    "search",
    "strongly_connected_subgraphs",
    "train_and_evaluate",
]


def __getattr__(name: str) -> Any:
    if name == "config":
        return importlib.import_module("pad_jax.config")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
