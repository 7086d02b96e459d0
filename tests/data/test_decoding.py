"""Decoding of whatever image files people have."""

import io
import logging
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image, ImageCms

from pad_jax.data import decoding
from pad_jax.data.decoding import Decoder, Decoding, UnreadableImage, decode
from pad_jax.data.folder import FolderSource
from pad_jax.data.image_kinds import readable
from pad_jax.data.images import prepare
from tests.support.image_files import impossible_exif, png, save, tiff

WHOLE = Decoding(least_side=None)


def noted(path, caplog, using=WHOLE):
    """The image of a file, and what is said of it."""
    decoder = Decoder(using)
    image = decoder(path, path.name)
    decoder(path, path.name)  # said once, however often it is read
    caplog.clear()
    with caplog.at_level(logging.INFO):
        decoder.tell()
    return image, caplog.messages


def palette(path, transparency):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 0])
    image.save(path, transparency=transparency)


def rgba_of(path):
    Image.fromarray(np.array([[[10, 20, 30, 0], [200, 100, 0, 255]]], np.uint8)).save(path)


def grey_of(path):
    Image.fromarray(np.array([[[10, 0], [200, 255]]], np.uint8), "LA").save(path)


# What writes an image of two pixels, of which the first is transparent; and the second pixel.
TRANSPARENT = {
    "RGBA": (".png", rgba_of, [200, 100, 0]),
    "RGBA in WebP": (".webp", lambda p: lossless(p), [200, 100, 0]),
    "LA": (".png", grey_of, [200]),
    "palette, one colour": (".png", lambda p: palette(p, 0), [200, 100, 0]),
    "palette, alpha of each": (".png", lambda p: palette(p, b"\0\xff"), [200, 100, 0]),
    "palette in GIF": (".gif", lambda p: palette(p, 0), [200, 100, 0]),
    "grey": (".png", lambda p: p.write_bytes(png(two(10, 200), 8, b"\0\x0a")), [200]),
    "black": (".png", lambda p: p.write_bytes(png(two(0, 1), 1, b"\0\0")), [255]),
    "16 bits": (".png", lambda p: p.write_bytes(png(two(7, 51200), 16, b"\0\7")), [200]),
    "RGB": (
        ".png",
        lambda p: p.write_bytes(png(np.array([[[1, 2, 3], [200, 100, 0]]]), 8, b"\0\1\0\2\0\3")),
        [200, 100, 0],
    ),
    "RGB of 16 bits": (
        ".png",
        lambda p: p.write_bytes(
            png(np.array([[[16, 32, 48], [3200, 1600, 0]]]), 16, b"\0\x10\0\x20\0\x30")
        ),
        [200, 100, 0],
    ),
}


def two(first, second):
    return np.array([[[first], [second]]])


def lossless(path):
    pixels = np.array([[[10, 20, 30, 0], [200, 100, 0, 255]]], np.uint8)
    Image.fromarray(pixels).save(path, lossless=True, exact=True)


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_transparency_of_every_kind_is_over_the_background(tmp_path, kind):
    suffix, write, second = TRANSPARENT[kind]
    path = tmp_path / f"icon{suffix}"
    write(path)
    white = decode(path)
    assert white[0, 1].tolist() == second  # grey stays grey
    assert set(white[0, 0].tolist()) == {255}
    blue = decode(path, Decoding(background="#102080"))
    assert blue[0, 0].tolist() == [0x10, 0x20, 0x80]
    assert blue[0, 1].tolist() == (second * 3 if len(second) == 1 else second)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("is_white", [False, True])
def test_transparent_grey_of_every_depth(tmp_path, bits, is_white):
    most = 2**bits - 1
    key, other = (most, 0) if is_white else (0, most)
    path = tmp_path / "icon.png"
    path.write_bytes(png(two(key, other), bits, key.to_bytes(2, "big")))
    red = decode(path, Decoding(background="red"))
    assert red.tolist() == [[[255, 0, 0], [0 if is_white else 255] * 3]]


