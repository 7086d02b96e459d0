"""``python -m pad_jax``: the command line."""

from pad_jax.main import run

run()
