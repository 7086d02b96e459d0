"""The run that a new run begins with: ``init_from``, whose encoder it takes over."""

import logging
import os
import pathlib
import typing
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from pad_jax import config as configs
from pad_jax import models, objectives, registry
from pad_jax.data import augmentation
from pad_jax.data.images import Images
from pad_jax.data.preparation import PIXELS, Preparation
from pad_jax.errors import InputError
from pad_jax.models import ModelSettings
from pad_jax.objectives import ObjectiveSettings
from pad_jax.objectives.base import Objective
from pad_jax.paths import expanded
from pad_jax.run import checkpoints, folder
from pad_jax.settings import RunSettings, Settings, declarations, refuse

_log = logging.getLogger(__name__)


class Predecessor(NamedTuple):
    """A run that has trained an encoder.

    Attributes:
      workdir: its folder.
      epoch: of the checkpoint that is taken.
      settings: of that run.
      preparation: what its samples went through.
      fingerprint: of its images, "" where that is not known.
    """

    workdir: pathlib.Path
    epoch: int
    settings: Settings
    preparation: Preparation
    fingerprint: str

    def check(self, settings: Settings, encoder: nn.Module, images: Images) -> None:
        """Sees to it that a new run's encoder has the same parameters.

        Args:
          settings: of the new run.
          encoder: of the new run.
          images: it trains on.

        Raises:
          InputError: naming the field by which they differ.
        """
        given = images.preparation
        is_same = (
            given.kind == self.preparation.kind
            and settings[ModelSettings].name == self.settings[ModelSettings].name
            and _variables(settings, encoder, given)
            == _variables(self.settings, models.create(self.settings), self.preparation)
        )
        if not is_same:
            self._refuse(settings, given)

    def take(
        self, settings: Settings, encoder: nn.Module, objective: Objective, images: Images
    ) -> tuple[Any, Any]:
        """Reads what a new run takes over; what that is, is said in a line of the log.

        Args:
          settings, encoder, images: as ``check`` has them.
          objective: of the new run.

        Returns:
          The encoder's variables, and what the objective keeps of each image, a tree of arrays [N,
          ...], NumPy: None where it keeps nothing, or objective or images are others.

        Raises:
          InputError: where the checkpoint cannot be read.
        """
        like = dict(_variables(settings, encoder, images.preparation))
        memory, reason = self._memory(settings, objective, images)
        if memory is not None:
            like["memory"] = memory
        variables = checkpoints.read_part(self.workdir, self.epoch, like)
        memory = variables.pop("memory", None)
        _log.info(
            "Beginning with the encoder of %s after epoch %d%s.",
            *(self.workdir, self.epoch, reason if memory is None else " and its memory"),
        )
        return variables, memory

    def _memory(self, settings: Settings, objective: Objective, images: Images) -> tuple[Any, str]:
        """Shape and dtype of the memory that can be taken, or None and why there is none."""
        own = _shapes(objective.blank_memory(len(images)))
        if not jax.tree.leaves(own):
            return None, ""  # it keeps nothing
        if not images.fingerprint or images.fingerprint != self.fingerprint:
            return None, "; the memory begins anew, since the images are others"
        same = settings[ObjectiveSettings] == self.settings[ObjectiveSettings]
        if not (
            same and own == _shapes(objectives.create(self.settings).blank_memory(len(images)))
        ):
            return None, "; the memory begins anew, since the objective is another"
        return own, ""

    def _refuse(self, settings: Settings, preparation: Preparation) -> typing.NoReturn:
        """Raises the InputError that names where the two encoders differ."""
        name = settings[ModelSettings].name
        encoders = registry.settings_of(registry.find(models.ENCODERS, name, "model.name"))
        for declared in declarations([ModelSettings, *encoders]):
            value = getattr(settings[declared.part], declared.field)
            theirs = getattr(self.settings[declared.part], declared.field)
            if value != theirs and declared.name != "model.dtype":  # parameters are float32
                refuse(declared.name, value, self._has(theirs))
        if preparation.kind != self.preparation.kind:
            hint = f"init_from={self.workdir} was trained on {self.preparation}; give such"
            refuse("dataset", str(preparation), hint)
        if (theirs := self.preparation.shape) != preparation.shape:
            if preparation.kind != PIXELS or theirs[-1] != preparation.shape[-1]:
                i, field = -1, "dataset.channels" if preparation.kind == PIXELS else "dataset"
            else:
                i, field = 0, "dataset.image_size"
            refuse(field, preparation.shape[i], self._has(theirs[i]))
        raise InputError(
            f"init_from={self.workdir} has an encoder with other parameters; give its settings"
        )

    def _has(self, value: Any) -> str:
        return f"the encoder of init_from={self.workdir} has {value!r}; use that, or another run"


def find(settings: Settings, workdir: pathlib.Path) -> Predecessor | None:
    """The run that ``init_from`` names; None where it names none, or the new one has begun.

    Args:
      settings: of the run that is to be started, or resumed.
      workdir: its folder, which must be another one.

    Raises:
      InputError: where there is no such run, or it has no checkpoint.
    """
    given = settings[RunSettings].init_from
    path, epoch = expanded(given), None
    if path.parent.name == "checkpoints" and path.name.isdecimal():
        epoch, path = int(path.name), path.parent
    if path.name == "checkpoints":
        path = path.parent
    if given and os.path.realpath(path) == os.path.realpath(workdir):
        raise InputError(
            f"init_from={given} is the folder of the new run itself; choose another --workdir"
        )
    if not given or checkpoints.has_any(workdir):
        return None
    try:
        own = configs.read(folder.read_config(path))
        preparation, run = folder.read_preparation(path), folder.read_run(path)
        epoch = checkpoints.chosen_epoch(path, epoch)
    except InputError as error:
        raise InputError(f"init_from={given}: {error}") from None
    return Predecessor(path, epoch, own, preparation, run.get("fingerprint", ""))


def _variables(settings: Settings, encoder: nn.Module, preparation: Preparation) -> Any:
    """Shape and dtype of each of an encoder's variables."""
    augment = augmentation.create(settings, preparation)
    return models.variables(encoder, augmentation.input_shape(augment, preparation))


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)