def test_half_transparent_is_between(tmp_path):
    save(tmp_path / "a.png", np.full((1, 1, 4), (100, 0, 255, 51), np.uint8))
    assert decode(tmp_path / "a.png")[0, 0].tolist() == [224, 204, 255]  # a fifth of it


def test_icons_that_differ_in_their_alpha_alone_differ(tmp_path):
    shape = np.zeros((8, 8, 4), np.uint8)
    other = shape.copy()
    shape[:4, :, 3], other[:, :4, 3] = 255, 255
    save(tmp_path / "a.png", shape)
    save(tmp_path / "b.png", other)
    assert (decode(tmp_path / "a.png") != decode(tmp_path / "b.png")).any()


@pytest.mark.parametrize(
    ("most", "bits"), [(255, 8), (256, 10), (1000, 10), (4095, 12), (16383, 14), (65535, 16)]
)
def test_grey_of_16_bits_is_scaled_from_the_bits_it_has(tmp_path, caplog, most, bits):
    values = np.linspace(0, most, 600).astype(np.uint16).reshape(20, 30)
    save(tmp_path / "a.png", values)
    save(tmp_path / "a.tif", values)
    expected = np.floor(values.astype(np.float64) * 256 / 2**bits)
    for name in ("a.png", "a.tif"):
        image, said = noted(tmp_path / name, caplog)
        np.testing.assert_array_equal(image[..., 0], expected)
        assert said == [
            f"More than 8 bits a pixel, of which values of {bits} bits become 0 to 255: 1 image, "
            f"such as {name}."
        ]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_grey_of_32_bits_is_scaled_where_it_has_a_range(tmp_path, dtype):
    values = np.arange(0, 4096, 7).reshape(2, -1)
    save(tmp_path / "a.tif", values.astype(dtype))
    np.testing.assert_array_equal(decode(tmp_path / "a.tif")[..., 0], values // 16)
    save(tmp_path / "a.tif", (values - 9).astype(dtype))
    with pytest.raises(UnreadableImage, match="pixels reach from -9.* save it with 8 or 16 bits"):
        decode(tmp_path / "a.tif")


def test_numbers_from_0_to_1(tmp_path):
    save(tmp_path / "a.tif", np.array([[0, 0.5, 1]], np.float32))
    assert decode(tmp_path / "a.tif")[..., 0].tolist() == [[0, 128, 255]]
    save(tmp_path / "a.tif", np.array([[0, np.nan, 1]], np.float32))
    with pytest.raises(UnreadableImage, match="reach from nan to nan"):
        decode(tmp_path / "a.tif")


@pytest.mark.parametrize(("most", "bits"), [(4095, 12), (16383, 14), (65535, 16)])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_of_16_bits_is_scaled_from_the_bits_it_has(tmp_path, rng, most, bits, channels):
    values = rng.integers(0, most, (20, 30, channels))
    values[0, 0] = most
    values[..., 3:] = 65535
    (tmp_path / "a.png").write_bytes(png(values, 16))
    np.testing.assert_array_equal(decode(tmp_path / "a.png"), values[..., :3] * 256 >> bits)
    (tmp_path / "a.tif").write_bytes(tiff(values[..., :3]))
    np.testing.assert_array_equal(decode(tmp_path / "a.tif"), values[..., :3] * 256 >> bits)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_impossible_metadata_does_not_cost_an_image(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save(path, np.zeros((4, 8, 3), np.uint8), exif=impossible_exif(6))
    assert decode(path).shape == (8, 4, 3)  # its orientation is possible


def test_unreadable_metadata_is_said_and_nothing_is_turned(tmp_path, monkeypatch, caplog):
    def broken(image):
        raise ZeroDivisionError("a rational")

    save(tmp_path / "a.jpg", np.zeros((4, 8, 3), np.uint8), exif=impossible_exif(6))
    monkeypatch.setattr(Image.Image, "getexif", broken)
    image, said = noted(tmp_path / "a.jpg", caplog)
    assert image.shape == (4, 8, 3)
    assert said == [
        "Metadata that cannot be read, so that nothing is turned: 1 image, such as a.jpg."
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_upright(tmp_path, rng, orientation, suffix, channels):
    upright = rng.integers(0, 256, (5, 9, channels), np.uint8)
    # The EXIF standard: where the first row and the first column of the file are in the scene.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x112] = orientation
    save(tmp_path / f"a{suffix}", np.ascontiguousarray(stored.squeeze()), exif=exif)
    np.testing.assert_array_equal(decode(tmp_path / f"a{suffix}"), upright)


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".webp", ".png"])
def test_of_several_frames_the_first_is_read_and_said(tmp_path, caplog, suffix):
    frames = [Image.fromarray(np.full((6, 6), value, np.uint8)) for value in (0, 200, 90)]
    options = {"lossless": True} if suffix == ".webp" else {}
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    image, said = noted(path, caplog)
    assert image.max() == 0
    (said,) = said
    assert said.startswith("Several frames or pages, of which the first is read: 1 image")
    frames[1].save(path)
    assert noted(path, caplog)[1] == []


def test_a_photograph_with_a_map_behind_it_is_one(tmp_path, caplog):
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (90, 0)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    image, said = noted(tmp_path / "a.jpg", caplog)
    assert image.shape == (16, 16, 3)
    assert said == []


def test_colours_of_printers_and_laboratories(tmp_path):
    rgb = np.full((8, 8, 3), (200, 60, 20), np.uint8)
    image = Image.fromarray(rgb)
    lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    ImageCms.applyTransform(image, lab).save(tmp_path / "lab.tif")
    image.convert("CMYK").save(tmp_path / "cmyk.tif")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    image.convert("YCbCr").save(tmp_path / "ycbcr.jpg", quality=100)
    for path in tmp_path.iterdir():
        np.testing.assert_allclose(decode(path).astype(int), rgb, atol=3, err_msg=path.name)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_large_images_are_decoded_smaller_by_a_rule_of_the_file_alone(tmp_path, rng, suffix):
    coarse = rng.integers(0, 256, (5, 6, 3), np.uint8)
    image = Image.fromarray(coarse).resize((600, 500), Image.Resampling.BICUBIC)
    image.save(tmp_path / f"a{suffix}")
    whole = decode(tmp_path / f"a{suffix}", WHOLE)
    assert whole.shape == (500, 600, 3)
    for least, shape in ((251, (500, 600)), (250, (250, 300)), (63, (125, 150)), (62, (63, 75))):
        smaller = decode(tmp_path / f"a{suffix}", Decoding(least_side=least))
        assert smaller.shape == (*shape, 3)
        expected = image.resize(shape[::-1], Image.Resampling.BOX)
        difference = np.abs(smaller.astype(int) - np.asarray(expected))
        assert difference.mean() < 4, least


def test_whoever_decodes_has_the_same_pixels(tmp_path, rng):
    noise = rng.integers(0, 256, (2100, 2200), np.uint8)
    save(tmp_path / "a.jpg", noise)
    save(tmp_path / "b.png", noise)
    source = FolderSource(str(tmp_path), "train")
    images = prepare(
        source, image_size=32, channels=1, strict=True, max_resident_bytes=1e9, resize="pad"
    )
    for i in range(2):
        array = decode(source.paths[i])
        assert array.shape == (1050, 1100, 1)
        np.testing.assert_array_equal(images.preparation.new([array])[0], images.array[i])
        np.testing.assert_array_equal(images.preparation.read(source.paths[i]), images.array[i])


def test_turned_and_made_smaller(tmp_path):
    halves = np.zeros((100, 200), np.uint8)
    halves[:, 100:] = 255
    exif = Image.Exif()
    exif[0x112] = 6
    for suffix in (".jpg", ".png", ".tif"):
        save(tmp_path / f"a{suffix}", halves, exif=exif)
        image = decode(tmp_path / f"a{suffix}", Decoding(least_side=50))
        assert image.shape == (100, 50, 1)
        assert (image[:40].max(), image[60:].min()) == (0, 255)


def test_the_limit_is_ours(tmp_path, monkeypatch):
    save(tmp_path / "a.png", np.zeros((2000, 1500), np.uint8))
    save(tmp_path / "b.gif", np.zeros((2000, 1500), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # pixels, of Pillow
    for name in ("a.png", "b.gif"):
        assert decode(tmp_path / name).shape[:2] == (2000, 1500)
        with pytest.raises(
            UnreadableImage, match="1500 x 2000 px; set dataset.max_megapixels to 3"
        ):
            decode(tmp_path / name, Decoding(max_megapixels=2.9))
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_threads_hold_few_large_images_at_once():
    budget, held, most = decoding._Budget(10 * 2**20), [], []

    def hold(pixels):
        with budget.of(pixels):
            held.append(min(pixels, 10 * 2**20))
            most.append(sum(held))
            time.sleep(0.002)
            held.remove(min(pixels, 10 * 2**20))

    sizes = [4 * 2**20, 6 * 2**20, 50 * 2**20] * 4
    threads = [threading.Thread(target=hold, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 12
    assert max(most) == 10 * 2**20


def test_a_large_image_that_fails_gives_its_share_back(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_budget", decoding._Budget(2**21))
    save(tmp_path / "a.png", np.zeros((1500, 1500), np.uint8))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        with pytest.raises(UnreadableImage, match="b.png"):
            decode(tmp_path / "b.png")
    assert decode(tmp_path / "a.png").shape == (1500, 1500, 1)
    save(tmp_path / "c.png", np.zeros((1000, 1000), np.uint8))
    with decoding._budget.of(2**21):  # small ones do not wait
        assert decode(tmp_path / "c.png").shape == (1000, 1000, 1)


def test_wrong_endings_do_not_matter(tmp_path):
    save(tmp_path / "a.png", np.full((3, 4), 7, np.uint8))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg").tolist() == np.full((3, 4, 1), 7).tolist()


@pytest.mark.skipif(".avif" not in readable(), reason="Pillow has no AVIF")
def test_avif(tmp_path):
    save(tmp_path / "a.avif", np.full((16, 16, 3), 90, np.uint8))
    assert abs(int(decode(tmp_path / "a.avif").mean()) - 90) <= 1


def test_heic(tmp_path, monkeypatch):
    if decoding.has_heif():
        import pillow_heif

        image = Image.fromarray(np.full((64, 64, 3), 90, np.uint8))
        pillow_heif.from_pillow(image).save(tmp_path / "a.jpg", quality=-1)  # as phones rename it
        assert decode(tmp_path / "a.jpg").shape == (64, 64, 3)
    monkeypatch.setattr(decoding, "has_heif", lambda: False)
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(UnreadableImage, match="it is HEIC; pip install pillow-heif"):
        decode(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"two\nlines.png", b"-rf.png", b"tab\t.png"])
def test_a_name_is_said_in_one_line(tmp_path, name, capfd):
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(b"no image")
    with pytest.raises(UnreadableImage) as caught:
        decode(os.fsdecode(path))
    assert str(caught.value).isprintable()
    str(caught.value).encode()


def test_files_in_memory(tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.full((3, 4), 7, np.uint8)).save(file, "PNG")
    assert Decoder()(file.getvalue(), "row 3").shape == (3, 4, 1)
    with pytest.raises(UnreadableImage, match="^row 3: "):
        Decoder()(file.getvalue()[:40], "row 3")
