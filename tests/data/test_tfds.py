"""TensorFlow Datasets with made-up examples."""

import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pad_jax import config, data
from pad_jax.data.source import DatasetSettings
from pad_jax.data.tfds import TfdsSource
from pad_jax.errors import InputError
from pad_jax.settings import Settings

NUM_EXAMPLES = 6  # of every split, whatever its metadata say


@pytest.fixture
def mocked(tmp_path):
    """A function: mocked(name) prepares a data set, all but its examples, and returns its root."""
    root = str(tmp_path)

    def prepare(name):
        info = tfds.builder(name, data_dir=root, file_format="array_record").info
        template = tfds.core.ShardedFileTemplate(
            data_dir=info.data_dir,
            dataset_name=name,
            filetype_suffix=info.file_format.file_suffix,
        )
        shards = {"train": [4, 6], "test": [5]}
        info.set_splits(
            tfds.core.SplitDict(
                [
                    tfds.core.SplitInfo(
                        name=split, shard_lengths=lengths, num_bytes=1, filename_template=template
                    )
                    for split, lengths in shards.items()
                ]
            )
        )
        pathlib.Path(info.data_dir).mkdir(parents=True)
        info.write_to_directory(info.data_dir)
        return root

    with tfds.testing.mock_data(num_examples=NUM_EXAMPLES, data_dir=root):
        yield prepare


def load(**fields):
    return data.load(Settings(DatasetSettings(image_size=16, channels=3, **fields)))


@pytest.mark.parametrize(("name", "shape"), [("cifar10", (32, 32, 3)), ("imagenet2012", None)])
def test_tfds(mocked, name, shape):
    root = mocked(name)
    source = TfdsSource(name, "train", root)
    assert len(source) == 6
    image = source[2].image
    assert image.dtype == np.uint8
    assert shape is None or image.shape == shape
    expected = tfds.data_source(name, split="train", data_dir=root)[2]
    np.testing.assert_array_equal(image, expected["image"])
    assert source[2].label == expected["label"]
    train = load(name=name, root=root, test_split="").train
    assert train.array.shape == (6, 16, 16, 3)
    assert train.names[2] == "train/2"


@pytest.mark.parametrize(
    ("train_split", "test_split"),
    [
        ("train[:80%]", "train[70%:]"),
        ("train[:80%]", "test+train[70%:]"),
        ("train[5:]", "train[:6]"),
        ("all", "test"),
        ("train", "all"),
    ],
)
def test_images_that_are_trained_on_are_not_held_out(mocked, train_split, test_split):
    root = mocked("cifar10")
    with pytest.raises(InputError, match="test_split=.* kNN would find them"):
        load(name="cifar10", root=root, train_split=train_split, test_split=test_split)


@pytest.mark.parametrize("train_split", ["train[:80%]+train[70%:]", "all+test"])
def test_images_are_not_trained_on_twice(mocked, train_split):
    root = mocked("cifar10")
    with pytest.raises(InputError, match="train_split=.* an image is in two of its splits"):
        load(name="cifar10", root=root, train_split=train_split, test_split="")


@pytest.mark.parametrize(
    ("train_split", "test_split"),
    [
        ("train[:80%]", "train[80%:]"),
        ("train[5:]", "train[:5]"),
        ("train[:30%]+train[30%:60%]", "train[60%:]+test"),
        ("train", "test[:50%]"),
    ],
)
def test_slices_apart_are_splits(mocked, train_split, test_split):
    root = mocked("cifar10")
    dataset = load(name="cifar10", root=root, train_split=train_split, test_split=test_split)
    for images, splits in zip(dataset, (train_split, test_split), strict=True):
        assert len(images) == NUM_EXAMPLES * len(splits.split("+"))


@pytest.mark.parametrize(
    ("train_split", "test_split"),
    [("train", "train[80%:]"), ("train[:80%]", "train"), ("train[:80%]+test", "test[:10]")],
)
def test_a_slice_of_the_whole_is_refused_before_anything_is_opened(train_split, test_split):
    chosen = config.default()
    chosen.dataset.update(name="cifar10", train_split=train_split, test_split=test_split)
    with pytest.raises(InputError, match="dataset.test_split=.* kNN would find them"):
        config.read(chosen)


def test_unknown_names(tmp_path):
    with pytest.raises(InputError, match="dataset.name='no_such_set' is unknown"):
        TfdsSource("no_such_set", "train", str(tmp_path))


def test_a_dot_in_place_of_a_colon_is_told():
    with pytest.raises(InputError, match="'mine.sonar' is unknown; .* such as mine:sonar"):
        TfdsSource("mine.sonar", "train", None)
