"""What ``--mode`` can be. A mode's own flags are defined by its module."""

# Modes by name: each a ``base.Mode``.
MODES = {
    "train": "pad_jax.modes.train:MODE",
    "evaluate": "pad_jax.modes.evaluate:MODE",
    "report": "pad_jax.modes.report:MODE",
    "sweep": "pad_jax.modes.sweep:MODE",
    "features": "pad_jax.modes.features:MODE",
}
