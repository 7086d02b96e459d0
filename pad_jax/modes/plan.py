"""--mode=plan: what a run will need of devices, whether they are at hand or not."""

import json
import logging

from absl import flags

from pad_jax import config as configs
from pad_jax import outputs, sizing
from pad_jax.errors import InputError
from pad_jax.modes import flags as shared
from pad_jax.modes.base import Call, Mode
from pad_jax.plan import estimate, programs, samples, topologies

_log = logging.getLogger(__name__)

_TOPOLOGY = flags.DEFINE_string(
    "topology",
    None,
    "Devices to compile for, such as v5e:2x4 or h100:8; by default those at hand.",
)
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", None, "How many training images there will be.", lower_bound=2
)
_HOST_RATE = flags.DEFINE_float(
    "host_images_per_second",
    None,
    "How many images the host decodes a second, for sets that are streamed.",
    lower_bound=1e-3,
)
_JSON = flags.DEFINE_string("json", None, "File to write the figures to as well.")


def _run(call: Call) -> str:
    if (path := shared.path(_JSON)) is not None:
        outputs.check_new(path, "--json")
        outputs.check_writable(f"--json={path}", path.absolute().parent, "choose another place")
    topology = topologies.find(_TOPOLOGY.value) if _TOPOLOGY.value else topologies.at_hand()
    config, missing = call.config, sizing.left_to_choose(call.config)
    if "model.dtype" in missing:
        config = configs.changed(config, {"model.dtype": sizing.dtype(topology.platform)})
        missing.remove("model.dtype")
    if missing:
        wanted = ", ".join(f"--config.{name}" for name in missing)
        raise InputError(f"a plan opens no data set, so it cannot choose {wanted}; give it")
    settings = configs.read(config)
    count, preparation = samples.of_run(settings, call.workdir, _NUM_IMAGES.value)
    minutes = ", which takes minutes" if topology.platform == "tpu" else ""
    _log.info("Compiling for %s%s.", topology.name, minutes)
    compiled = programs.compile_run(settings, preparation, count, topology)
    plan = estimate.estimate(settings, compiled, count, topology, _HOST_RATE.value)
    if path is not None:
        with outputs.whole(path) as file:
            file.write_text(json.dumps(plan, indent=1) + "\n")
    return estimate.table(plan)


MODE = Mode(_run, works_on_run=True, one_process=True)
