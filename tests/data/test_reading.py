"""What the system does not give stops a run; only what a decoder says makes an image unreadable."""

import os
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from pad_jax.data import reading
from pad_jax.data.decoding import Decoder, Decoding, UnreadableImage, decode
from pad_jax.data.folder import FolderSource
from pad_jax.data.images import StreamedImages, prepare
from pad_jax.errors import InputError
from tests.support.image_files import save
from tests.support.rights import python_without_powers

OPTIONS = {"image_size": 8, "channels": 1, "strict": False, "max_resident_bytes": 1e9}
COUNT = 40


@pytest.fixture
def pile(tmp_path):
    """40 images in two folders."""
    for i in range(COUNT):
        save(
            tmp_path / f"pile/{'cat' if i % 2 else 'dog'}/{i:02}.png", np.full((8, 8), i, np.uint8)
        )
    return tmp_path / "pile"


SHORT = """
import logging, resource, sys, threading
from pad_jax.data.decoding import decode
from pad_jax.data.folder import FolderSource
from pad_jax.data.images import prepare
from pad_jax.errors import InputError

logging.basicConfig(level=logging.WARNING)
source = FolderSource(sys.argv[1], "train")
limit = resource.getrlimit(resource.RLIMIT_NOFILE)

def told(read):
    try:
        print(read())
    except InputError as error:
        print(type(error).__name__, error)

def read():
    return len(prepare(source, image_size=8, channels=1, strict=False, max_resident_bytes=1e9))

told(read)  # whatever has to be loaded is loaded
resource.setrlimit(resource.RLIMIT_NOFILE, (0, limit[1]))
told(read)
# Another program ends in the meantime.
back = threading.Timer(0.3, resource.setrlimit, (resource.RLIMIT_NOFILE, limit))
back.start()
told(read)
back.join()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 50 * 2**20, -1))
told(lambda: decode(sys.argv[2]).shape)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these limits are Linux's")
def test_short_of_file_handles_or_memory_images_are_read_later_or_the_run_stops(pile, tmp_path):
    save(tmp_path / "large.png", np.zeros((6000, 10000, 3), np.uint8))  # 180 MB
    command = [sys.executable, "-c", SHORT, pile, tmp_path / "large.png"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert "Skipped" not in found.stderr
    before, never, later, memory = found.stdout.splitlines()
    assert before == later == str(COUNT)
    assert f"NotRead {pile}/cat/01.png cannot be read (Too many open files)" in never
    assert "ulimit -n" in never
    assert "large.png cannot be read (Cannot allocate memory)" in memory
    assert "lower dataset.max_megapixels" in memory


@pytest.mark.skipif(not pathlib.Path("/proc/self/mem").exists(), reason="reading it is EIO")
def test_an_error_of_the_disk_stops(pile):
    (pile / "cat/00.png").symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match=r"cat/00.png cannot be .*Input/output error.*disk"):
        prepare(FolderSource(str(pile), "train"), **OPTIONS)


RIGHTS = """
import logging, pathlib, sys
from pad_jax import config, data
from pad_jax.errors import InputError
logging.basicConfig(level=logging.WARNING)
for root, name in [line.split() for line in sys.argv[1:]]:
    for strict in (False, True):
        settings = config.default()
        settings.dataset.update(name=name, root=root, test_split="", image_size=8, strict=strict)
        try:
            print(len(data.load(config.read(settings)).train))
        except Exception as error:
            print("InputError" if isinstance(error, InputError) else repr(error), error)
