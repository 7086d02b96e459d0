"""--mode=train: trains, or goes on from the newest checkpoint, and evaluates."""

import logging

from pad_jax.modes.base import Call, Mode
from pad_jax.run import metrics
from pad_jax.train import train_and_evaluate

_log = logging.getLogger(__name__)


def _run(call: Call) -> str:
    said = metrics.results_table(train_and_evaluate(call.config, call.run_folder))
    for name in ("report.html", "groups.csv"):
        if (call.run_folder / name).exists():
            _log.info("Written: %s", call.run_folder / name)
    return said


MODE = Mode(_run)
