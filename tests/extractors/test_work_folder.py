"""Extractions that are interrupted, or have no room: the same command goes on, others do not."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from pad_jax.data.augmentation import CropSettings
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.extractors import ExtractorSpec, work_folder
from pad_jax.extractors.extraction import extract
from pad_jax.settings import RunSettings, Settings
from tests.support import grid_extractor
from tests.support.grid_extractor import BATCH, QUICK, SIZE, SPEC, STOPPABLE, grid, make_images


class Stop(BaseException):
    """An interruption, as KeyboardInterrupt is one."""


def stop_in_call(number):
    """Interrupts the extractor in one of its calls."""

    @contextlib.contextmanager
    def stopping(patch):
        calls = []

        def stopped(images):
            calls.append(len(images))
            if len(calls) == number:
                raise Stop
            return grid(images)

        patch.setattr(grid_extractor, "grid_or_stop", stopped)
        yield

    return stopping


def stop_in(owner, name, after=False):
    """Interrupts a function, before or after its work."""

    @contextlib.contextmanager
    def stopping(patch):
        own = getattr(owner, name)

        def stopped(*arguments, **options):
            if after:
                own(*arguments, **options)
            raise Stop

        patch.setattr(owner, name, stopped)
        yield

    return stopping


def savez_halfway(patch):
    def half(file, **arrays):
        file.write(b"PK\x03\x04 a part of it")
        raise Stop

    patch.setattr(np, "savez", half)
    return contextlib.nullcontext()


def fsync_of_the_file(patch):
    fsync = os.fsync

    def stopping(handle):
        if os.readlink(f"/proc/self/fd/{handle}").endswith(work_folder._PACKED):
            raise Stop
        fsync(handle)

    patch.setattr(os, "fsync", stopping)
    return contextlib.nullcontext()


STOPS = {
    "in the first batch": (stop_in_call(1), 5),
    "in a view of the first batch": (stop_in_call(2), 5),
    "in the third batch": (stop_in_call(5), 3),
    "in a view of the last batch": (stop_in_call(10), 1),
    "when a batch is added": (stop_in(work_folder.WorkFolder, "add", after=True), 4),
    "before it is packed": (stop_in(work_folder.WorkFolder, "pack"), 0),
    "while it is packed": (savez_halfway, 0),
    "before it has its name": (fsync_of_the_file, 0),
    "when its progress is brought to the disk": (stop_in(os, "fsync"), 5),
    "when its progress gets its name": (stop_in(os, "replace"), 5),
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What an extraction needs but its file, and the file's bytes where it is not interrupted."""
    root = tmp_path_factory.mktemp("uninterrupted")
    options = {"views": 1, "batch_size": BATCH}
    where = STOPPABLE, str(make_images(root / "images"))
    extract(*where, root / "whole.npz", QUICK, **options)
    return where, options, (root / "whole.npz").read_bytes()


@pytest.mark.parametrize("where", STOPS)
def test_an_interrupted_extraction_goes_on(uninterrupted, tmp_path, monkeypatch, where):
    (stop, batches_left), (of, options, whole) = STOPS[where], uninterrupted
    file = tmp_path / "out.npz"
    with monkeypatch.context() as patch, stop(patch), pytest.raises(Stop):
        extract(*of, file, QUICK, **options)
    calls = []
    monkeypatch.setattr(
        grid_extractor, "grid_or_stop", lambda x: (calls.append(len(x)), grid(x))[1]
    )
    extract(*of, file, QUICK, **options)
    assert file.read_bytes() == whole
    assert len(calls) == 2 * batches_left
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_interrupted_while_the_folder_is_removed(uninterrupted, tmp_path, monkeypatch):
    """The file is there; without it, the same command writes it again."""
    of, options, whole = uninterrupted
    file = tmp_path / "out.npz"
    stop = stop_in(pathlib.Path, "unlink", after=True)
    with monkeypatch.context() as patch, stop(patch), pytest.raises(Stop):
        extract(*of, file, QUICK, **options)
    assert file.read_bytes() == whole
    file.unlink()
    extract(*of, file, QUICK, **options)
    assert file.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_a_killed_process_is_gone_on_from(start, images, tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(
        "import os, signal\n"
        "from pad_jax.extractors import work_folder\n"
        "calls = []\n"
        "def colours(images):\n"
        "    if 'KILLED_IN_CALL' in os.environ:\n"
        "        work_folder._SAVE_SECONDS = 0\n"
        "        if len(calls) == int(os.environ['KILLED_IN_CALL']):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "    calls.append(len(images))\n"
        "    return images.mean((1, 2))\n"
    )
    program = (
        "from pad_jax.extractors import ExtractorSpec\n"
        "from pad_jax.extractors.extraction import extract\n"
        "from pad_jax.settings import Settings\n"
        f"extract(ExtractorSpec('deadly:colours', image_size={SIZE}), {str(images)!r}, 'out.npz',\n"
        f"        Settings(), batch_size={BATCH})\n"
    )
    monkeypatch.setenv("KILLED_IN_CALL", "3")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=120)
    assert done.returncode == -signal.SIGKILL
    monkeypatch.delenv("KILLED_IN_CALL")
    monkeypatch.syspath_prepend(tmp_path)
    spec = ExtractorSpec("deadly:colours", image_size=SIZE)
    file = start(spec=spec)
    import deadly

    assert deadly.calls == [3, 2]  # the fourth batch and the last
    assert file.read_bytes() == start(spec=spec, output="whole.npz").read_bytes()


