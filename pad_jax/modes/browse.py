"""--mode=browse: writes a page for looking at the groups and naming them."""

import shlex

from pad_jax import browse
from pad_jax.modes.base import Call, Mode, field_flags
from pad_jax.modes.opening import open_call


def _label_command(call: Call) -> str:
    """What is run with the file of names that the page saves."""
    words = ["pad-jax"]
    if call.features is None:
        words.append(f"--workdir={call.run_folder}")
    else:
        words.append(f"--features={call.features}")
    if call.config_given:
        words.append(f"--config={call.config_given}")
    if call.epoch is not None:
        words.append(f"--epoch={call.epoch}")
    if call.images is not None:
        words.append(f"--images={call.images}")
    words += ["--mode=label", "--labels=labels.csv", *field_flags(call.overrides)]
    return shlex.join(words)


def _run(call: Call) -> str:
    command = _label_command(call)
    index = browse.write(open_call(call), command)
    return "\n".join(
        [
            f"Written: {index}",
            f"Open it in a browser: {index.resolve().as_uri()}",
            "Name groups there and save; labels.csv then lies where the browser puts downloads.",
            f"Next, to spread the names over all images: {command}",
        ]
    )


MODE = Mode(_run, works_on_run=True, takes=("images", "features", "epoch"))
