"""Images in Parquet files."""

import io
import json
import logging

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pad_jax import data
from pad_jax.data import parquet_images
from pad_jax.data.parquet_images import ParquetSource
from pad_jax.data.source import DatasetSettings
from pad_jax.errors import InputError
from pad_jax.settings import Settings


def png(value):
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(path, values, paths=None, labels=None, names=None, group=3, label="label"):
    """A file as datasets writes it: images of these grey values."""
    paths = paths or [None] * len(values)
    images = [
        {"bytes": None if v is None else png(v), "path": p}
        for v, p in zip(values, paths, strict=True)
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"image": pa.array(images, kind)}
    features = {"image": {"_type": "Image"}}
    if labels is not None:
        columns[label] = pa.array(labels)
    if names:
        features[label] = {"names": names, "_type": "ClassLabel"}
    table = pa.table(columns)
    described = json.dumps({"info": {"features": features}})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table.replace_schema_metadata({"huggingface": described}), path, row_group_size=group
    )


def settings(root, **fields):
    fields = {"name": "folder", "test_split": "", "image_size": 8, "channels": 1} | fields
    return Settings(DatasetSettings(root=str(root), **fields))


def load(root, **fields):
    return data.load(settings(root, **fields))


def first_pixels(images):
    batch = next(images.batches(np.arange(len(images))[None]))
    return batch[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("name", ["folder", "parquet"])
@pytest.mark.parametrize("most", [4.0, 0.0])  # resident, streamed
def test_shards_of_several_splits(tmp_path, name, most, caplog):
    for i in range(2):
        write(
            tmp_path / f"data/train-{i:05}-of-00002.parquet",
            list(range(10 * i, 10 * i + 10)),
            labels=[k % 3 for k in range(10)],
            names=["cat", "dog", "emu"],
        )
    write(
        tmp_path / "data/test-00000-of-00001.parquet", [99], labels=[2], names=["cat", "dog", "emu"]
    )
    with caplog.at_level(logging.INFO):
        dataset = load(tmp_path, name=name, test_split="test", max_resident_gib=most)
    assert first_pixels(dataset.train) == list(range(20))
    assert dataset.train.labels.tolist() == [k % 3 for k in range(10)] * 2
    assert dataset.train.class_names == ("cat", "dog", "emu")
    assert dataset.test.labels.tolist() == [2]
    assert dataset.train.names[:2] == ["train/0", "train/1"]
    assert dataset.train.path(0) is None
    assert f"{tmp_path}, train: 20 images, 3 classes, in 2 files" in caplog.text
    backwards = np.arange(20)[::-1][None]
    batch = next(dataset.train.batches(backwards))
    assert batch[:, 0, 0, 0].tolist() == list(range(20))[::-1]


def test_folders_of_splits_and_files_of_none(tmp_path):
    write(tmp_path / "a/default/train/0000.parquet", [1, 2])
    write(tmp_path / "a/default/Test/0000.parquet", [3])
    dataset = load(tmp_path / "a", test_split="test")
    assert (first_pixels(dataset.train), first_pixels(dataset.test)) == ([1, 2], [3])
    with pytest.raises(
        InputError, match="no Parquet file of split 'val'.*it has: default/Test/0000"
    ):
        load(tmp_path / "a", test_split="val")
    write(tmp_path / "b/0001.parquet", [5])
    write(tmp_path / "b/0000.parquet", [4])
    assert first_pixels(load(tmp_path / "b").train) == [4, 5]
    write(tmp_path / "c/test.parquet", [4])
    with pytest.raises(InputError, match="no Parquet file of split 'train'"):
        load(tmp_path / "c")


def test_one_file_is_one_split(tmp_path):
    write(tmp_path / "x.parquet", [1, 2], labels=["dog", None])
    images = load(tmp_path / "x.parquet").train
    assert images.labels.tolist() == [-1, -1]  # a class alone is none
    assert images.class_names == ("dog",)
    with pytest.raises(InputError, match="is one split, train; for 'test' give the folder"):
        load(tmp_path / "x.parquet", test_split="test")


def test_classes_in_words_mean_the_same_in_every_split(tmp_path):
    write(tmp_path / "train.parquet", [1, 2, 3], labels=["cat", "dog", "emu"], label="class")
    write(tmp_path / "test.parquet", [4, 5], labels=["emu", "cat"], label="class")
    dataset = load(tmp_path, test_split="test")
    assert dataset.train.labels.tolist() == [0, 1, 2]
    assert dataset.test.labels.tolist() == [2, 0]
    assert dataset.test.class_names == ("cat", "dog", "emu")


def test_columns_of_bytes_and_of_codes(tmp_path):
    table = pa.table(
        {
            "img": pa.array([png(4), png(5)]),
            "mask": pa.array([b"1", b"2"]),
            "label": pa.array(["b", "a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    images = load(tmp_path / "a.parquet").train
    assert first_pixels(images) == [4, 5]
    assert images.labels.tolist() == [1, 0]


def test_names_are_paths_where_these_tell_rows_apart(tmp_path):
    write(tmp_path / "a.parquet", [1, 2], paths=["x.png", "y.png"])
    assert load(tmp_path / "a.parquet").train.names == ["train/x.png", "train/y.png"]
    write(tmp_path / "a.parquet", [1, 2], paths=["x.png", "x.png"])
    assert load(tmp_path / "a.parquet").train.names == ["train/0", "train/1"]
    write(tmp_path / "a.parquet", [1, 2], paths=["x.png", None])
    assert load(tmp_path / "a.parquet").train.names == ["train/0", "train/1"]


def test_the_fingerprint_is_that_of_the_files_where_rows_are_numbers(tmp_path):
    prints = []
    for values, group in (([1, 2, 3], 1), ([1, 2, 3], 3), ([1, 3, 2], 3)):
        write(tmp_path / "a.parquet", values, group=group)
        prints.append(load(tmp_path / "a.parquet").train.fingerprint)
        source = ParquetSource(settings(tmp_path / "a.parquet"), "train")
        before = source.identity(1)
        assert source[1].image.max() == values[1]
        assert source.identity(1) == before
    assert prints[0] == prints[1] != prints[2]


def test_rows_without_an_image_are_skipped(tmp_path, caplog):
    write(tmp_path / "a.parquet", [1, None, 3])
    images = load(tmp_path / "a.parquet").train
    assert images.names == ["train/0", "train/2"]
    assert "train/1: the row has no image" in caplog.text


def test_few_row_groups_are_held(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", list(range(100)), group=10)
    monkeypatch.setattr(parquet_images, "_MOST_KEPT", 1)
    source = ParquetSource(settings(tmp_path / "a.parquet"), "train")
    reads = []
    read = parquet_images._Shard.read
    monkeypatch.setattr(
        parquet_images._Shard,
        "read",
        lambda self, group: (reads.append(group), read(self, group))[1],
    )
    assert [int(source[i].image[0, 0, 0]) for i in range(100)] == list(range(100))
    assert reads == list(range(10))  # each once
    assert len(source._kept) == 2
    for i in range(100):
        source.identity(i)
    assert len(reads) == 10  # it was seen when they were decoded
    source[0]
    assert reads[-1] == 0
    source[90]  # used last
    source[50]
    assert list(source._kept) == [9, 5]


def test_tables_of_other_things_are_passed_over(tmp_path):
    pq.write_table(pa.table({"embedding": [[0.5]]}), tmp_path / "embeddings.parquet")
    pq.write_table(pa.table({"file": ["a.png"], "md5": [b"12"]}), tmp_path / "hashes.parquet")
    (tmp_path / "none.parquet").write_bytes(b"no parquet")
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "a.png")
    assert load(tmp_path).train.names == ["a.png"]


def test_files_beside_tables_of_images_are_asked_about(tmp_path):
    write(tmp_path / "data" / "train-0.parquet", [1])
    (tmp_path / "assets").mkdir()
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "assets" / "banner.png")
    asked = r"images as files \(banner.png\), and as rows of data/train-0.parquet; which"
    with pytest.raises(InputError, match=asked):
        load(tmp_path)
    assert load(tmp_path / "data").train.names == ["train/0"]
    assert load(tmp_path, name="parquet").train.names == ["train/0"]
    assert load(tmp_path / "assets").train.names == ["banner.png"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": [1]}, "one column of images.*there are: x. If these are features"),
        ({"a": [b"1"], "b": [b"1"]}, "one column of images.*there are: a, b"),
        ({"image": [b"1"], "label": [0.5]}, "the column label is double; make it integers or text"),
        ({"image": pa.array([], pa.binary())}, "there are no rows"),
    ],
)
def test_bad_tables(tmp_path, table, message):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "a.parquet")


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="dataset.root is not set"):
        load("", name="parquet")


def test_other_labels_in_another_shard_are_refused(tmp_path):
    write(tmp_path / "train-0.parquet", [1], labels=[1])
    write(tmp_path / "train-1.parquet", [1], labels=["a"])
    with pytest.raises(InputError, match="train-1.parquet has other labels than"):
        load(tmp_path)


def test_hidden_images_do_not_go_before_tables(tmp_path):
    write(tmp_path / "train.parquet", [1])
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "._a.png")
    assert load(tmp_path).train.names == ["train/0"]