"""


def test_what_this_user_may_not_read_stops(pile, tmp_path):
    closed = [pile / f"cat/{i:02}.png" for i in (3, 5, 7)]
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(f"pile/dog/{i:02}.png" for i in range(0, COUNT, 2)))
    folder = tmp_path / "half"
    save(folder / "open/a.png", np.zeros((8, 8), np.uint8))
    save(folder / "shut/b.png", np.zeros((8, 8), np.uint8))
    (tmp_path / "shards/shut").mkdir(parents=True)
    (tmp_path / "shards/train.parquet").write_bytes(b"")
    (folder / "shut").chmod(0)
    (tmp_path / "shards/shut").chmod(0)
    for path in (*closed, pile / "dog/02.png", listed):
        path.chmod(0)
    roots = (pile, folder, tmp_path / "shards", listed, folder / "shut/b.png")
    try:
        found = python_without_powers(RIGHTS, *(f"{root} folder" for root in roots))
    finally:
        (folder / "shut").chmod(0o700)
        (tmp_path / "shards/shut").chmod(0o700)
    assert found.returncode == 0, found.stderr
    assert "Skipped" not in found.stderr
    lines = found.stdout.splitlines()
    assert lines[::2] == lines[1::2]  # strict or not
    said = f"{pile}/cat/03.png cannot be read (Permission denied), nor can 3 more of 40 images; let"
    assert said in lines[0]
    assert f"{folder}/shut cannot be read (Permission denied)" in lines[2]
    assert f"{tmp_path}/shards/shut cannot be read (Permission denied)" in lines[4]
    assert f"{listed}" in lines[6]
    assert "Permission denied" in lines[6]
    assert "Permission denied" in lines[8]
    assert len(lines) == 10
    assert all(line.startswith("InputError ") for line in lines)


def test_links_that_lead_nowhere_stop(pile):
    (pile / "dog/x.png").symlink_to("x.png")
    with pytest.raises(InputError, match=r"dog/x.png cannot be read.*symbolic links.*take it out"):
        prepare(FolderSource(str(pile), "train"), **OPTIONS)


def test_a_pipe_or_a_device_is_no_image_and_keeps_nobody_waiting(pile, caplog):
    os.mkfifo(pile / "cat/00.png")
    (pile / "cat/02.png").symlink_to("/dev/zero")
    assert len(prepare(FolderSource(str(pile), "train"), **OPTIONS)) == COUNT
    assert "cat/00.png: it is a pipe or a device" in caplog.text
    assert "Skipped 2 of 42" in caplog.text


def test_a_decoder_that_asks_for_more_memory_than_any_image_takes_reads_none(tmp_path, monkeypatch):
    def asks(stream, decoding, note):
        raise MemoryError

    monkeypatch.setattr(reading, "PAUSES", ())
    monkeypatch.setattr("pad_jax.data.decoding._image", asks)  # such a file is not at hand
    save(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(UnreadableImage, match="asks for more memory than the largest image takes"):
        decode(tmp_path / "a.png")
    with pytest.raises(InputError, match="Cannot allocate memory"):
        decode(tmp_path / "a.png", Decoding(max_megapixels=1e12))


@pytest.fixture
def streamed(pile):
    images = prepare(FolderSource(str(pile), "train"), **OPTIONS | {"max_resident_bytes": 0})
    assert isinstance(images, StreamedImages)
    return images


@pytest.mark.parametrize("content", [None, b"no image"])
def test_a_stream_that_meets_a_lost_or_damaged_file_stops(streamed, content):
    path = streamed.path(25)
    whole = path.read_bytes()
    batches = streamed.batches(np.arange(COUNT).reshape(10, 4))
    next(batches)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{path}.* give the same command again"):
        list(streamed.batches(np.arange(COUNT).reshape(10, 4)))
    path.write_bytes(whole)
    assert len(list(streamed.batches(np.arange(COUNT).reshape(10, 4)))) == 10


def test_a_file_that_comes_back_in_time_is_waited_for(streamed):
    path = streamed.path(7)
    away = path.rename(path.with_name("away"))
    threading.Timer(0.3, lambda: away.rename(path)).start()
    begun = time.monotonic()
    assert streamed.picture(7)[0, 0, 0] == int(path.stem)
    assert time.monotonic() - begun < sum(reading.PAUSES)


def test_what_a_decoder_swallows_is_not_lost(tmp_path, monkeypatch):
    save(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    decoder = Decoder(Decoding())
    refused = reading.Opened(tmp_path / "a.png")
    refused._raw.refused = OSError(5, "Input/output error")
    monkeypatch.setattr("pad_jax.data.decoding.Opened", lambda file: refused)
    monkeypatch.setattr(reading, "PAUSES", ())
    with pytest.raises(InputError, match="Input/output error"):
        decoder(tmp_path / "a.png", "a.png")
