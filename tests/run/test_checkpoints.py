"""Checkpoints that are damaged: each has its outcome, and none is trained on."""

import contextlib
import json
import logging
import resource
import shutil

import jax
import numpy as np
import pytest

from pad_jax.epoch import Trained
from pad_jax.errors import InputError
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import singletons
from pad_jax.run import checkpoints
from pad_jax.run.begun import Begun
from pad_jax.run.checkpoints import Checkpoints
from pad_jax.state import TrainState

N = 50


def state(step, width=8):
    rng = np.random.default_rng(step)
    params = {"fc": {"kernel": rng.random((width, 300), np.float32)}}
    return TrainState(
        step=np.array(step, np.int32),
        params=params,
        batch_stats={},
        opt_state=(jax.tree.map(np.zeros_like, params),),
        memory=rng.random((N, 4), np.float32),
        groups=singletons(N),
    )


def new_run(workdir):
    workdir.mkdir(exist_ok=True)
    (workdir / "config.json").touch()
    return workdir


def begun(epoch):
    return Begun(Discovery(epoch, singletons(N)), {}, Trained(2, {"loss": np.float32(1)}, 0.5))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of four steps an epoch: after two epochs, after three, and in the fourth."""
    workdir = new_run(tmp_path_factory.mktemp("run"))
    with contextlib.closing(Checkpoints(workdir, 2)) as manager:
        manager.save(2, state(8))
        manager.save(3, state(12))
        manager.save_within(state(14), begun(3))
    return workdir


@pytest.fixture
def workdir(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "run")


def read_newest(workdir):
    with contextlib.closing(Checkpoints(workdir, 2)) as manager:
        return manager.newest(state(0))


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def data_file(path):
    """The largest file of a checkpoint: its arrays."""
    return max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def forget(path):
    shutil.rmtree(path)
    path.mkdir()


def record(path, **changes):
    file = path / "_CHECKPOINT_METADATA"
    content = json.loads(file.read_text())
    content["custom_metadata"] |= changes
    file.write_text(json.dumps(content))


def replace(path, other, **changes):
    shutil.rmtree(path)
    shutil.copytree(other, path)
    record(path, **changes)


def of_another_encoder(path):
    other = new_run(path.parents[1].with_name("other"))
    with contextlib.closing(Checkpoints(other, 2)) as manager:
        manager.save(3, state(12, width=9))
    replace(path, other / "checkpoints" / "3")


def of_fewer_arrays(path):
    other = new_run(path.parents[1].with_name("fewer"))
    with contextlib.closing(Checkpoints(other, 2)) as manager:
        manager.save(3, state(12).replace(params={"fc": {}}))
    replace(path, other / "checkpoints" / "3")


DAMAGES = {
    "a bit is flipped in the arrays": lambda path: flip(data_file(path)),
    "the arrays are cut off": lambda path: cut(data_file(path)),
    "the arrays are gone": lambda path: data_file(path).unlink(),
    "the arrays are empty": lambda path: data_file(path).write_bytes(b""),
    "the list of arrays is cut off": lambda path: cut(path / "default" / "_METADATA"),
    "the index is gone": lambda path: (path / "default" / "manifest.ocdbt").unlink(),
    "the index is garbage": lambda path: (path / "default" / "manifest.ocdbt").write_bytes(
        b"x" * 9
    ),
    "the folder is empty": forget,
    "what is recorded is gone": lambda path: (path / "_CHECKPOINT_METADATA").unlink(),
    "what is recorded is cut off": lambda path: cut(path / "_CHECKPOINT_METADATA"),
    "what is recorded is another kind": lambda path: (path / "_CHECKPOINT_METADATA").write_text(
        "[1]"
    ),
    "it is of another encoder": of_another_encoder,
    "it has fewer arrays": of_fewer_arrays,
    "it is of another epoch": lambda path: replace(path, path.with_name("2")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_newest_that_is_whole_is_used(workdir, caplog, damage):
    shutil.rmtree(workdir / "within_epoch")
    path = workdir / "checkpoints" / "3"
    damage(path)
    with pytest.raises(InputError, match="checkpoints/3 cannot be restored"):
        checkpoints.read(workdir, 3, state(0))
    with caplog.at_level(logging.WARNING, "pad_jax"):
        found, within, epoch = read_newest(workdir)
    assert (within, epoch) == (None, 2)
    assert_equal(found, state(8))
    # Reads of TensorStore's that end late speak up as well.
    [warning] = [r.getMessage() for r in caplog.records if r.name.startswith("pad_jax")]
    assert "checkpoints/3 cannot be restored" in warning
    assert "\n" not in warning
    assert checkpoints.epochs(workdir) == [2]
    assert (workdir / "checkpoints" / "3.damaged").is_dir()


@pytest.mark.parametrize(
    "damage",
    [damage for name, damage in DAMAGES.items() if not name.startswith("it ")],
    ids=[name for name in DAMAGES if not name.startswith("it ")],
)
def test_damaged_in_the_midst_of_an_epoch(workdir, damage):
    damage(workdir / "within_epoch" / "14")
    found, within, epoch = read_newest(workdir)
    assert (within, epoch) == (None, 3)
    assert_equal(found, state(12))
    assert (workdir / "within_epoch" / "14.damaged").is_dir()


def test_whole_ones_come_back_with_what_has_begun(workdir):
    found, within, epoch = read_newest(workdir)
    assert_equal(found, state(14))
    assert epoch == within.epoch == 3
    assert within.trained == begun(3).trained
    assert_equal(checkpoints.read(workdir, 3, state(0)), state(12))


def test_where_none_is_whole_they_stay_and_nothing_begins_anew(workdir):
    for path in (*(workdir / "checkpoints").iterdir(), *(workdir / "within_epoch").iterdir()):
        flip(data_file(path))
    with pytest.raises(InputError, match="within_epoch/14 cannot be restored"):
        read_newest(workdir)
    assert checkpoints.epochs(workdir) == [2, 3]


def test_a_part_is_verified_as_well(workdir):
    like = {
        "params": jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state(0).params)
    }
    assert_equal(checkpoints.read_part(workdir, 3, like), {"params": state(12).params})
    file = workdir / "checkpoints" / "3"
    record(file, sha256={"params/fc/kernel": "0"})
    with pytest.raises(InputError, match="params/fc/kernel is not as it was saved"):
        checkpoints.read_part(workdir, 3, like)


def test_the_run_saves_anew_where_something_was_set_aside(workdir):
    shutil.rmtree(workdir / "within_epoch")
    flip(data_file(workdir / "checkpoints" / "3"))
    with contextlib.closing(Checkpoints(workdir, 2)) as manager:
        manager.newest(state(0))
        manager.save(3, state(12))
    assert checkpoints.epochs(workdir) == [2, 3]
    assert_equal(checkpoints.read(workdir, 3, state(0)), state(12))


@pytest.mark.parametrize("change", [lambda c: c.pop, lambda c: lambda k: c.update({k: None})])
def test_those_without_hashes_are_read(workdir, change):
    file = workdir / "checkpoints" / "3" / "_CHECKPOINT_METADATA"
    content = json.loads(file.read_text())
    change(content)("custom_metadata")
    file.write_text(json.dumps(content))
    assert_equal(checkpoints.read(workdir, 3, state(0)), state(12))


def test_an_empty_folder_is_no_checkpoint_of_a_finished_run(workdir):
    assert checkpoints.is_saved(workdir, 3)
    (workdir / "checkpoints" / "9").mkdir()
    assert not checkpoints.is_saved(workdir, 9)


def test_what_the_system_does_not_give_is_no_damage(workdir):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(InputError, match="cannot read .*Too many open files") as refused:
            checkpoints.read(workdir, 3, state(0))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not isinstance(refused.value, checkpoints.Damaged)
