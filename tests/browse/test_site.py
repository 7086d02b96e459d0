"""The files of the site: data as scripts, packs of pictures, what a second run keeps."""

import base64
import io
import json
import logging
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pad_jax import browse
from pad_jax import config as configs
from pad_jax.browse import thumbnails
from pad_jax.modes.base import Call
from pad_jax.modes.opening import open_call
from tests.support.piles import pile

_GROUP = [0, 0, 0, 1, 1, -1]
_NAMES = [
    "a.png",
    "b.png",
    "c.png",
    "d & </script>.png".replace("/", "\u2215"),
    b"e-\xe9.png",
    "f.png",
]


@pytest.fixture
def collection(tmp_path):
    return pile(tmp_path, _NAMES, _GROUP, [0] * 6)


def _value(file):
    call = re.fullmatch(r"Pad\.receive\(\"[\w-]+\",(.*)\);\n", file.read_text("ascii"), re.DOTALL)
    return json.loads(call[1])


def _site(index):
    (site,) = index.parent.glob("site-*")
    return site


def _pictures(index):
    (folder,) = index.parent.glob("pictures-*")
    lines = [line for file in sorted(folder.iterdir()) for line in file.read_text().splitlines()]
    return [json.loads(line.rstrip(",")) for line in lines if line.startswith("[")]


def test_the_page_names_only_files_that_are_there(collection):
    index = browse.write(collection, "the next command")
    assert index == collection.folder / "browse" / "index.html"
    page = index.read_text("utf-8")
    files = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(files) > 10
    assert all((index.parent / file).is_file() for file in files if file != "data:,")
    assert not re.search(r"https?://", page)
    for file in _site(index).iterdir():
        assert not re.search(r"https?://", file.read_text("utf-8")), file


def test_data_are_ascii_and_names_come_back(collection):
    index = browse.write(collection, "next")
    facts, names = (_value(_site(index) / f"{name}.js") for name in ("catalogue", "names-0"))
    rows = np.frombuffer(base64.b64decode(_value(_site(index) / "rows.js")["rows"]), "<u4")
    assert names == [collection.names[row] for row in rows]
    assert facts["base"] == (collection.folder / "images").as_uri() + "/"
    assert sorted(facts["sizes"]) == [2, 3]
    assert (facts["command"], facts["images"]) == ("next", 6)


def test_files_elsewhere_are_named_by_their_uri(collection):
    paths = [collection.path(i) for i in range(6)]
    collection.picture = lambda i: None
    collection.path = lambda i: None if i == 1 else paths[i]
    collection.names[0] = "another name"
    index = browse.write(collection, "next")
    names = _value(_site(index) / "names-0.js")
    assert ["another name", paths[0].as_uri()] in names
    assert ["b.png", None] in names
    assert ["c.png", paths[2].as_uri()] in names


def test_pictures_are_small_and_in_the_order_of_the_places(collection):
    picture = collection.picture
    collection.picture = lambda i: picture(i).repeat(4, 0).repeat(4, 1)
    pictures = _pictures(browse.write(collection, "next"))
    assert len(pictures) == 6
    for _, data in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert (image.format, image.size) == ("WEBP", (120, 160))


def test_a_tiny_picture_is_kept_to_the_bit(collection):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 1), np.uint8)
    collection.picture = lambda i: pixels
    (_, data), *_ = _pictures(browse.write(collection, "next"))
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    np.testing.assert_array_equal(shown, np.broadcast_to(pixels, (20, 30, 3)))


def _count(collection):
    """Counts from now on the pictures that are asked for, by row."""
    asked, picture = [], collection.picture

    def counted(i):
        asked.append(i)
        return picture(i)

    collection.picture = counted
    return asked


def test_a_second_run_makes_only_pictures_of_files_that_changed(collection, monkeypatch):
    monkeypatch.setattr(thumbnails, "PER_PACK", 2)
    first = _pictures(browse.write(collection, "next"))
    asked = _count(collection)
    index = browse.write(collection, "next")
    assert not asked
    assert _pictures(index) == first

    changed = collection.path(2)
    Image.new("RGB", (90, 120), "red").save(changed, "png")
    os.utime(changed, (1, 1))
    collection.groups.labels_ = np.array([1, 1, 0, 0, 0, -1])  # other groups: another order
    again = _pictures(browse.write(collection, "next"))
    assert asked == [2]
    assert len({key for key, _ in again} & {key for key, _ in first}) == 5
    assert len(list(index.parent.glob("site-*"))) == 1


def test_a_run_that_was_stopped_goes_on(collection, monkeypatch):
    monkeypatch.setattr(thumbnails, "PER_PACK", 1)
    picture = collection.picture
    asked = _count(collection)
    good = collection.picture

    def stopped(i):
        if len(asked) == 3:
            raise KeyboardInterrupt
        return good(i)

    collection.picture = stopped
    with pytest.raises(KeyboardInterrupt):
        browse.write(collection, "next")
    assert not (collection.folder / "browse" / "index.html").exists()
    done = set(asked)
    collection.picture = picture
    asked = _count(collection)
    index = browse.write(collection, "next")
    assert not done & set(asked)
    assert len(_pictures(index)) == 6
    assert not list(index.parent.rglob("*.part"))


