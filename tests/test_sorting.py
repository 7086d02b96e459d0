"""Images sorted into folders."""

import os

import numpy as np
import pytest

from pad_jax.collection import Collection
from pad_jax.data.decoding import decode
from pad_jax.errors import InputError
from pad_jax.folders import sort_into
from tests.support.image_files import save


@pytest.fixture
def collection(tmp_path, rng):
    """Two files of one name, one of that name in capitals, and a grey image without a file."""
    pixels = rng.integers(0, 256, (4, 5, 6, 3), np.uint8)
    names = ["a/x.png", "b/x.png", "c/X.png", "train/3"]
    for name, image in zip(names[:3], pixels, strict=False):
        save(tmp_path / "in" / name, image)
    return Collection(
        embeddings=np.eye(4, dtype=np.float32),
        names=names,
        path=lambda i: tmp_path / "in" / names[i] if i < 3 else None,
        picture=lambda i: pixels[i, :, :, :1],
        labels=np.full(4, -1),
        folder=tmp_path,
    )


FOLDERS = ["one", "one", "one", "two/deep"]


def contents(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


@pytest.mark.parametrize("copy", [False, True])
def test_links_or_copies_under_the_same_names(collection, tmp_path, copy):
    out = tmp_path / "new/out"
    sort_into(collection, FOLDERS, out, copy=copy)
    expected = ["one/X-3.png", "one/x-2.png", "one/x.png", "two/deep/train-3.png"]
    assert contents(out) == expected
    for i, name in enumerate(("x.png", "x-2.png", "X-3.png")):
        placed = out / "one" / name
        assert placed.is_symlink() != copy
        assert placed.read_bytes() == collection.path(i).read_bytes()
        if not copy:
            assert os.readlink(placed) == str(collection.path(i))
    np.testing.assert_array_equal(decode(out / "two/deep/train-3.png"), collection.picture(3))
    assert contents(tmp_path / "in") == ["a/x.png", "b/x.png", "c/X.png"]


def test_nothing_is_overwritten(collection, tmp_path):
    (tmp_path / "out").mkdir()
    sort_into(collection, FOLDERS, tmp_path / "out")  # an empty one is as good as none
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="out exists; give another name"):
        sort_into(collection, ["other"] * 4, tmp_path / "out")
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("copy", [False, True])
def test_whole_or_not_at_all(collection, tmp_path, copy):
    unknown = Collection(
        **{f: getattr(collection, f) for f in ("embeddings", "names", "path", "labels", "folder")},
        picture=lambda i: None,
    )
    with pytest.raises(InputError, match="the image of train/3 is not at hand"):
        sort_into(unknown, FOLDERS, tmp_path / "out", copy=copy)
    assert sorted(os.listdir(tmp_path)) == ["in"]
    assert len(contents(tmp_path / "in")) == 3


def test_names_are_not_longer_than_systems_take(collection, tmp_path):
    long = "\u00e9" * 150  # 300 bytes
    collection.names[3] = f"train/{long}"
    sort_into(collection, FOLDERS, tmp_path / "out")
    (placed,) = (tmp_path / "out/two/deep").iterdir()
    assert len(os.fsencode(placed.name)) <= 255
    assert placed.name.startswith("train-\u00e9\u00e9")
    assert placed.suffix == ".png"


def test_an_original_that_is_gone_is_named(collection, tmp_path):
    collection.path(1).unlink()
    with pytest.raises(InputError, match="cannot read .*in/b/x.png .No such file.*"):
        sort_into(collection, FOLDERS, tmp_path / "out", copy=True)
    assert not (tmp_path / "out").exists()