@pytest.fixture
def half_done(start, tmp_path, monkeypatch):
    """The folder of an extraction that was interrupted in its third batch."""
    with monkeypatch.context() as patch, stop_in_call(3)(patch), pytest.raises(Stop):
        start(spec=STOPPABLE)
    return tmp_path / "out.npz.partial"


def test_half_done_work_of_another_command_is_refused(half_done, start, images, refused):
    for message, options in (
        ("--views was 0 and is now 1", {"views": 1}),
        ("--dtype was 'float16' and is now 'float32'", {"dtype": "float32"}),
        ("--extractor was '.*:grid_or_stop' and is now '.*:grid'", {"spec": SPEC}),
        ("--image_size was 16 and is now 8", {"spec": ExtractorSpec(STOPPABLE.name, "", 8)}),
    ):
        with pytest.raises(
            InputError, match=f"out.npz.partial has .*{message}.*; remove"
        ) as caught:
            start(**{"spec": STOPPABLE} | options)
        assert "\n" not in str(caught.value)
    (images / "g.png").write_bytes((images / "f.png").read_bytes())
    refused("the number of images was 18 and is now 19; the names or", start, spec=STOPPABLE)
    (images / "f.png").unlink()
    refused(r"\(the names or sizes of the files changed\)", start, spec=STOPPABLE)
    data = (images / "g.png").read_bytes()
    (images / "f.png").write_bytes(data + b"more")
    (images / "g.png").unlink()
    refused(r"\(the names or sizes of the files changed\)", start, spec=STOPPABLE)
    (images / "f.png").write_bytes(data)
    start(spec=STOPPABLE)


def test_views_of_other_settings_are_refused(start, monkeypatch, refused):
    options = {"spec": STOPPABLE, "views": 1}
    with monkeypatch.context() as patch, stop_in_call(3)(patch), pytest.raises(Stop):
        start(settings=QUICK, **options)
    other = Settings(QUICK[CropSettings], RunSettings(seed=2))
    refused("--config.seed was 0 and is now 2", start, settings=other, **options)
    refused("--config.augmentation was {.*jitter", start, **options)


@pytest.mark.parametrize("name", ["features.npy", "labels.npy", "progress.json"])
def test_a_damaged_folder_is_refused(half_done, start, name, refused):
    (half_done / name).write_bytes((half_done / name).read_bytes()[:70])
    refused("out.npz.partial is damaged .*; remove it, or", start, spec=STOPPABLE)


def test_what_the_user_has_in_the_folder_stays(half_done, start):
    (half_done / "notes.txt").write_text("mine")
    start(spec=STOPPABLE)
    assert [path.name for path in half_done.iterdir()] == ["notes.txt"]


def test_strict_stops_at_an_image_that_cannot_be_decoded(half_done, start, tmp_path, refused):
    strict = Settings(DatasetSettings(strict=True))
    refused("cannot decode .*cat/2.png.*strict=False", start, settings=strict, output="other.npz")
    assert not (tmp_path / "other.npz.partial").exists()
    # One that an earlier call has left out.
    refused("cannot decode cat/2.png", start, spec=STOPPABLE, settings=strict)


def test_a_disk_that_is_full(start, tmp_path, monkeypatch, refused):
    usage = shutil.disk_usage(tmp_path)._replace(free=18 * 48 * 2 * 2 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    refused("out.npz needs 0.0 GiB while it is made", start)
    assert not (tmp_path / "out.npz.partial").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=usage.free + 1))
    start()
