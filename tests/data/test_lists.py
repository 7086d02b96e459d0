"""Text and CSV files of images' paths."""

import logging
import os

import numpy as np
import pytest

from pad_jax import data
from pad_jax.data import csv_files, feature_files
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.settings import Settings
from tests.support.image_files import save


@pytest.fixture
def pile(tmp_path):
    for i, name in enumerate(("cat/a.png", "cat/b.png", "dog/c.png", "elsewhere/d.png")):
        save(tmp_path / name, np.full((8, 8), 10 * i, np.uint8))
    return tmp_path


def load(root, **fields):
    fields = {"name": "folder", "test_split": "", "image_size": 8, "channels": 1} | fields
    return data.load(Settings(DatasetSettings(root=str(root), **fields)))


@pytest.mark.parametrize("name", ["folder", "list"])
def test_a_path_a_line(pile, name, caplog, monkeypatch):
    (pile / "lists").mkdir()
    lines = ["../cat/b.png", str(pile / "dog/c.png"), "", "~/cat/a.png"]
    (pile / "lists/files.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("HOME", str(pile))
    with caplog.at_level(logging.INFO):
        images = load(pile / "lists/files.txt", name=name).train
    assert images.names == [line for line in lines if line]  # in its order
    assert images.array[:, 0, 0, 0].tolist() == [10, 20, 0]
    assert images.path(1) == pile / "dog/c.png"
    assert images.labels.tolist() == [-1] * 3
    assert "files.txt, train: 3 images, no classes" in caplog.text


def test_a_path_and_a_class_a_line(pile):
    (pile / "files.txt").write_bytes(
        b"\xef\xbb\xbfcat/a.png\tcat\r\ndog/c.png\tdog\r\nelsewhere/d.png\r\n"
    )
    images = load(pile / "files.txt").train
    assert images.labels.tolist() == [0, 1, -1]
    assert images.class_names == ("cat", "dog")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["file_name,class,split", "Split,image,label", ""])
def test_columns(pile, mark, header):
    rows = [
        {"image": "cat/a.png", "label": "cat", "split": "train"},
        {"image": "dog/c.png", "label": "dog", "split": "Train"},
        {"image": "elsewhere/d.png", "label": "dog", "split": "test"},
    ]
    order = {
        "f": ("image", "label", "split"),
        "S": ("split", "image", "label"),
        "": ("image", "label"),
    }
    keys = order[header[:1]]
    lines = [header.replace(",", mark)] * bool(header) + [
        mark.join(r[k] for k in keys) for r in rows
    ]
    (pile / "list.csv").write_text("\n".join(lines) + "\n")
    dataset = load(pile / "list.csv", test_split="test" if header else "")
    assert (
        dataset.train.names == ["cat/a.png", "dog/c.png", "elsewhere/d.png"][: 2 if header else 3]
    )
    assert dataset.train.class_names == ("cat", "dog")
    if header:
        assert dataset.test.names == ["elsewhere/d.png"]
        assert dataset.test.labels.tolist() == [1]  # as in training, where test has no cats
        with pytest.raises(InputError, match="no split 'val'; it has: Train, test, train"):
            load(pile / "list.csv", test_split="val")


def test_a_list_for_each_split(pile):
    (pile / "lists").mkdir()
    (pile / "lists/TRAIN.csv").write_text("image,label\n../cat/a.png,cat\n../dog/c.png,dog\n")
    (pile / "lists/test.txt").write_text("../elsewhere/d.png\tdog\n")
    dataset = load(pile / "lists", name="list", test_split="test")
    assert dataset.train.labels.tolist() == [0, 1]
    assert dataset.test.labels.tolist() == [1]
    (pile / "lists/test.csv").write_text("../cat/a.png\n")
    with pytest.raises(InputError, match="2 lists of split 'test'"):
        load(pile / "lists", name="list", test_split="test")
    (pile / "lists/test.txt").unlink()
    with pytest.raises(InputError, match="test_split='test'"):  # an image of training
        load(pile / "lists", name="list", test_split="test")
    with pytest.raises(InputError, match="no lists of split 'val'; give it val.csv or val.txt"):
        load(pile / "lists", name="list", test_split="val")


@pytest.mark.parametrize(
    "name", [b"caf\xe9.png", b"two\nlines.png", b"-rf.png", b'a,b".png', b"~x.png", b"r\rn\r\n.png"]
)
def test_names_may_be_any_bytes(pile, name):
    os.rename(pile / "cat/a.png", os.path.join(os.fsencode(pile), name))
    quoted = b'"' + name.replace(b'"', b'""') + b'"'
    (pile / "list.csv").write_bytes(b"image\n" + quoted + b"\n")
    assert os.fsencode(load(pile / "list.csv").train.names[0]) == name
    if b"\n" not in name:
        (pile / "list.txt").write_bytes(name + b"\n")
        assert os.fsencode(load(pile / "list.txt").train.names[0]) == name


