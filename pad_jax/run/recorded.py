"""A config file for modes that work on a run: ``recorded.py:WORKDIR`` is the run's own."""

import pathlib

from ml_collections import ConfigDict

from pad_jax import config as configs
from pad_jax.run import folder


def get_config(workdir: str) -> ConfigDict:
    """The config of the run in a folder, with the defaults of what it does not have."""
    return configs.filled(folder.read_config(pathlib.Path(workdir)))
