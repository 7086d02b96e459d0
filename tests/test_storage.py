"""A full disk, few file handles, a folder that goes: one line each, and what was saved is whole."""

import contextlib
import errno
import gc
import resource
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from pad_jax import outputs, storage
from pad_jax.errors import InputError
from pad_jax.run import folder, metrics
from pad_jax.run.checkpoints import Checkpoints
from pad_jax.train import train_and_evaluate
from tests.support.limits import few_handles, limited
from tests.support.small_runs import assert_same_state, restored, small_config

AGAIN = "then give the same command again"
ENDS = "raise the limit of a file's size"  # for a disk that is full, without one
SMALL = {"dataset.max_images": 100, "batch_size": 32, "eval.evaluators": ()}
STATE = {"a": np.arange(200_000, dtype=np.float32)[::-1] ** 2, "b": np.arange(3)}


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def save(workdir, epochs, before=lambda epoch: contextlib.nullcontext()):
    """Checkpoints of some epochs, each written with some limit, as training writes them."""
    (workdir / "config.json").touch()
    with (
        storage.errors(workdir),
        contextlib.closing(Checkpoints(workdir, 2)) as checkpoints,
    ):
        for epoch in epochs:
            with before(epoch):
                checkpoints.save(epoch, STATE)
                checkpoints.wait()


def assert_whole(workdir):
    found = restored(workdir)
    assert_same_state(
        {k: found[k] for k in ("['a']", "['b']")}, {f"['{k}']": STATE[k] for k in STATE}
    )


# Where a save fails Orbax leaves its event loop open, of which Python warns when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _no_log_of_errors(caplog):
    yield
    gc.collect()
    assert not [record for record in caplog.get_records("call") if record.exc_info]


def said_nothing(capfd):
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert err == ""


def test_a_disk_that_is_full_while_a_checkpoint_is_written(tiny_disk, capfd):
    workdir = tiny_disk / "run"
    workdir.mkdir()
    with pytest.raises(InputError, match=f"No space left on device.*make room.*keep, {AGAIN}"):
        save(workdir, range(1, 9))
    said_nothing(capfd)
    assert_whole(workdir)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (lambda: limited(resource.RLIMIT_FSIZE, 1000), f"File too large.*{ENDS}"),
        (lambda: few_handles(6), "Too many open files.*ulimit -n"),
    ],
)
def test_a_save_that_fails_leaves_the_one_before(limit, message, tmp_path, capfd):
    def before(epoch):
        return limit() if epoch == 2 else contextlib.nullcontext()

    with pytest.raises(InputError, match=f"{message}.*{AGAIN}"):
        save(tmp_path, (1, 2), before)
    said_nothing(capfd)
    assert_whole(tmp_path)
    save(tmp_path, (2,))
    assert_whole(tmp_path)


def written(workdir):
    """What a run writes beside its checkpoints."""
    writer = metrics.MetricWriter(workdir, 0, 0)
    yield lambda: writer.write(1, 1, {"train/loss": 1.0} | {f"eval/{i}": 0.5 for i in range(99)})
    yield lambda: outputs.write_text(workdir / "report.html", "x" * 9000)
    yield lambda: outputs.write_json(workdir / "evaluation.json", {"x": "x" * 9000})
    yield lambda: outputs.write_csv(workdir / "groups.csv", ("image",), [("x" * 9000,)])
    yield writer.close


@pytest.mark.parametrize("limit", [(resource.RLIMIT_FSIZE, 1000), None])
def test_files_that_cannot_be_written(limit, tmp_path, capfd):
    begun, *others, close = written(tmp_path)
    others.append(begun)
    (tmp_path / "report.html").write_text("before")
    for write in others:
        cause = limited(*limit) if limit else few_handles(0)
        with pytest.raises(InputError, match=AGAIN), storage.errors(tmp_path), cause:
            write()
    assert (tmp_path / "report.html").read_text() == "before"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"metrics.jsonl", "report.html", "tensorboard"}
    close()
    metrics.MetricWriter(tmp_path, 0, 0).close()  # a row that was cut off is left out
    assert metrics.read(tmp_path) == []
    said_nothing(capfd)


