"""Folders as people have them: splits, classes, the system's files, links, any names."""

import csv
import logging
import os

import numpy as np
import pytest

from pad_jax import data
from pad_jax.data import folder as folders
from pad_jax.data.folder import FolderSource
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.graph.groups import singletons
from pad_jax.run import folder as run_folder
from pad_jax.settings import Settings
from tests.support.image_files import save

GREY = np.full((8, 8), 9, np.uint8)


def make(root, *names):
    for name in names:
        save(root / name, GREY)


def names(root, split="train", **options):
    source = FolderSource(str(root), split, **options)
    return [source.name(i) for i in range(len(source))]


def load(root, **fields):
    fields = {"test_split": "", "image_size": 8, "channels": 1} | fields
    return data.load(Settings(DatasetSettings(name="folder", root=str(root), **fields)))


@pytest.mark.parametrize("train", ["Train", "TRAIN"])
def test_names_of_splits_in_any_case(tmp_path, train):
    make(tmp_path, f"{train}/cat/a.png", f"{train}/dog/a.png", "Test/dog/b.png", "VAL/dog/c.png")
    assert names(tmp_path) == [f"{train}/cat/a.png", f"{train}/dog/a.png"]
    dataset = load(tmp_path, test_split="test+val")
    assert dataset.test.names == ["Test/dog/b.png", "VAL/dog/c.png"]
    assert dataset.test.labels.tolist() == [1, 1]
    assert dataset.train.class_names == ("cat", "dog")


def test_two_splits_of_one_name_are_asked_about(tmp_path):
    make(tmp_path, "Train/a.png", "TRAIN/b.png")
    with pytest.raises(InputError, match="has T.* and T.*; give the one that is meant for 'train'"):
        names(tmp_path)
    assert names(tmp_path, "Train") == ["Train/a.png"]


def test_a_class_called_train_is_asked_about(tmp_path):
    make(tmp_path, "bus/a.png", "car/a.png", "plane/a.png", "train/a.png", "train/b.png")
    with pytest.raises(InputError) as caught:
        load(tmp_path)
    question = str(caught.value)
    assert "a folder 'train' beside others with images (bus, car, plane)" in question
    assert "--config.dataset.train_split=. ;" in question
    assert f"--config.dataset.root={tmp_path}/train" in question
    # Both answers do what they say.
    all_of_them = load(tmp_path, train_split=".").train
    assert all_of_them.class_names == ("bus", "car", "plane", "train")
    assert all_of_them.labels.tolist() == [0, 1, 2, 3, 3]
    assert all_of_them.names[3] == "train/a.png"
    assert load(tmp_path / "train").train.names == ["a.png", "b.png"]


@pytest.mark.parametrize("beside", ["Test/a/x.png", "validation/a/x.png", "docs/readme.txt"])
def test_train_is_a_split_beside_other_splits_or_files(tmp_path, beside):
    make(tmp_path, "train/a/x.png", "train/b/y.png", "more/z.png" if "png" in beside else "x/z.gif")
    (tmp_path / "x/z.gif").unlink(missing_ok=True)
    (tmp_path / beside).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / beside).write_bytes(b"")
    assert len(names(tmp_path)) == 2


def test_train_is_a_split_beside_the_one_that_is_asked_for(tmp_path):
    make(tmp_path, "train/a/x.png", "held/a/x.png")
    with pytest.raises(InputError, match="beside others"):
        load(tmp_path)
    assert len(load(tmp_path, test_split="held").test) == 1


def test_other_splits_alone_are_asked_about(tmp_path):
    make(tmp_path, "Test/a/x.png", "val/b/y.png")
    with pytest.raises(InputError, match="'train', but Test and val; .*train_split=Test for .*=. "):
        load(tmp_path)
    assert len(load(tmp_path, train_split=".").train) == 2
    assert len(load(tmp_path, train_split="test").train) == 1
    make(tmp_path, "cat/z.png")  # then they are classes
    assert len(load(tmp_path).train) == 3


def test_all_images_are_not_held_out_as_well(tmp_path):
    make(tmp_path, "cat/a.png", "test/a.png")
    with pytest.raises(InputError, match="train_split=. are all images"):
        load(tmp_path, train_split=".", test_split="test")


