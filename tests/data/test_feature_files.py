"""Files of features: formats, what stands beside them, and what is refused."""

import json
import logging
import os
import tracemalloc

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from pad_jax import config as configs
from pad_jax import data
from pad_jax.data import feature_files
from pad_jax.data.features import FeatureSource, Files
from pad_jax.data.preparation import FEATURES
from pad_jax.errors import InputError
from tests.support.image_files import save

N, D = 12, 5


@pytest.fixture
def features(rng):
    return rng.standard_normal((N, D)).astype(np.float32)


def open_source(path, split="train", **fields):
    config = configs.default()
    fields = {"name": "features", "root": str(path), "test_split": ""} | fields
    config.dataset.update(fields)
    return FeatureSource(configs.read(config), split)


def write_parquet(file, features, **columns):
    columns = {"features": list(features)} | columns
    pyarrow.parquet.write_table(pyarrow.table(columns), file, row_group_size=5)


WRITERS = {
    ".npy": np.save,
    ".npz": lambda path, x: np.savez(path, features=x),
    ".packed.npz": lambda path, x: np.savez_compressed(path, features=x),
    ".parquet": write_parquet,
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_formats(tmp_path, features, suffix, dtype, caplog):
    path = tmp_path / f"f{suffix}"
    WRITERS[suffix](path, features.astype(dtype))
    with caplog.at_level(logging.INFO):
        source = open_source(path)
    assert ("float64 is read as float32" in caplog.text) == (dtype is np.float64)
    assert len(source) == N
    assert source.kind == FEATURES
    rows = np.array([3, 0, 11])
    expected = features.astype(dtype).astype(np.float32 if dtype is np.float64 else dtype)
    taken = source.take(rows)
    np.testing.assert_array_equal(taken, expected[rows])
    assert taken.dtype == expected.dtype
    np.testing.assert_array_equal(source[3].image, taken[0])
    assert source[3].label is None
    assert source.name(3) == "train/3"
    assert source.picture(3) is None
    assert source.path(3) is None


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_views(tmp_path, rng, suffix, order):
    views = np.array(rng.standard_normal((3, N, D)), np.float16, order=order)
    WRITERS[suffix](tmp_path / f"f{suffix}", views)
    source = open_source(tmp_path / f"f{suffix}")
    assert len(source) == N
    np.testing.assert_array_equal(source.take(np.array([4, 2])), views[:, [4, 2]].swapaxes(0, 1))
    np.testing.assert_array_equal(source[4].image, views[:, 4])


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_files_are_mapped_not_read(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"f{suffix}", np.ones((20_000, 100), np.float32))
    tracemalloc.start()
    source = open_source(tmp_path / f"f{suffix}")
    source.take(np.arange(10))
    assert tracemalloc.get_traced_memory()[1] < 2e6  # of 8e6
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_labels_and_paths_inside(tmp_path, features, suffix):
    labels, names = np.arange(N) % 3 - 1, [f"{i}.png" for i in range(N)]
    if suffix == ".npz":
        paths = np.array([os.fsencode(name) for name in names])
        np.savez(tmp_path / "f.npz", features=features, labels=labels, paths=paths)
    else:
        known = [None if label < 0 else label for label in labels.tolist()]
        write_parquet(tmp_path / "f.parquet", features, label=known, path=names)
    save(tmp_path / "7.png", np.full((4, 6, 3), 9, np.uint8))
    source = open_source(tmp_path / f"f{suffix}")
    assert [source[i].label for i in range(4)] == [None, 0, 1, None]
    assert source.name(7) == "7.png"
    np.testing.assert_array_equal(source.picture(7), np.full((4, 6, 3), 9))
    assert source.picture(8) is None
    assert (source.path(7), source.path(8)) == (tmp_path / "7.png", None)


def test_labels_and_paths_beside(tmp_path, features, monkeypatch):
    np.save(tmp_path / "f.npy", features)
    (tmp_path / "paths.txt").write_text("".join(f"p/{i}.png\n" for i in range(N)))
    (tmp_path / "classes.txt").write_text("dog\n\n" + "cat\n" * (N - 2))
    np.save(tmp_path / "labels.npy", np.full(N, 4, np.int16))
    save(tmp_path / "p/1.png", np.zeros((4, 4), np.uint8))
    source = open_source(
        tmp_path / "f.npy",
        paths=str(tmp_path / "paths.txt"),
        labels=str(tmp_path / "classes.txt"),
    )
    assert [source[i].label for i in range(3)] == [1, None, 0]
    assert source.name(1) == "p/1.png"
    assert source.picture(1).shape == (4, 4, 1)
    assert open_source(tmp_path / "f.npy", labels=str(tmp_path / "labels.npy"))[0].label == 4
    (tmp_path / "classes.txt").write_text("10\n9\n" * (N // 2))
    numbers = open_source(tmp_path / "f.npy", labels=str(tmp_path / "classes.txt"))
    assert [numbers[i].label for i in range(2)] == [10, 9]


def test_what_made_them_is_in_the_file(tmp_path, features):
    made_by = {"name": "a.b:c", "images": str(tmp_path / "photos")}
    paths = np.array([b"x.png"] * N)
    np.savez(tmp_path / "f.npz", features=features, paths=paths, extractor=json.dumps(made_by))
    save(tmp_path / "photos/x.png", np.zeros((3, 3), np.uint8))
    source = open_source(tmp_path / "f.npz")
    assert source.extractor == made_by
    assert source.picture(0).shape == (3, 3, 1)


def test_splits_are_files_of_a_folder(tmp_path, features):
    np.save(tmp_path / "train.npy", features)
    np.savez(tmp_path / "test.npz", features=features[:3] + 1)
    assert len(open_source(tmp_path)) == N
    assert len(open_source(tmp_path, "test")) == 3
    assert open_source(tmp_path, "test").name(0) == "test/0"
    with pytest.raises(InputError, match=r"no file of split 'val'; give it val.npz or val.npy or"):
        open_source(tmp_path, "val")
    np.save(tmp_path / "test.npy", features)
    with pytest.raises(
        InputError, match=r"more than one file of split 'test'; .* test.npz or test"
    ):
        open_source(tmp_path, "test")
    for field in ("labels", "paths"):  # they would be those of every split
        with pytest.raises(InputError, match=f"dataset.{field}='x' .*; dataset.root is a folder"):
            open_source(tmp_path, **{field: "x"})
    with pytest.raises(InputError, match="is one split, train; for 'test' give a folder"):
        open_source(tmp_path / "train.npy", "test")


def bad(rng, **changes):
    x = rng.standard_normal((N, D)).astype(np.float32)
    return {"features": x} | changes


REFUSED = {
    "a wrong rank": (dict(features=np.zeros(N, np.float32)), r"features are float32 \[12\]; make"),
    "four axes": (dict(features=np.zeros((2, 2, 2, 2), np.float32)), "make them float16 or"),
    "integers": (dict(features=np.zeros((N, D), np.int64)), "features are int64"),
    "no rows": (dict(features=np.zeros((0, D), np.float32)), r"float32 \[0, 5\]"),
    "another name": (dict(x=np.zeros(3)), "there is no array features; there are: x"),
    "labels of text": (dict(labels=np.array(["a"] * N)), r"labels are <U1 \[12\]; make them int"),
    "labels of a matrix": (dict(labels=np.zeros((N, 1), int)), r"labels are int64 \[12, 1\]"),
    "labels too large": (dict(labels=np.full(N, 2**63, np.uint64)), "labels are uint64"),
    "paths of numbers": (dict(paths=np.arange(N)), "paths are int64; make them text"),
    "another description": (dict(extractor="3"), "extractor is no description of one"),
    "images of no name": (dict(extractor='{"images": 3}'), "extractor is no description of one"),
    "labels too few": (dict(labels=np.arange(3)), "labels: there are 3, for 12 rows of features"),
    "paths too few": (dict(paths=np.array(["a"])), "paths: there are 1, for 12 rows of features"),
    "no JSON": (dict(extractor="{"), "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, rng, case):
    arrays, message = REFUSED[case]
    arrays = arrays if "x" in arrays else bad(rng, **arrays)
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(InputError, match=message) as refused:
        open_source(tmp_path / "f.npz")
    assert "\n" not in str(refused.value)


def test_rows_of_several_lengths(tmp_path):
    ragged = np.empty(2, object)
    ragged[:] = [[1.0, 2.0], [1.0]]
    np.save(tmp_path / "f.npy", ragged, allow_pickle=True)
    with pytest.raises(InputError, match="f.npy cannot be read"):
        open_source(tmp_path / "f.npy")
    for rows, message in (
        ([[1.0, 2.0], [1.0]], "of several lengths; make them one"),
        ([[1.0, 2.0]] * 5 + [[1.0]] * 5, "of several lengths; make them one"),
        ([[1.0, 2.0], None], "rows of features are empty; leave them out"),
        ([None, [1.0, 2.0]], "rows of features are empty; leave them out"),
    ):
        table = pyarrow.table({"features": rows})
        pyarrow.parquet.write_table(table, tmp_path / "f.parquet", row_group_size=5)
        with pytest.raises(InputError, match=message):
            open_source(tmp_path / "f.parquet")


def test_other_columns_of_parquet(tmp_path, features):
    for columns in (
        {"labels": pyarrow.array(range(N), pyarrow.uint8())},
        {"path": ["a", None] * 6},
    ):
        write_parquet(tmp_path / "f.parquet", features, **columns)
        source = open_source(tmp_path / "f.parquet")
        assert source.picture(1) is None
        assert (source[3].label == 3) == ("labels" in columns)
    for columns, message in (
        ({"label": ["a"] * N}, "labels are string; make them integers"),
        ({"label": [True] * N}, "labels are bool; make them integers"),
        ({"label": np.full(N, 2**64 - 1, np.uint64)}, "cannot be read"),
        ({"path": range(N)}, "paths are int64; make them text"),
    ):
        write_parquet(tmp_path / "f.parquet", features, **columns)
        with pytest.raises(InputError, match=f"dataset.root=.*{message}"):
            open_source(tmp_path / "f.parquet")


def test_columns_of_parquet(tmp_path, features):
    rows = list(features)
    for columns, message in (
        ({"vector": rows}, None),
        ({"a": rows, "b": rows}, "one column of lists of floats, or one named features.*: a, b"),
        ({"a": range(N)}, "there are: a"),
    ):
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "f.parquet")
        if message is None:
            np.testing.assert_array_equal(
                open_source(tmp_path / "f.parquet").take(np.arange(N)), features
            )
            continue
        with pytest.raises(InputError, match=message):
            open_source(tmp_path / "f.parquet")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])
def test_no_file_and_no_features(tmp_path, suffix):
    with pytest.raises(InputError, match="does not exist; give a file of features"):
        open_source(tmp_path / f"f{suffix}")
    (tmp_path / f"f{suffix}").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot be read .*; make it anew"):
        open_source(tmp_path / f"f{suffix}")


def test_files_under_another_name(tmp_path, features):
    np.savez(tmp_path / "a.npz", features=features)
    np.save(tmp_path / "b.npy", features)
    (tmp_path / "a.npz").rename(tmp_path / "f.npy")
    (tmp_path / "b.npy").rename(tmp_path / "f.npz")
    for name in ("f.npy", "f.npz"):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            open_source(tmp_path / name)
    np.save(tmp_path / "g.npy", features)
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "zero.txt").write_bytes(b"a\0b")
    for field, name in (("labels", "f.npy"), ("labels", "empty.npy"), ("paths", "zero.txt")):
        with pytest.raises(InputError, match=f"dataset.{field}=.*{name} cannot be read"):
            open_source(tmp_path / "g.npy", **{field: str(tmp_path / name)})


def test_text_as_editors_write_it(tmp_path, features):
    np.save(tmp_path / "f.npy", features)
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbf" + b"1\r\n" * N)
    (tmp_path / "paths.txt").write_bytes("a\u2028b.png\n".encode() * (N - 1) + b"caf\xe9.png")
    beside = {name: str(tmp_path / f"{name}.txt") for name in ("labels", "paths")}
    source = open_source(tmp_path / "f.npy", **beside)
    assert {source[i].label for i in range(N)} == {1}
    assert source.name(0) == "a\u2028b.png"
    assert os.fsencode(source.name(N - 1)) == b"caf\xe9.png"


def test_other_files(tmp_path, features):
    np.save(tmp_path / "f.npy", features)
    for path, fields, message in (
        ("", {}, "dataset.root is not set; give the file with your features"),
        ("f.csv", {}, "is no file of features; give .npz, .npy or .parquet"),
        (tmp_path / "f.npy", {"labels": "none.txt"}, "dataset.labels=none.txt cannot be read"),
        (tmp_path / "f.npy", {"paths": "none.txt"}, "dataset.paths=none.txt cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            open_source(path, **fields)


def test_paths_that_are_not_as_many_as_rows(tmp_path, features):
    np.save(tmp_path / "f.npy", features)
    (tmp_path / "p.txt").write_text("a\nb\n")
    for field in ("paths", "labels"):
        with pytest.raises(InputError, match=f"dataset.{field}=.*: there are 2, for 12 rows"):
            open_source(tmp_path / "f.npy", **{field: str(tmp_path / "p.txt")})


def test_a_data_set_of_features(tmp_path, features):
    np.savez(tmp_path / "train.npz", features=features, labels=np.arange(N) % 2)
    np.savez(tmp_path / "test.npz", features=features[:4] + 1, labels=np.arange(4) % 2)
    config = configs.default()
    config.dataset.update({"name": "features", "root": str(tmp_path)})
    train, test = data.load(configs.read(config))
    mean, deviation = features.mean(0), features.std(0)
    np.testing.assert_allclose(train.array, (features - mean) / deviation, atol=1e-5)
    np.testing.assert_allclose(test.array, (features[:4] + 1 - mean) / deviation, atol=1e-5)
    assert test.labels.tolist() == [0, 1, 0, 1]
    # A trained run's statistics serve for another set.
    config.dataset.update({"root": str(tmp_path / "test.npz"), "test_split": ""})
    again = data.load(configs.read(config), train.preparation).train
    np.testing.assert_array_equal(again.array, test.array)


def test_labels_by_names_by_folders_and_none(tmp_path, features):
    np.save(tmp_path / "f.npy", features)
    names = [f"{'cat' if i % 2 else 'dog'}/{i}.png" for i in range(N)]
    for name in names:
        save(tmp_path / name, np.zeros((2, 2), np.uint8))
    (tmp_path / "paths.txt").write_text("\n".join(names) + "\n")
    (tmp_path / "own.csv").write_text("image,label\ndog/0.png,b\ncat/1.png,a\n")
    (tmp_path / "classes.csv").write_text("x\ny\n" * (N // 2))  # a class a line, as ever

    def labels(value, **fields):
        config = configs.default()
        fields |= {"name": "features", "root": str(tmp_path / "f.npy"), "test_split": ""}
        config.dataset.update(fields | {"labels": value})
        return data.load(configs.read(config)).train.labels.tolist()

    paths = {"paths": str(tmp_path / "paths.txt")}
    assert labels(str(tmp_path / "own.csv"), **paths) == [1, 0] + [-1] * (N - 2)
    assert labels("folder", **paths) == [1, 0] * (N // 2)
    assert labels(str(tmp_path / "classes.csv")) == [0, 1] * (N // 2)
    (tmp_path / "labels.npy").unlink(missing_ok=True)
    np.save(tmp_path / "labels.npy", np.arange(N) % 3)
    assert labels(str(tmp_path / "labels.npy"))[:3] == [0, 1, 2]
    np.savez(tmp_path / "f.npz", features=features, labels=np.arange(N))
    config = configs.default()
    root = str(tmp_path / "f.npz")
    config.dataset.update(name="features", root=root, test_split="", labels="none")
    assert set(data.load(configs.read(config)).train.labels.tolist()) == {-1}
    with pytest.raises(InputError, match="dataset.labels='folder'.*files are not known"):
        labels("folder")


def test_labels_by_folders_where_files_are_gone(tmp_path, features):
    names = [f"{'cat' if i % 2 else 'dog'}/{i}.png" for i in range(N)]
    names[0] = ""
    np.savez(tmp_path / "f.npz", features=features, paths=[name.encode() for name in names])
    config = configs.default()
    root = str(tmp_path / "f.npz")
    config.dataset.update(name="features", root=root, test_split="", labels="folder")
    assert data.load(configs.read(config)).train.labels.tolist()[:5] == [-1, 0, 1, 0, 1]


def test_paths_as_embed_writes_them(tmp_path):
    """A table with a heading, and with names that have commas; an empty row is one of features."""
    (tmp_path / "x.csv").write_text('image\n"a, b.png"\n\nc.png\n""\nd.png\n')
    expected = ["a, b.png", "", "c.png", "", "d.png"]
    assert feature_files.read_paths(tmp_path / "x.csv") == expected


def test_paths_a_line_in_a_file_of_any_name(tmp_path):
    (tmp_path / "x.csv").write_text('x, 1.jpg\n\ny, "2.jpg\n')
    assert feature_files.read_paths(tmp_path / "x.csv") == ["x, 1.jpg", "", 'y, "2.jpg']


def test_paths_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    files = Files(["~/a.png", "~nobody/a.png"], [tmp_path / "elsewhere"])
    assert [files(0), files(1)] == [tmp_path / "a.png", None]


@pytest.mark.parametrize("kind", [pyarrow.string(), pyarrow.large_string()])
def test_names_of_images_are_text_of_any_length(tmp_path, features, kind):
    rows = pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(features.reshape(-1)), features.shape[1]
    )
    names = pyarrow.array([f"{i}.png" for i in range(N)], kind)
    pyarrow.parquet.write_table(
        pyarrow.table({"image": names, "embedding": rows}), tmp_path / "x.parquet"
    )
    assert feature_files.read(tmp_path / "x.parquet").paths == names.to_pylist()


def test_endings_in_capitals(tmp_path, features):
    with (tmp_path / "F.NPY").open("wb") as file:
        np.save(file, features)
    np.testing.assert_array_equal(feature_files.read(tmp_path / "F.NPY").features, features)
