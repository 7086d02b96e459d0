"""Preparing that is cut off, goes on, or may not; and folders that were damaged since."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest

from pad_jax import config as configs
from pad_jax import data, locks
from pad_jax.data.prepared import index as indices
from pad_jax.data.prepared import making
from pad_jax.errors import InputError
from tests.data.prepared.conftest import load, prepare

FIELDS = {
    "dataset__name": "tests.support.slow_images:SlowImages",
    "dataset__image_size": 4,
    "dataset__test_split": "",
}
SLOW = [
    *(sys.executable, "-m", "pad_jax", "--mode=prepare", "--config=digits"),
    *(f"--config.{name.replace('__', '.')}={value}" for name, value in FIELDS.items()),
]


def test_killed_in_the_middle_it_goes_on_and_ends_the_same(tmp_path, caplog):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = subprocess.Popen([*SLOW, f"--output={killed}"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(killed.glob("0-*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / indices.FILE).exists()
    with pytest.raises(InputError, match="not prepared to its end; give the command"):
        load(killed, test_split="", image_size=4)
    settings = configs.read(configs.default(**FIELDS))
    with caplog.at_level("INFO"):
        making.prepare(settings, data.sources(settings), killed)
    assert "killed: goes on after" in caplog.text
    making.prepare(settings, data.sources(settings), whole)
    names = sorted(path.name for path in whole.iterdir())
    assert names == sorted(path.name for path in killed.iterdir())
    assert len(names) == 5  # three shards, the index and the lock
    for name in names:
        assert (whole / name).read_bytes() == (killed / name).read_bytes()


def test_a_signal_ends_it_in_one_line(tmp_path):
    process = subprocess.Popen([*SLOW, f"--output={tmp_path}"], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("0-*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.terminate()
    _, said = process.communicate(timeout=60)  # till what looks after semaphores has ended, too
    assert process.returncode == 128 + signal.SIGTERM
    assert said.splitlines() == [
        "pad_jax: stopped; a run goes on from what was saved when its command is given again"
    ]


def test_a_full_disk_ends_in_one_line_and_nothing_is_lost(photos, tmp_path):
    command = [
        *(sys.executable, "-m", "pad_jax", "--mode=prepare", "--config=folder"),
        *(f"--config.dataset.root={photos}", f"--output={tmp_path / 'out'}"),
    ]
    limited = ["bash", "-c", 'ulimit -f 8; "$@"', "bash", *command]
    full = subprocess.run(limited, capture_output=True, text=True)
    assert full.returncode == 2
    *_, line = full.stderr.splitlines()
    assert line.startswith("pad_jax: cannot write to ")
    assert "File too large" in line
    assert "goes on from there" in line
    assert "Traceback" not in full.stderr
    assert not list((tmp_path / "out").glob("*.part"))
    index = prepare(photos, tmp_path / "out", image_size=32, channels=3, test_split="")
    assert len(index.splits["train"].names) == 7


def test_what_will_find_no_room_is_said_after_the_first_shard(tmp_path, monkeypatch):
    settings = configs.read(configs.default(**FIELDS))
    sources, output = data.sources(settings), tmp_path / "out"
    with monkeypatch.context() as patch:
        full = types.SimpleNamespace(free=0)
        patch.setattr("shutil.disk_usage", lambda path: full)
        with pytest.raises(
            InputError, match=r"out has 0 GiB left and \d+ images need about .*lower"
        ):
            making.prepare(settings, sources, output)
    kept = list(output.glob("*.array_record"))
    assert 1 <= len(kept) < 3
    assert len(making.prepare(settings, sources, output).splits["train"].names) == 600


def test_what_is_prepared_is_not_prepared_again(photos, made, caplog):
    before = {path: path.stat().st_mtime_ns for path in made.small.iterdir()}
    with caplog.at_level("INFO"):
        index = prepare(photos, made.small, image_size=32, channels=3)
    assert index == made.small_index
    assert "prepared already" in caplog.text
    assert before == {path: path.stat().st_mtime_ns for path in made.small.iterdir()}


def test_what_is_in_use_or_something_else_is_left_alone(photos, made, tmp_path):
    with pytest.raises(InputError, match="has other images, or made in another way"):
        prepare(photos, made.small, image_size=16)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("")
    with pytest.raises(InputError, match="mine exists; give another name"):
        prepare(photos, tmp_path / "mine", image_size=16)
    with pytest.raises(InputError, match="inside of dataset.root"):
        prepare(photos, photos / "prepared", image_size=16)
    (tmp_path / "busy").mkdir()
    with contextlib.ExitStack() as stack:
        locks.take(tmp_path / "busy", stack, "")
        with pytest.raises(InputError, match="another process prepares images in .*busy"):
            prepare(photos, tmp_path / "busy", image_size=16)
    half = {"made": {"image_size": 8}, "splits": {}}
    (tmp_path / "busy/preparing.json").write_text(json.dumps(half))
    with pytest.raises(InputError, match="half-done work.*image_size was 8 and is now 16"):
        prepare(photos, tmp_path / "busy", image_size=16)


def test_strict_and_unsized_sources(photos, tmp_path):
    with pytest.raises(InputError, match="cannot decode .*torn.jpg.*dataset.strict=False"):
        prepare(photos, tmp_path / "strict", image_size=16, strict=True)
    with pytest.raises(InputError, match="image_size is left to choose.*image_size"):
        prepare(photos, tmp_path / "any", max_image_size=64)


def _shard(folder):
    return min(folder.glob("*.array_record"))


def _truncate(folder):
    os.truncate(_shard(folder), 40_000)


def _flip(folder):
    data = bytearray(_shard(folder).read_bytes())
    data[10_000] ^= 255
    _shard(folder).write_bytes(data)


def _edit(folder):
    text = (folder / indices.FILE).read_text()
    (folder / indices.FILE).write_text(text.replace("train/cat/0.png", "train/cat/9.png"))


def _later(folder):
    index = json.loads((folder / indices.FILE).read_text())
    (folder / indices.FILE).write_text(json.dumps(index | {"version": 2}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_truncate, r"array_record is damaged \(it has 40,000 bytes"),
        (lambda folder: _shard(folder).unlink(), r"array_record is damaged \(it is gone"),
        (_flip, r"array_record is damaged \("),
        (_edit, r"prepared.json is damaged \(it was changed"),
        (_later, "it is of version 2, and not of 1"),
        (lambda folder: (folder / indices.FILE).write_text("{"), "no JSON"),
        (lambda folder: (folder / indices.FILE).write_text("[]"), "prepared.json is damaged"),
    ],
)
def test_damage_is_named(made, tmp_path, damage, said):
    folder = shutil.copytree(made.small, tmp_path / "copy")
    damage(folder)
    with pytest.raises(InputError, match=f"{said}.*--mode=prepare"):
        load(folder, image_size=32, channels=3)


def test_a_shard_of_another_folder_is_told_from_its_own(photos, made, tmp_path):
    folder = shutil.copytree(made.small, tmp_path / "copy")
    prepare(photos, tmp_path / "other", image_size=32, channels=3, background="red")
    assert _shard(folder).stat().st_size == _shard(tmp_path / "other").stat().st_size
    shutil.copy(_shard(tmp_path / "other"), _shard(folder))
    with pytest.raises(InputError, match=r"array_record is damaged \(it is of another folder"):
        load(folder, image_size=32, channels=3)
