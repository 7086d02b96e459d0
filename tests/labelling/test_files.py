"""Files of labels: what is read, what is refused in one line, what is written."""

import csv
import os

import numpy as np
import pytest

from pad_jax.collection import Collection
from pad_jax.errors import InputError
from pad_jax.labelling import files
from pad_jax.labelling.naming import ToName
from pad_jax.labelling.spreading import Spread

STRANGE = "caf\udce9.png"  # bytes that are no UTF-8
NAMES = ["a.png", "dogs/b c.png", 'say "hi", you.png', "line\nbreak.png", STRANGE, "same.png"]


@pytest.fixture
def collection(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()

    def path(i):
        return folder / NAMES[i]

    (folder / "same.png").touch()
    (folder / "a.png").touch()
    n = len(NAMES)
    rows = np.eye(n, dtype=np.float32)
    return Collection(rows, NAMES, path, lambda i: None, np.full(n, -1), tmp_path)


def written(folder, text):
    path = folder / "labels.csv"
    path.write_bytes(os.fsencode(text))
    return path


def names_of(given):
    return [given.names[i] if i >= 0 else None for i in given.rows]


@pytest.mark.parametrize(
    "text",
    [
        "image,label\na.png,cat\ndogs/b c.png,big dog\n",
        "a.png,cat\ndogs/b c.png,big dog\n",  # by hand, without a heading
        "\ufeffImage;Label\r\na.png;cat\r\ndogs/b c.png;big dog\r\n",  # as spreadsheets save it
        "image\tlabel\na.png\tcat\n\n dogs/b c.png \t big dog \n",
        "\n;;\nimage;label\na.png;cat\ndogs/b c.png;big dog\n",  # lines of nothing before it
        "group,label,image\n7,cat,a.png\n,big dog,dogs/b c.png\n",
        "file_name,confidence,class\na.png,0.9,cat\ndogs/b c.png,1,big dog\n",
        'image,label\n"a.png","cat"\n"dogs/b c.png","big dog"\na.png,cat\n',  # twice the same
    ],
)
def test_forms_of_one_table(collection, tmp_path, caplog, text):
    given = files.read(written(tmp_path, text), collection)
    assert given.names == ["big dog", "cat"]
    assert names_of(given) == ["cat", "big dog", None, None, None, None]
    assert not caplog.records


def test_a_heading_of_other_words_is_told(collection, tmp_path, caplog):
    given = files.read(written(tmp_path, "bild,art\na.png,cat\n"), collection)
    assert given.names == ["cat"]
    assert "is taken for a heading" in caplog.text


def test_strange_names_as_the_csv_module_writes_them(collection, tmp_path):
    path = tmp_path / "labels.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([("image", "label"), *((name, "x, y") for name in NAMES)])
    assert names_of(files.read(path, collection)) == ["x, y"] * len(NAMES)


def test_images_by_path(collection, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "images")
    absolute = tmp_path / "images" / "a.png"
    given = files.read(
        written(tmp_path, f"image,label\n{absolute},cat\nimages/same.png,dog\n"), collection
    )
    assert names_of(given) == ["cat", None, None, None, None, "dog"]
    os.symlink(absolute, tmp_path / "a.png")
    given = files.read(written(tmp_path, f"image,label\n{tmp_path}/a.png,cat\n"), collection)
    assert names_of(given)[0] == "cat"


def test_the_order_says_what_was_named_together(collection, tmp_path):
    text = "order,group,image,label\n1,4,a.png,cat\n1,,same.png,cat\n2,4,dogs/b c.png,dog\n"
    given = files.read(written(tmp_path, text), collection)
    assert given.order[0] == given.order[5] >= 0
    assert given.order[1] >= 0
    assert given.order[1] != given.order[0]
    assert given.order[2] == -1


def test_what_is_left_out_is_said(collection, tmp_path, caplog):
    text = "image,label\na.png,\ndogs/b c.png,dog\ngone.png,cat\nlost.png,cat\nsame.png\n"
    given = files.read(written(tmp_path, text), collection)
    assert names_of(given) == [None, "dog", None, None, None, None]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "without a label, left out: 2 (the first is line 2)" in said[0]
    assert "left out: 2 (the first is 'gone.png', line 4)" in said[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("image,label\n", "a heading only"),
        ("a.png\nb.png\n", "has no column label"),
        ("image,name\na.png,cat\n", "has no column label"),
        ("image,label\na.png,cat\nsame.png,x\na.png,dog\n", "'cat' in line 2 and 'dog' in line 4"),
        ("a.png,cat\na.png,dog\n", "'cat' in line 1 and 'dog' in line 2"),
        ("image,label\ngone.png,cat\n", "names none of the 6 images, such as 'gone.png'"),
        ("image,label\na.png,\n", "names none of the 6 images;"),
        ('image,label\n"a.png,cat\n', "is no table"),
        ("image,label\na\0b,cat\n", "is no text"),
    ],
)
def test_what_cannot_be_used_is_one_line(collection, tmp_path, text, said):
    with pytest.raises(InputError, match=said) as raised:
        files.read(written(tmp_path, text), collection)
    assert str(raised.value).startswith("--labels=")
    assert "\n" not in str(raised.value)