@pytest.mark.parametrize(
    "name", ["@eaDir", "#recycle", "__MACOSX", "lost+found", "$RECYCLE.BIN", "Thumbs",
             "System Volume Information", "@Recycle", ".thumbnails"]
)  # fmt: skip
def test_folders_of_the_system_are_left_out_and_counted(tmp_path, caplog, name):
    make(tmp_path, "cat/a.png", f"cat/{name}/a.png/thumb.png", f"cat/{name}/b.png")
    make(tmp_path, f"{name}/c.png", f"train/{name}/d.png", "train/cat/a.png")
    with caplog.at_level(logging.INFO):
        source = FolderSource(str(tmp_path), ".")
    assert names(tmp_path, ".") == ["cat/a.png", "train/cat/a.png"]
    assert source.class_names == ("cat", "train")
    said = f"left out, of the system: 4 files in {name}" in caplog.text
    assert said == (name != ".thumbnails")  # hidden ones are the user's own
    make(tmp_path / "split", "train/a.png", f"{name}/b.png")
    with caplog.at_level(logging.INFO):
        FolderSource(str(tmp_path / "split"), "train")  # nor is it asked whether train is a class
    assert "not in this split" not in caplog.text


def test_of_links_to_one_folder_the_first_by_name_survives(tmp_path, caplog, monkeypatch):
    make(tmp_path / "elsewhere", "a.png")
    root = tmp_path / "root"
    make(root, "z.png")
    for name in ("two", "three", "one"):
        (root / name).symlink_to(tmp_path / "elsewhere")
    with caplog.at_level(logging.INFO):
        assert names(root) == ["one/a.png", "z.png"]
    assert "links to folders that are here already: " in caplog.text
    assert f"{root}/three, {root}/two" in caplog.text
    scandir = os.scandir

    class Reversed:
        def __init__(self, folder):
            self._found = scandir(folder)

        def __enter__(self):
            return reversed(sorted(self._found, key=lambda entry: entry.name))

        def __exit__(self, *error):
            self._found.close()

    monkeypatch.setattr(folders.tree.os, "scandir", Reversed)
    assert names(root) == ["one/a.png", "z.png"]


def test_where_a_folder_lies_goes_before_links_to_it(tmp_path):
    make(tmp_path, "z/a.png", "m/b.png")
    (tmp_path / "a").symlink_to(tmp_path / "z")
    (tmp_path / "m/c").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == ["m/b.png", "z/a.png"]


def test_links_in_folders_that_are_links_are_followed(tmp_path):
    make(tmp_path / "far", "a.png")
    make(tmp_path / "near", "b.png")
    (tmp_path / "near/far").symlink_to(tmp_path / "far")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/near").symlink_to(tmp_path / "near")
    assert names(tmp_path / "root") == ["near/b.png", "near/far/a.png"]


