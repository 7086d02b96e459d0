"""--mode=prepare: decodes all images once, into a folder from which runs start in seconds."""

from pad_jax import config as configs
from pad_jax import data
from pad_jax.data.prepared import making
from pad_jax.errors import InputError
from pad_jax.modes.base import Call, Mode


def _run(call: Call) -> str:
    if call.output is None:
        raise InputError("--output is missing; give the folder to write the images to")
    settings = configs.read(call.config)
    index = making.prepare(settings, data.sources(settings), call.output)
    lines = [f"Prepared: {call.output}"]
    for name, split in index.splits.items():
        size = sum(shard.bytes for shard in split.shards)
        said = f"  {name}: {len(split.names):,} images, {size / 2**20:,.0f} MiB"
        if split.unreadable:
            said += f"; {len(split.unreadable):,} more could not be decoded"
        lines.append(said)
    lines.append(f"Train on them by --config.dataset.root={call.output}")
    return "\n".join(lines)


MODE = Mode(_run, has_run=False, one_process=True, takes=("output",))
