"""Images as users give them."""

import logging
import weakref

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from pad_jax.data import given
from pad_jax.data.decoding import Decoding, decode, from_pillow
from pad_jax.data.preparation import Pixels
from pad_jax.errors import InputError
from tests.support.image_files import save

COLOUR = Pixels((6, 6, 3))


class Tracked(np.ndarray):
    """An array of which it is known how many there are at a time."""

    alive = 0
    most = 0

    @classmethod
    def make(cls, shape):
        array = cls(shape, np.uint8)  # whose memory is its own: views of it keep it alive
        array[...] = 0
        weakref.finalize(array, cls._gone)
        cls.alive += 1
        cls.most = max(cls.most, cls.alive)
        return array

    @classmethod
    def _gone(cls):
        cls.alive -= 1


@pytest.fixture
def tracked(monkeypatch):
    monkeypatch.setattr(Tracked, "alive", 0)
    monkeypatch.setattr(Tracked, "most", 0)
    return Tracked


@pytest.fixture
def images(rng):
    """Nine images of several sizes, grey and in colour, one of them prepared already."""
    sizes = [
        (6, 6, 3),
        (9, 7),
        (8, 12, 3),
        (5, 5, 1),
        (20, 6, 3),
        (6, 6),
        (7, 7, 3),
        (3, 9),
        (4, 4),
    ]
    return [rng.integers(0, 256, size, np.uint8) for size in sizes]


@pytest.fixture
def folder(images, tmp_path):
    """Their files; of the classes one has a file that is no image, and one a file that is none."""
    for i, image in enumerate(images):
        save(tmp_path / f"{'ab'[i > 4]}/{i}.png", image.squeeze())
    (tmp_path / "a/notes.txt").write_text("no image")
    return tmp_path


def prepared(images, pixels=COLOUR, size=4):
    """The batches as one array; all but the last are full."""
    batches = list(given.batches(images, pixels, size))
    assert all(len(batch) == size for batch in batches[:-1])
    return np.concatenate(batches) if batches else np.zeros((0, *pixels.shape), np.uint8)


def test_all_ways_to_give_images_agree(images, folder):
    expected = COLOUR.new(images)
    paths = sorted(folder.rglob("*.png"))
    mixture = [*images[:3], Image.open(paths[3]), str(paths[4]), *paths[5:8], jnp.array(images[8])]
    for ways in (
        images,
        iter(images),
        (image for image in images),
        paths,
        map(str, paths),
        np.array([str(path) for path in paths]),
        folder,
        str(folder),
        [Image.open(path) for path in paths],
        mixture,
    ):
        np.testing.assert_array_equal(prepared(ways), expected)


def test_arrays_of_one_size(rng):
    images = rng.integers(0, 256, (9, 6, 6, 3), np.uint8)
    np.testing.assert_array_equal(prepared(images), images)
    np.testing.assert_array_equal(prepared(jnp.array(images)), images)
    np.testing.assert_array_equal(prepared(images[..., 0]), prepared(images[..., :1]))
    larger = rng.integers(0, 256, (9, 12, 6, 3), np.uint8)
    np.testing.assert_array_equal(prepared(larger), COLOUR.new(larger))
    assert prepared(images[:0]).shape == prepared([]).shape == (0, 6, 6, 3)


def test_the_training_s_way_to_resize_is_taken(images, folder):
    pixels = Pixels((6, 6, 3), "pad", Decoding("red"))
    padded = prepared(images, pixels)
    np.testing.assert_array_equal(padded, pixels.new(images))
    assert not np.array_equal(padded, prepared(images))
    np.testing.assert_array_equal(prepared(folder, pixels), padded)


@pytest.mark.parametrize("shape", [(6, 6, 3), (9, 9, 3)])
def test_few_images_are_held_at_a_time(tracked, shape):
    """Fewer than two batches and a window."""
    images = (tracked.make(shape) for _ in range(3000))
    assert sum(len(batch) for batch in given.batches(images, COLOUR, 256)) == 3000
    assert tracked.most < 530
    assert tracked.alive == 0


def test_of_large_images_fewer_are_held(tracked, monkeypatch):
    monkeypatch.setattr(given, "_AHEAD_BYTES", 50 * 6 * 6 * 3)
    images = (tracked.make((6, 6, 3)) for _ in range(500))
    assert sum(len(batch) for batch in given.batches(images, COLOUR, 4)) == 500
    assert 50 <= tracked.most < 60


def test_a_generator_is_asked_no_further_than_needed():
    asked = []
    images = (asked.append(i) or np.zeros((9, 9), np.uint8) for i in range(3000))
    batches = given.batches(images, COLOUR, 64)
    next(batches)
    assert 64 <= len(asked) < 400
    batches.close()


def test_a_folder_s_files_that_cannot_be_decoded_are_left_out(images, folder, caplog):
    (folder / "a/2.png").write_bytes((folder / "a/2.png").read_bytes()[:50])
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(prepared(folder), COLOUR.new(images[:2] + images[3:]))
    assert "Skipped, cannot be decoded: " in caplog.text
    assert "2.png" in caplog.text