def test_no_file(collection, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        files.read(tmp_path / "none.csv", collection)
    with pytest.raises(InputError, match="cannot be read"):
        files.read(tmp_path, collection)


def test_labelled_and_to_name_read_back(collection, tmp_path):
    n = len(NAMES)
    spread = Spread(np.arange(n) % 2, np.linspace(0, 1, n, dtype=np.float32))
    files.write_labelled(tmp_path / "labelled.csv", collection, spread, ["cat", "a dog"])
    given = files.read(tmp_path / "labelled.csv", collection)
    assert names_of(given) == ["cat", "a dog"] * 3
    with (tmp_path / "labelled.csv").open(encoding="utf-8", errors="surrogateescape") as file:
        assert file.readline() == "image,label,confidence\n"
        assert file.readline() == "a.png,cat,0.0000\n"

    chosen = [ToName(np.array([1, 4]), 3, 0.5), ToName(np.array([0]), -1, 1.0)]
    groups = np.array([-1, 3, 0, 0, 2, -1])
    files.write_to_name(tmp_path / "to_name.csv", collection, chosen, groups)
    with (tmp_path / "to_name.csv").open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        table = list(csv.reader(file))
    assert table == [
        ["order", "group", "image"],
        ["1", "3", "dogs/b c.png"],
        ["1", "2", STRANGE],
        ["2", "", "a.png"],
    ]


def test_folders_of_any_names():
    names = ["cat", "Cat", "a/b", "../up", "/etc", "..", "", "wei\0rd\n", "C:\\x", "cat-2", ".git"]
    names += ["-rf", "--", "é" * 500, "é" * 501, "<b onclick=x>"]
    folders = files.folder_names(names)
    assert len({folder.casefold() for folder in folders}) == len(names)
    for folder in folders:
        assert folder == os.path.basename(folder)
        assert folder.strip(". ")
        assert "\0" not in folder
        assert not folder.startswith((".", "-"))
        assert len(os.fsencode(folder)) < 255
    assert folders[0] == "cat"


def test_names_that_differ_in_case_or_spaces_are_told(collection, tmp_path, caplog):
    files.read(written(tmp_path, "a.png,cat\ndogs/b c.png,Cat \n"), collection)
    assert "'Cat' and 'cat' are taken for different names" in caplog.text


@pytest.mark.parametrize("heading", ["bild,confidence,label", "bild,split,art", "label,bild"])
def test_columns_whose_names_say_too_little_are_refused(collection, tmp_path, heading):
    cells = ",".join(["a.png", "train", "cat"][: heading.count(",") + 1])
    with pytest.raises(InputError, match="has the columns .*; call the one with the images' names"):
        files.read(written(tmp_path, f"{heading}\n{cells}\n"), collection)