def test_an_interruption_does_not_wait_for_all_that_is_planned(collection, monkeypatch):
    monkeypatch.setattr(thumbnails, "PER_PACK", 1)
    monkeypatch.setattr(thumbnails, "_MAX_THREADS", 2)
    begun = []

    def slow(i):
        begun.append(i)
        if len(begun) == 1:
            raise KeyboardInterrupt
        time.sleep(0.2)

    collection.picture = slow
    with pytest.raises(KeyboardInterrupt):
        browse.write(collection, "next")
    assert len(begun) <= 4


def test_images_that_are_gone_are_grey_and_counted_and_seen_when_they_are_back(collection, caplog):
    away = collection.path(1).rename(collection.folder / "away.png")
    picture = collection.picture
    collection.picture = lambda i: None if i == 1 else picture(i)
    with caplog.at_level(logging.WARNING, "pad_jax"):
        index = browse.write(collection, "next")
    assert [data for _, data in _pictures(index)].count("") == 1
    assert _value(_site(index) / "catalogue.js")["looks"][1] is None
    assert "1 of 6 images" in caplog.text
    away.rename(collection.path(1))
    collection.picture = picture
    asked = _count(collection)
    assert "" not in [data for _, data in _pictures(browse.write(collection, "next"))]
    assert asked == [1]


def test_names_are_kept_by_the_images_not_by_their_groups(collection):
    before = _value(_site(browse.write(collection, "next")) / "catalogue.js")
    collection.groups.labels_ = np.array([0, 0, 0, 0, 0, 0])
    after = _value(_site(browse.write(collection, "next")) / "catalogue.js")
    assert before["sizes"] != after["sizes"]
    assert before["fingerprint"] == after["fingerprint"]
    assert before["looks"] == after["looks"]
    pixels = np.zeros((3, 3, 3), np.uint8)
    Image.fromarray(pixels).save(collection.path(2))  # another image of the same name
    changed = _value(_site(browse.write(collection, "next")) / "catalogue.js")
    assert changed["fingerprint"] == before["fingerprint"]
    differ = [a != b for a, b in zip(changed["looks"], before["looks"], strict=True)]
    assert differ == [False, False, True, False, False, False]
    collection.names[0] = "other.png"
    other = _value(_site(browse.write(collection, "next")) / "catalogue.js")
    assert other["fingerprint"] != before["fingerprint"]


def test_rows_without_names_are_known_by_their_embeddings(tmp_path):
    looks = []
    for seed in range(2):
        rows = np.random.default_rng(seed).standard_normal((20, 4)).astype(np.float32)
        np.save(tmp_path / f"{seed}.npy", rows)
        made = Call(configs.default(), "config.py", {}, None, features=tmp_path / f"{seed}.npy")
        index = browse.write(open_call(made), "next")
        looks.append(_value(_site(index) / "catalogue.js")["looks"])
    assert [len(each) for each in looks] == [20, 20]
    assert not set(looks[0]) & set(looks[1])


def test_a_picture_that_was_not_at_hand_is_made_when_it_is(collection, caplog):
    """As after pillow-heif was installed: the files have not changed."""
    picture = collection.picture
    collection.picture = lambda i: None if i == 1 else picture(i)
    for _ in range(2):  # it is said each time
        caplog.clear()
        with caplog.at_level(logging.WARNING, "pad_jax"):
            browse.write(collection, "next")
        assert "1 of 6 images" in caplog.text
    collection.picture = picture
    asked = _count(collection)
    caplog.clear()
    index = browse.write(collection, "next")
    assert "" not in [data for _, data in _pictures(index)]
    assert (asked, caplog.text) == ([1], "")
    (folder,) = index.parent.glob("pictures-*")
    assert {file.suffix for file in folder.iterdir()} == {".js"}


def test_two_at_once(collection):
    """Of one run, as from two terminals."""
    picture = collection.picture
    collection.picture = lambda i: None if i == 1 else picture(i)
    rows = np.arange(6)
    for _ in range(5):
        with ThreadPoolExecutor() as pool:
            both = [
                pool.submit(thumbnails.write, collection, rows, collection.folder) for _ in "ab"
            ]
            folder, _ = (one.result() for one in both)
    assert [file.name for file in sorted(folder.iterdir())] == ["0.grey", "0.js"]


def test_packs_of_images_without_files_are_not_made_again(collection, monkeypatch):
    collection.path, collection.picture = (lambda i: None), (lambda i: None)
    folder = thumbnails.write(collection, np.arange(6), collection.folder)
    asked = _count(collection)
    assert thumbnails.write(collection, np.arange(6), collection.folder) == folder
    assert asked == []