def test_labels_of_folders_of_a_file_or_none(pile):
    (pile / "list.csv").write_text("image,label\ncat/a.png,x\ncat/b.png,y\ndog/c.png,z\n")
    (pile / "own.csv").write_text("image,label\ncat/a.png,y\ndog/c.png,x\n")
    for labels, expected in (
        ("folder", [0, 0, 1]),
        ("none", [-1, -1, -1]),
        (str(pile / "own.csv"), [1, -1, 0]),
        ("", [0, 1, 2]),
    ):
        assert load(pile / "list.csv", labels=labels).train.labels.tolist() == expected, labels


def test_files_that_are_missing_stop_with_their_number(pile):
    (pile / "list.txt").write_text("cat/a.png\ncat/none.png\ncat/b.png\ndog/none.png\n")
    with pytest.raises(InputError, match=r"cat/none.png cannot be.* nor can 1 more of 4 images"):
        load(pile / "list.txt")
    (pile / "list.txt").write_text("none/a.png\nnone/b.png\n")
    with pytest.raises(InputError, match=f"'none/a.png' is not there.* begin in {pile}"):
        load(pile / "list.txt")


def test_what_is_listed_twice_is_said(pile, caplog):
    (pile / "list.txt").write_text("cat/a.png\ncat/b.png\ncat/a.png\n")
    with caplog.at_level(logging.INFO):
        load(pile / "list.txt")
    assert "3 images, no classes; 1 of them listed before" in caplog.text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.txt", b"", "lists no images"),
        ("a.csv", b"", "lists no images"),
        ("a.txt", b"\0\1", "is no text"),
        ("a.csv", b"name,label\na.png,cat\n", "has the columns name, label; call the one"),
        ("a.csv", b"a,b,c\n1,2,3\n", "has the columns a, b, c; call the one"),
        ("a.csv", b"image,label\ncat/a.png,cat\ncat/b.png\n", "row 2 has 1 columns; make it 2"),
        ("a.csv", b'image\n"cat/a.png\n', "cannot be read .unexpected end"),
        ("a.csv", b"image\ncat/a,b.png\n", "row 1 has 2 columns, and the first line 1; put names"),
        ("a.doc", b"", "is not a folder; give .* a list of them"),
    ],
)
def test_bad_lists(pile, file, content, message):
    (pile / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load(pile / file)


def test_a_list_is_one_split_unless_it_says_otherwise(pile):
    (pile / "list.txt").write_text("cat/a.png\n")
    with pytest.raises(InputError, match="is one split, train; for 'test' give it a column split"):
        load(pile / "list.txt", test_split="test")
    with pytest.raises(InputError, match="dataset.root is not set"):
        load("", name="list")
    with pytest.raises(InputError, match="does not exist"):
        load(pile / "none.txt", name="list")


def test_the_fingerprint_is_that_of_the_names(pile):
    (pile / "a.txt").write_text("cat/a.png\ncat/b.png\n")
    before = load(pile / "a.txt").train.fingerprint
    (pile / "a.csv").write_text("image,label\ncat/a.png,x\ncat/b.png,y\n")
    assert load(pile / "a.csv").train.fingerprint == before
    (pile / "a.txt").write_text("cat/b.png\ncat/a.png\n")
    assert load(pile / "a.txt").train.fingerprint != before


def test_a_table_without_names_of_columns(tmp_path):
    (tmp_path / "a.csv").write_text("x.png,cat\ny.png, dog \n")
    assert csv_files.read(tmp_path / "a.csv", "it") == (["x.png", "y.png"], ["cat", "dog"], None)
    assert not csv_files.has_names(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "text",
    [
        "a,b.png\tcat\nc.png\tdog\n",
        "\nimage;label\na,b.png;cat\nc.png;dog\n",
        'image,label\n"a,b.png",cat\nc.png,dog\n',
        "\n;;\nimage;label\na,b.png;cat\nc.png;dog\n",
    ],
)
def test_what_divides_columns(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    table = csv_files.read(tmp_path / "x.csv", "x")
    assert (table.images, table.labels) == (["a,b.png", "c.png"], ["cat", "dog"])


@pytest.mark.parametrize(
    ("text", "images", "labels"),
    [
        ("x.jpg,cat;indoor;night\ny.jpg,dog\n", ["x.jpg", "y.jpg"], ["cat;indoor;night", "dog"]),
        ("image,label\nx.jpg,cat\ny.jpg,dog,blurred\n", ["x.jpg", "y.jpg"], ["cat", "dog"]),
        ("image,label,my\tnote\nx.jpg,cat,\n", ["x.jpg"], ["cat"]),
    ],
)
def test_marks_in_cells(tmp_path, text, images, labels):
    (tmp_path / "x.csv").write_text(text)
    table = csv_files.read(tmp_path / "x.csv", "x")
    assert (table.images, table.labels) == (images, labels)


def test_a_table_of_paths_that_is_none_is_one_line(tmp_path):
    (tmp_path / "x.csv").write_text('image\n"a.png\n')
    with pytest.raises(InputError, match="dataset.paths=.*x.csv cannot be read .unexpected end"):
        feature_files.read_paths(tmp_path / "x.csv")