def test_a_run_goes_on_where_there_is_room_again(tmp_path, monkeypatch, capfd):
    config = small_config(num_epochs=2, **SMALL)
    write = metrics.MetricWriter.write

    def on_a_full_disk(self, step, epoch, values):
        with limited(resource.RLIMIT_FSIZE, 2000) if epoch == 2 else contextlib.nullcontext():
            write(self, step, epoch, values)

    with monkeypatch.context() as patch:
        patch.setattr(metrics.MetricWriter, "write", on_a_full_disk)
        with pytest.raises(InputError, match=f"File too large.*{AGAIN}"):
            train_and_evaluate(config, tmp_path / "run")
    assert "Traceback" not in capfd.readouterr().err
    assert train_and_evaluate(config, tmp_path / "run")["epoch"] == 2
    assert [row["epoch"] for row in metrics.read(tmp_path / "run")] == [1, 2]


@pytest.mark.parametrize("how", [shutil.rmtree, lambda path: path.rename(path.with_name("moved"))])
def test_a_folder_that_goes_while_a_run_trains_in_it(how, tmp_path, monkeypatch, capfd):
    run = tmp_path / "run"
    run.mkdir()
    outputs.write_json(run / "config.json", {})
    writer = metrics.MetricWriter(run, 0, 0)

    def train():
        how(run)
        writer.write(1, 1, {"train/loss": 1.0})

    with pytest.raises(InputError, match="was removed, or moved"), storage.errors(run):
        train()
    writer.close()
    with pytest.raises(InputError, match="was removed, or moved, .*put it back"):
        storage.check_there(run)
    said_nothing(capfd)


def test_what_a_run_needs_is_compared_with_what_is_free(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2**30))
    storage.check_space(tmp_path, 300 * 2**20, keep=1)
    message = (
        r"has 1 GiB left and this run needs 1.19 \(4 checkpoints of 0.293 GiB.*keep below 2, or"
    )
    with pytest.raises(InputError, match=message):
        storage.check_space(tmp_path, 300 * 2**20, keep=2)
    held = tmp_path / "checkpoints/1/default"
    held.mkdir(parents=True)
    with (held / "array").open("wb") as file:  # sparse: it takes no room
        file.truncate(900 * 2**20)
    storage.check_space(tmp_path, 300 * 2**20, keep=3)
    with pytest.raises(InputError, match=r"3 checkpoints .*; make room, or choose"):
        storage.check_space(tmp_path, 2**30, keep=1)


def test_the_size_of_a_state():
    assert (
        storage.size({"a": np.zeros((3, 2), np.float32), "b": [np.zeros(5, np.int8), None]}) == 29
    )


def test_other_errors_pass(tmp_path):
    inside, elsewhere = str(tmp_path / "x"), "/photographs/x.jpg"
    for error in (
        ValueError("no"),
        FileNotFoundError(errno.ENOENT, "", elsewhere),
        PermissionError(errno.EACCES, "", elsewhere),
        OSError(errno.EIO, "", elsewhere),
        InputError("[Errno 28] said already"),
    ):
        with pytest.raises(type(error)) as raised, storage.errors(tmp_path):
            raise error
        assert raised.value is error
    for error in (
        PermissionError(errno.EACCES, "", inside),
        OSError(errno.EIO, "", inside),
        OSError(errno.ENOSPC, "", elsewhere),
        ExceptionGroup("of threads", [ValueError(), OSError(errno.EMFILE, "")]),
        ValueError(f"OUT: Failed to open: \"{inside}\": Denied [os_error_code='13'] [spec]"),
    ):
        with pytest.raises(InputError, match=AGAIN), storage.errors(tmp_path):
            raise error


def test_threads_say_nothing_of_what_is_raised_in_one_line(tmp_path, capfd):
    def fail(error):
        raise error

    with storage.errors(tmp_path):
        thread = threading.Thread(target=fail, args=[OSError(errno.ENOSPC, "full")])
        thread.start()
        thread.join()
    said_nothing(capfd)


def test_a_process_ends_though_a_thread_waits_for_ever():
    code = """
import threading
from pad_jax import storage
threading.Thread(target=threading.Event().wait).start()
print("said", flush=False)
storage.leave(2)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, b"said\n")


def test_a_run_without_room_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_REST", 2**60)
    for keep, message in (
        (1, r"this run needs.*\(3 checkpoints .*; make room, or choose another"),
        # No more than it has epochs.
        (1000, r"this run needs.*\(4 checkpoints .*; make room, set checkpoint.keep below 2, or"),
    ):
        config = small_config(num_epochs=2, **SMALL, **{"checkpoint.keep": keep})
        with pytest.raises(InputError, match=message):
            train_and_evaluate(config, tmp_path / "run")
        assert not folder.has_begun(tmp_path / "run")
