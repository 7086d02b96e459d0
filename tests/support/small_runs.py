"""Runs of seconds on real images, and what tests look at in them."""

import logging

import jax
import numpy as np

from configs import digits
from pad_jax import train
from pad_jax.run import checkpoints

# Settings that follow the graph and the groups, epoch by epoch.
AUTO = {
    "grouping.features": "embed",
    "grouping.edge_share": "auto",
    "grouping.max_size": "auto",
    "grouping.singletons_until": "auto",
    "loss.temperature": "auto",
}

# Where nobody looks at what was learnt: no evaluation; and an encoder that compiles at once.
UNEVALUATED = {"eval.evaluators": ()}
QUICK = UNEVALUATED | {"model.name": "tests.support.parts:linear"}


def small_config(**overrides):
    """Digits of 16 px, 300 of them, two epochs: seconds."""
    config = digits.get_config()
    config.num_epochs = 2
    config.batch_size = 64
    config.dataset.max_images = 300
    config.dataset.image_size = 16
    config.eval.every_epochs = 0
    config.eval.kmeans_runs = 2
    config.update_from_flattened_dict(overrides)
    return config


def restored(workdir):
    """The newest checkpoint's arrays by name, without a target to restore to."""
    state = checkpoints.read(workdir, checkpoints.newest_epoch(workdir))
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def make_checkpoint(workdir, epoch):
    """What says that an epoch is done, where nobody reads the state."""
    (workdir / "checkpoints" / str(epoch) / "default").mkdir(parents=True)
    (workdir / "checkpoints" / str(epoch) / "_CHECKPOINT_METADATA").touch()


def assert_same_state(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def without_clock(rows):
    return [
        {k: v for k, v in row.items() if not k.startswith("time/") and "per_second" not in k}
        for row in rows
    ]


def evaluated(row):
    """Of a run's last row what an evaluation alone says, too: nothing of its own final graph."""
    figures = {k: v for k, v in row.items() if k.startswith("eval/") or k == "epoch"}
    own = ("eval/clusters", "eval/support")
    return {k: v for k, v in figures.items() if not k.startswith(own)}


def scramble_labels(patch):
    """All labels of the data sets loaded from now on are permuted."""
    load = train.data.load

    def scrambled(settings):
        dataset = load(settings)
        for images in dataset:
            images.labels = np.random.default_rng(5).permutation(images.labels)
        return dataset

    patch.setattr(train.data, "load", scrambled)


def count_compilations(patch):
    """A list that gets, at the end of each epoch, how many programs have been compiled so far."""
    compiled, at_epoch = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    save = checkpoints.Checkpoints.save
    patch.setattr(
        checkpoints.Checkpoints,
        "save",
        lambda *args: (at_epoch.append(len(compiled)), save(*args)),
    )
    return at_epoch


def compiled_programs():
    """A list that gets a line of each program that is compiled from now on: function and shapes."""
    programs = []

    class Listener(logging.Handler):
        def emit(self, record):
            if (said := record.getMessage()).startswith("Compiling "):
                programs.append(said.removeprefix("Compiling ").replace("\n", " "))

    jax.config.update("jax_log_compiles", True)
    for name in ("interpreters.pxla", "dispatch", "compiler"):
        logger = logging.getLogger(f"jax._src.{name}")
        logger.addHandler(Listener())
        logger.propagate = False
    return programs
