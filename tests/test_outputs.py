"""Files that commands write."""

import csv
import os

import pytest

from pad_jax import outputs
from pad_jax.errors import InputError


def test_whole_or_not_at_all(tmp_path):
    file = tmp_path / "new/a.txt"
    with outputs.whole(file) as part:
        part.write_text("1")
        assert not file.exists()
    assert file.read_text() == "1"

    def fail():
        with outputs.whole(file) as part:
            part.write_text("2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert file.read_text() == "1"
    assert os.listdir(file.parent) == ["a.txt"]


def test_a_file_is_on_the_disk_before_it_is_in_its_place(tmp_path, monkeypatch):
    file, synced = tmp_path / "a.txt", []

    def fsync(handle):
        assert not file.exists()
        synced.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    with outputs.whole(file) as part:
        part.write_text("1")
    assert synced == [file.stat().st_ino]


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"file/a.txt cannot be written \(.*/file is no folder\)"),
        outputs.whole(tmp_path / "file/a.txt"),
    ):
        pass


def test_what_is_there_is_not_overwritten(tmp_path):
    outputs.check_new(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    outputs.check_new(tmp_path / "empty", folder=True)
    with pytest.raises(InputError, match="--output=.*empty exists"):  # where a file is to be
        outputs.check_new(tmp_path / "empty")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("link", "."):
        with pytest.raises(InputError, match="--output=.* exists; give another name"):
            outputs.check_new(tmp_path / name)


def test_a_table_replaces_its_own_kind_alone(tmp_path):
    path = tmp_path / "t.csv"
    names = [os.fsdecode(b"\xff.png"), "a\nb.png", "-x.png", 'c"d,e.png']
    outputs.write_csv(path, ("image", "n"), [[name, 1] for name in names])
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert [row["image"] for row in csv.DictReader(file)] == names
    outputs.write_csv(path, ("image", "n"), [["b", 2]])
    assert path.read_text().splitlines() == ["image,n", "b,2"]
    with pytest.raises(InputError, match="t.csv exists and is not as this command"):
        outputs.write_csv(path, ("image",), [["b"]])
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="t.csv exists and is not as this command"):
        outputs.write_csv(path, ("image",), [["b"]])
