"""What ``--mode`` can be. A mode's own flags are defined by its module."""

# Modes by name: each a ``base.Mode``.
MODES = {
    "train": "pad_jax.modes.train:MODE",
    "evaluate": "pad_jax.modes.evaluate:MODE",
    "report": "pad_jax.modes.report:MODE",
    "sweep": "pad_jax.modes.sweep:MODE",
    "prepare": "pad_jax.modes.prepare:MODE",
    "features": "pad_jax.modes.features:MODE",
    "embed": "pad_jax.modes.embed:MODE",
    "search": "pad_jax.modes.search:MODE",
    "duplicates": "pad_jax.modes.duplicates:MODE",
    "sort": "pad_jax.modes.sort:MODE",
    "export": "pad_jax.modes.export:MODE",
    "browse": "pad_jax.modes.browse:MODE",
    "label": "pad_jax.modes.label:MODE",
    "plan": "pad_jax.modes.plan:MODE",
}
