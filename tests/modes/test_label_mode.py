"""--mode=label as a user calls it: what to name, labels of all, folders of these."""

import csv
import os
import re

import numpy as np
import pytest
from absl import flags
from PIL import Image

from pad_jax import config as configs
from pad_jax.errors import InputError
from pad_jax.modes import label
from pad_jax.modes.base import Call

COUNT = 60
KINDS = ("cats", "dogs", "owls")


@pytest.fixture(scope="module")
def pile(tmp_path_factory):
    """Features of three kinds of images, and the images."""
    folder = tmp_path_factory.mktemp("pile")
    rng = np.random.default_rng(0)
    kind = np.arange(COUNT) % 3
    features = 2 * np.eye(3, 8)[kind] + 0.4 * rng.standard_normal((COUNT, 8))
    np.save(folder / "features.npy", features.astype(np.float32))
    (folder / "images").mkdir()
    names = [f"{KINDS[kind[i]]} {i}.png" for i in range(COUNT)]
    for name in names:
        Image.new("L", (4, 4)).save(folder / "images" / name)
    (folder / "images.txt").write_text("\n".join(f"images/{name}" for name in names))
    return folder


@pytest.fixture
def call(pile, monkeypatch):
    """A function: what the mode says to flags."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()

    def run(labels=None, count=None, output=None):
        monkeypatch.setattr(flags.FLAGS["labels"], "value", labels and str(pile / labels))
        monkeypatch.setattr(flags.FLAGS["count"], "value", count)
        given = {"features": pile / "features.npy", "images": pile / "images.txt"}
        output = output and pile / output
        return label.MODE.run(
            Call(configs.default(), "config.py", {}, None, output=output, **given)
        )

    return run


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def kind_of(image):
    return os.path.basename(image).split()[0]


def test_from_what_to_name_to_sorted_folders(pile, call):
    said = call(count=6)
    assert "6 sets of images to name" in said
    to_name = table(pile / "features.npy.to_name.csv")
    assert {line["order"] for line in to_name} == set("123456")

    kinds = {}
    for line in to_name:
        kinds.setdefault(line["order"], []).append(kind_of(line["image"]))
    with (pile / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("order", "image", "label"))
        for line in to_name:
            own = kinds[line["order"]]
            writer.writerow((line["order"], line["image"], max(set(own), key=own.count)))

    said = call("labels.csv", count=2, output="sorted")
    labelled = table(pile / "features.npy.labelled.csv")
    assert [line["image"] for line in labelled] == (pile / "images.txt").read_text().split("\n")
    assert all(line["label"] == kind_of(line["image"]) for line in labelled)
    assert all(0 < float(line["confidence"]) <= 1 for line in labelled)
    assert "100.0% of the names" in said
    sets = re.search(r"in (\d+) sets were found again", said)
    once = re.search(r"cannot be held back: (\d+)", said)
    assert int(sets[1]) + (int(once[1]) if once else 0) == 6  # and not single images
    assert "images are near a name" in said
    folders = {folder.name: len(list(folder.iterdir())) for folder in (pile / "sorted").iterdir()}
    assert folders == dict.fromkeys(KINDS, COUNT // 3)
    assert all(kind_of(file.name) == file.parent.name for file in (pile / "sorted").glob("*/*"))
    following = table(pile / "features.npy.to_name_next.csv")
    assert {line["order"] for line in following} == {"1", "2"}
    assert not {line["image"] for line in following} & {line["image"] for line in to_name}


def test_single_images_by_hand(pile, call):
    (pile / "few.csv").write_text("images/cats 0.png,a cat\nimages/dogs 1.png,dog\n")
    assert "none can be held back" in call("few.csv")
    labels = {line["image"]: line["label"] for line in table(pile / "features.npy.labelled.csv")}
    assert labels["images/cats 3.png"] == "a cat"
    assert labels["images/dogs 4.png"] == "dog"


def test_names_that_are_confused_are_told(pile, call):
    """Owls that are called cats, one by one: what is found again least is said."""
    wrong = {i: "cats" if i % 2 else "owls" for i in range(2, COUNT, 3)}
    lines = [f"images/{KINDS[i % 3]} {i}.png,{wrong.get(i, KINDS[i % 3])}" for i in range(COUNT)]
    (pile / "confused.csv").write_text("\n".join(lines))
    told = [line for line in call("confused.csv").splitlines() if line.startswith("Found again")]
    assert len(told) == 1
    assert "cats (" in told[0]
    assert "dogs" not in told[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"output": "x"}, "--output sorts by names; give them, --labels=FILE"),
        ({"labels": "none.csv"}, "none.csv cannot be read"),
        ({"labels": "one.csv"}, "has one name, 'cat', which all images would get"),
        ({"labels": "features.npy.labelled.csv"}, "would be written over"),
        ({"labels": "few.csv", "output": "images"}, "images exists"),
    ],
)
def test_what_is_refused_in_one_line(pile, call, arguments, said):
    (pile / "one.csv").write_text("images/cats 0.png,cat\nimages/cats 3.png,cat\n")
    with pytest.raises(InputError, match=said) as raised:
        call(**arguments)
    assert "\n" not in str(raised.value)
