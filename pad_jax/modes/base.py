"""What a mode of the command line is, and what it is called with."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from pad_jax import config as configs
from pad_jax.errors import InputError
from pad_jax.run import folder

_OF_TRAINING = (
    *("model", "augmentation", "objective", "loss", "memory", "optimizer", "init_from"),
    *("batch_size", "num_epochs"),
)  # fields and sections


class Call(NamedTuple):
    """A command line, read; ``~`` is expanded in its paths.

    Attributes:
      config: with the overrides in it; of modes that work on a run the run's own, unless another
        was given.
      config_file: the file it is from.
      overrides: what the command line says of its fields, by dotted name.
      workdir: of --workdir, or None.
      images: of --images, or None.
      features: of --features, or None.
      output: of --output, or None.
      epoch: of --epoch, or None for that of the newest checkpoint.
      config_given: what --config says, or None.
    """

    config: ConfigDict
    config_file: str
    overrides: Mapping[str, Any]
    workdir: pathlib.Path | None
    images: pathlib.Path | None = None
    features: pathlib.Path | None = None
    output: pathlib.Path | None = None
    epoch: int | None = None
    config_given: str | None = None

    @property
    def config_name(self) -> str:
        """The name of the config's file."""
        return pathlib.Path(self.config_file).stem

    @property
    def run_folder(self) -> pathlib.Path:
        """--workdir, by default runs/<name of the config>."""
        return self.workdir or pathlib.Path("runs", self.config_name)


def changes(call: Call) -> dict[str, tuple[Any, Any]]:
    """In which fields, by dotted name, a call's config differs from its run's: old, new."""
    run, now = folder.read_config(call.run_folder), configs.as_json(call.config)
    return {name: (old, new) for name, old, new, _ in configs.differences(run, now)}


def check_overrides(call: Call) -> None:
    """Raises InputError for an override of what the run's encoder was trained with.

    A mode that takes the encoder of a checkpoint reads nothing of these.
    """
    for name, (old, new) in changes(call).items():
        if name in call.overrides and name.partition(".")[0] in _OF_TRAINING:
            raise InputError(
                f"--config.{name}={new!r} has no meaning here: the run in {call.run_folder} was "
                f"trained with {old!r}; leave it out"
            )


def field_flags(overrides: Mapping[str, Any]) -> list[str]:
    """What a command line says of fields of its config, by dotted name."""
    return [f"--config.{field}={value}" for field, value in overrides.items()]


class Mode(NamedTuple):
    """A mode of the command line.

    Attributes:
      run: does it; returns what the first process prints.
      works_on_run: whether it needs no --config, but takes that of the run in --workdir.
      takes: the shared flags (``modes.flags``) that mean something to it. With "features" among
        them --features may stand in place of a run; neither --config nor --workdir is needed then.
      has_run: whether there is a run at all, in --workdir; without one that is refused.
      goes_on: whether, where --workdir holds a run that has begun, it needs no --config either.
      one_process: whether it refuses --distributed, and starts no device.
      default_config: the package's config that it takes without --config; None where it has none.
    """

    run: Callable[[Call], str]
    works_on_run: bool = False
    takes: tuple[str, ...] = ()
    has_run: bool = True
    goes_on: bool = False
    one_process: bool = False
    default_config: str | None = None