ODD_NAMES = [b"caf\xe9.png", b"two\nlines.png", b"-rf.png", b'a,b".png', b"r\rn\r\n.png", b" .png"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_read_back_from_groups_csv(tmp_path, name):
    path = os.path.join(tmp_path, os.fsdecode(name))
    save(tmp_path / "a.png", GREY)
    os.rename(tmp_path / "a.png", path)
    loaded = load(tmp_path).train
    run_folder.write_groups(tmp_path, loaded.names, singletons(1), np.zeros(1, int))
    # As the docs do it.
    with open(
        tmp_path / "groups.csv", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        (row,) = csv.DictReader(file)
    assert os.fsencode(row["image"]) == name
    assert os.path.exists(os.path.join(tmp_path, row["image"]))


def test_a_folder_for_each_image_is_warned_of(tmp_path, caplog):
    make(tmp_path, *(f"IMG_{i}/image.png" for i in range(12)))
    dataset = load(tmp_path)
    assert len(set(dataset.train.labels.tolist())) == 12
    assert "There are 12 classes, such as IMG_0, for 12 images" in caplog.text
    assert "--config.dataset.labels=none" in caplog.text
    caplog.clear()
    dataset = load(tmp_path, labels="none")
    assert set(dataset.train.labels.tolist()) == {-1}
    assert dataset.train.class_names is None
    assert "classes" not in caplog.text.replace("12 classes", "", 1)


def test_dates_are_warned_of_however_many_images_they_have(tmp_path, caplog):
    make(tmp_path, *(f"2021-03-{d:02}/{i}.png" for d in range(1, 13) for i in range(6)))
    load(tmp_path)
    assert "There are 12 classes, such as 2021-03-01, for 72 images" in caplog.text


def test_classes_of_some_images_are_not_warned_of(tmp_path, caplog):
    make(tmp_path, *(f"class_{d:02}/{i}.png" for d in range(1, 13) for i in range(6)))
    load(tmp_path)
    assert caplog.text == ""


@pytest.mark.parametrize("labels", ["", "folder", "labels.csv"])
def test_one_class_is_none_and_of_folders_may_lie_deeper(tmp_path, caplog, monkeypatch, labels):
    make(tmp_path, "pile/a.png", "pile/b.png")
    (tmp_path / "labels.csv").write_text("image,label\npile/a.png,cat\npile/b.png,cat\n")
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        assert (load(tmp_path, labels=labels).train.labels == -1).all()
    said = "All labels are of one class and not used"
    deeper = "; if classes lie deeper, give dataset.root a folder further down"
    assert said + (deeper if labels != "labels.csv" else "") + "." in caplog.messages


def test_labels_of_a_file(tmp_path, caplog):
    make(tmp_path / "pile", "train/a.png", "train/b.png", "train/x/c.png", "test/d.png")
    (tmp_path / "labels.csv").write_text(
        "label,image\ncat,train/a.png\ndog,train/x/c.png\n,train/b.png\nemu,test/d.png\n"
    )
    fields = {"labels": str(tmp_path / "labels.csv"), "test_split": "test"}
    for most in (4.0, 0.0):  # resident, streamed
        with caplog.at_level(logging.INFO):
            dataset = load(tmp_path / "pile", max_resident_gib=most, **fields)
        assert dataset.train.labels.tolist() == [0, -1, 1]
        assert dataset.test.labels.tolist() == [2]
        assert dataset.train.class_names == ("cat", "dog", "emu")
    assert "labels of 3 of 4 images" in caplog.text
    (tmp_path / "labels.csv").write_text("image,label\na.png,cat\n")
    with pytest.raises(InputError, match="names none of the images; they are called as 'train/a"):
        load(tmp_path / "pile", **fields)


@pytest.mark.parametrize("labels", ["labels.txt", "nowhere.csv", "folders"])
def test_labels_of_no_such_file(tmp_path, labels):
    make(tmp_path, "a.png")
    (tmp_path / "labels.txt").write_text("cat\n")
    with pytest.raises(InputError, match="dataset.labels=.*columns image and label"):
        load(tmp_path, labels=str(tmp_path / labels))


def test_labels_by_folders(tmp_path):
    make(tmp_path, "cat/x/a.png", "dog/b.png")
    assert load(tmp_path, labels="folder").train.labels.tolist() == [0, 1]
    with pytest.raises(InputError, match="dataset.labels='folder'.*files are not known"):
        data.load(Settings(DatasetSettings(labels="folder")))  # digits


def test_training_samples_have_these_labels_too(tmp_path):
    make(tmp_path, "cat/a.png", "dog/b.png")
    fields = {"name": "folder", "root": str(tmp_path), "test_split": ""}
    selection = data.training_samples(Settings(DatasetSettings(labels="none", **fields)))
    assert [selection[i].label for i in range(2)] == [None, None]
    selection = data.training_samples(Settings(DatasetSettings(**fields)))
    assert [selection[i].label for i in range(2)] == [0, 1]
    assert selection.labels.tolist() == [0, 1]


def test_small_images_are_warned_of_once(tmp_path, caplog):
    make(tmp_path, "a.png", "b.png")
    save(tmp_path / "c.png", np.zeros((40, 12), np.uint8))
    for resize, count in (("crop", 3), ("pad", 2), ("squash", 3)):
        caplog.clear()
        load(tmp_path, image_size=16, resize=resize)
        assert caplog.messages == [
            f"{count} of 3 images are smaller than dataset.image_size=16; they are enlarged to it."
        ]
    caplog.clear()
    load(tmp_path, image_size=8)
    assert caplog.messages == []


def test_what_decoding_finds_is_said_once_with_the_number_of_images(tmp_path, caplog):
    for name in ("a.png", "b.png"):
        save(tmp_path / name, np.full((8, 8), 4000, np.uint16))
    with caplog.at_level(logging.INFO):
        load(tmp_path, channels=None)
    said = [text for text in caplog.messages if "8 bits" in text]
    assert said == [
        "More than 8 bits a pixel, of which values of 12 bits become 0 to 255: 2 images, such as "
        f"{tmp_path}/a.png."
    ]


def test_a_split_lies_inside_of_the_folder(tmp_path):
    make(tmp_path, "in/train/a.png", "out/b.png")
    for split in (str(tmp_path / "out"), "../out"):
        with pytest.raises(InputError, match="is no split: it leads out of dataset.root"):
            names(tmp_path / "in", split)


def test_a_hidden_folder_is_a_split_where_it_is_named(tmp_path):
    make(tmp_path, ".hidden/cat/a.png", "train/dog/b.png")
    assert names(tmp_path, ".hidden") == [".hidden/cat/a.png"]


def test_hidden_images_are_no_images(tmp_path):
    make(tmp_path, "val/a.png", "test/b.png", ".cover.jpg", "val/._a.png")
    with pytest.raises(InputError, match="no folder 'train', but test and val"):
        load(tmp_path)
