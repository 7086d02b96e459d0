"""--mode=report: writes a run's report.html anew, from its newest checkpoint."""

import functools
import logging
import os
import pathlib

from ml_collections import ConfigDict

from pad_jax import beginning, data, models, objectives, report, state, train
from pad_jax import config as configs
from pad_jax.errors import InputError
from pad_jax.modes.base import Call, Mode
from pad_jax.run import checkpoints, folder, kinds, metrics
from pad_jax.settings import TRAINING, RunSettings

_log = logging.getLogger(__name__)


def write_report(config: ConfigDict, workdir: str | os.PathLike) -> pathlib.Path:
    """Writes the report of the newest checkpoint in ``workdir``; its path.

    Raises:
      InputError: where there is no checkpoint, or the run's images cannot be read.
    """
    workdir = pathlib.Path(workdir)
    settings = configs.read(config)
    if changed := folder.changes(workdir, config, affecting=(TRAINING,)):
        raise InputError(
            f"the run in {workdir} was trained with another config ({changed}); undo the change"
        )
    epoch = checkpoints.newest_epoch(workdir)
    metrics.of_epochs(workdir, epoch)  # which the report draws
    dataset = data.load(settings)
    folder.check_images(workdir, dataset)
    images, objective = dataset.train, objectives.create(settings)
    encoder = models.create(settings)
    parts = beginning.step_parts(settings, encoder, objective, len(images), images.preparation)
    blank = beginning.init_state(settings[RunSettings], parts, images)
    train_state = state.to_devices(checkpoints.read(workdir, epoch, blank))
    embed = beginning.feature_embedder(settings, parts)
    found, features, _ = train.discover(objective, train_state, images, embed, epoch)
    embed_now = functools.partial(embed, train_state.variables)
    report.write(workdir, dataset, objective, found, features, embed_now, strict=True)
    if said := kinds.sentence(kinds.figures(found.clusters)):
        _log.info(said)
    return workdir / "report.html"


def _run(call: Call) -> str:
    return f"Written: {write_report(call.config, call.run_folder)}"


MODE = Mode(_run, works_on_run=True)
