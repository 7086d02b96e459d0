"""--mode=train: trains, or goes on from the newest checkpoint, and evaluates."""

from pad_jax.modes.base import Call, Mode
from pad_jax.run import metrics
from pad_jax.train import train_and_evaluate


def _run(call: Call) -> str:
    return metrics.results_table(train_and_evaluate(call.config, call.run_folder))


MODE = Mode(_run)
