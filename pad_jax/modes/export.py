"""--mode=export: writes a run's encoder to a file that needs neither the run nor this package."""

import pad_jax
from pad_jax import outputs
from pad_jax.errors import InputError
from pad_jax.modes.base import Call, Mode


def _run(call: Call) -> str:
    if call.output is None:
        raise InputError("--output is missing; give FILE.stablehlo, or FILE.safetensors")
    outputs.check_new(call.output)
    pad_jax.load(call.run_folder, call.epoch).export(call.output)
    return f"Written: {call.output}"


MODE = Mode(_run, works_on_run=True, takes=("output", "epoch"))