def test_a_file_that_was_named_is_not_left_out(folder):
    (folder / "a/2.png").write_bytes((folder / "a/2.png").read_bytes()[:50])
    paths = sorted(folder.rglob("*.png"))
    with pytest.raises(InputError, match=r"images\[2\] cannot be decoded .*2\.png.*; mend it"):
        prepared(paths)
    with (
        Image.open(paths[2]) as opened,
        pytest.raises(InputError, match=r"images\[1\] cannot be decoded .*; mend it"),
    ):
        prepared([paths[0], opened])
    with pytest.raises(InputError, match=r"images\[1\]: there is no file .*nowhere\.png"):
        prepared([paths[0], folder / "nowhere.png"])
    with pytest.raises(InputError, match=r"images\[0\] is a folder, .*; give it by itself"):
        prepared([folder])


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (np.zeros((6, 6, 3), np.uint8), ValueError, r"queries are \[6, 6, 3\].*give image\[None\]"),
        (np.zeros((6, 6), np.uint8), ValueError, r"queries are \[6, 6\].*give image\[None\]"),
        (Image.new("L", (6, 6)), ValueError, r"queries is one image; give a list, \[image\]"),
        (np.zeros((2, 6, 6)), ValueError, r"queries\[0\]: an image is float64 \[6, 6\]; give"),
        ([np.zeros((6, 6), np.uint8), np.zeros((6, 6, 4), np.uint8)], ValueError,
         r"queries\[1\]: an image is uint8 \[6, 6, 4\]; give uint8"),
        ([np.zeros((0, 5), np.uint8)], ValueError,
         r"queries\[0\]: an image is uint8 \[0, 5\]; give uint8"),
        (np.zeros((2, 0, 0), np.uint8), ValueError, r"queries\[0\]: an image is uint8 \[0, 0\]"),
        ([None], ValueError, r"queries\[0\]: an image is object"),
        (None, TypeError, "queries is a NoneType; give arrays, PIL images, paths or a folder"),
        (3, TypeError, "queries is a int; give"),
        ("nowhere", InputError, "queries='nowhere' is not a folder; give the one with your images"),
    ],
)  # fmt: skip
def test_what_cannot_be_used(wrong, error, message):
    with pytest.raises(error, match=message):
        list(given.batches(wrong, COLOUR, 4, "queries"))


def test_a_path_of_one_image_or_of_no_images(folder, tmp_path_factory):
    path = str(folder / "a/0.png")
    with pytest.raises(ValueError, match=r"images='.*0\.png' is one image; give a list, \['.*0"):
        prepared(path)
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(InputError, match=r"has no images; images must hold files of the kinds"):
        prepared(empty)


def test_home_is_known(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    np.testing.assert_array_equal(prepared(f"~/{folder.name}"), prepared(folder))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_pillow_s_images_are_as_their_files(mode, rng, tmp_path):
    array = rng.integers(0, 256, (7, 9, 4), np.uint8)
    if mode == "I;16":
        image = Image.fromarray(array[..., 0].astype(np.uint16) * 11)
    elif mode == "LA":
        image = Image.fromarray(array[..., :2])
    else:
        image = Image.fromarray(array, "RGBA" if mode == "RGBA" else "CMYK").convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path, exif=exif)
    expected = decode(path)
    assert expected.shape[:2] == (9, 7)
    np.testing.assert_array_equal(from_pillow(Image.open(path)), expected)
    if mode != "CMYK":
        np.testing.assert_array_equal(np.rot90(from_pillow(image), -1), expected)


def test_pillow_s_images_are_made_smaller_as_their_files(rng, tmp_path):
    save(tmp_path / "a.png", rng.integers(0, 256, (50, 90), np.uint8))
    decoding = Decoding(least_side=20)
    expected = decode(tmp_path / "a.png", decoding)
    assert expected.shape == (25, 45, 1)
    np.testing.assert_array_equal(from_pillow(Image.open(tmp_path / "a.png"), decoding), expected)


def test_what_is_images_and_what_features(rng, folder):
    rows = rng.standard_normal((5, 3))
    for features in (rows, list(rows), rows.tolist(), iter(rows), jnp.array(rows), []):
        are_images, again = given.looked_at(features, "images")
        assert not are_images
        found = [np.asarray(row) for block in given.blocks(again, 2) for row in block]
        if found:
            np.testing.assert_allclose(found, rows, rtol=1e-6)
    images = np.zeros((2, 6, 6), np.uint8)
    paths = sorted(folder.rglob("*.png"))
    for ways in (images, list(images), iter(images), folder, paths, [Image.new("L", (6, 6))]):
        are_images, again = given.looked_at(ways, "images")
        assert are_images
        assert len(prepared(again)) == len(paths) if ways is folder else len(prepared(again)) > 0


@pytest.mark.parametrize("name", ["list.csv", "list.txt", "train.parquet"])
def test_what_holds_several_images_is_no_image(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match="holds several images; give a list of their paths"):
        list(given.items(str(tmp_path / name)))
