"""--mode=train: trains, or goes on from the newest checkpoint, and evaluates."""

import logging
import shlex

from absl import flags

from pad_jax.modes import flags as shared
from pad_jax.modes.base import Call, Mode
from pad_jax.run import doubts, kinds, metrics
from pad_jax.train import train_and_evaluate

_log = logging.getLogger(__name__)

_PROFILE = flags.DEFINE_string(
    "profile", None, "Folder for a trace of one graph and some steps, by jax.profiler."
)

_MADE = {
    "report.html": "the groups, and what the run measured, for any browser",
    "groups.csv": "every image and its group",
}


def _run(call: Call) -> str:
    row = train_and_evaluate(call.config, call.run_folder, profile=shared.path(_PROFILE))
    for name, what in _MADE.items():
        if (call.run_folder / name).exists():
            _log.info("Written: %s (%s)", call.run_folder / name, what)
    if said := kinds.sentence(row):
        is_listed = row["eval/clusters"] and (call.run_folder / "groups.csv").exists()
        _log.info(
            "%s%s",
            said,
            " groups.csv has the kind of every image, as cluster." if is_listed else "",
        )
    if said := doubts.sentence(row):
        _log.warning("%s docs/methods.md, Warnings, says what that means.", said)
    # shlex: the command is there to be copied.
    workdir = shlex.quote(str(call.run_folder))
    _log.info("To look at all groups and name them: pad-jax --mode=browse --workdir=%s", workdir)
    _log.info(
        "To sort the images into folders: pad-jax --mode=sort --workdir=%s --output=sorted", workdir
    )
    return metrics.results_table(row)


MODE = Mode(_run, goes_on=True)
