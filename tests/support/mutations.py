"""Image files of all formats, and what becomes of them where bytes are lost or changed."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from pad_jax.data import image_kinds
from tests.support import image_files

_EXTREMES = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def originals(rng: np.random.Generator) -> dict[str, bytes]:
    """Whole files, by names that say what is in them and end as files of their format do."""
    if image_kinds.has_heif():
        import pillow_heif

        pillow_heif.register_heif_opener()
    coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8))
    colour = coarse.resize((72, 48), Image.Resampling.BICUBIC)
    kinds = {"colour": colour, "grey": colour.convert("L"), "palette": colour.convert("P")}
    kinds |= {"alpha": colour.convert("RGBA"), "cmyk": colour.convert("CMYK")}
    kinds["one bit"] = colour.convert("1")
    frames = {"save_all": True, "append_images": [kinds["palette"].rotate(90)]}
    exif = Image.Exif()
    exif[0x112] = 6
    wanted = [
        ("png", "colour", {}), ("png", "grey", {}), ("png", "palette", {}), ("png", "alpha", {}),
        ("png", "one bit", {}), ("jpg", "colour", {"exif": exif}), ("jpg", "grey", {}),
        ("jpg", "colour", {"progressive": True}), ("jpg", "cmyk", {}), ("webp", "colour", {}),
        ("webp", "alpha", {"lossless": True}), ("webp", "colour", frames), ("gif", "palette", {}),
        ("gif", "palette", frames), ("bmp", "colour", {}), ("bmp", "palette", {}),
        ("bmp", "one bit", {}), ("ppm", "colour", {}), ("pgm", "grey", {}), ("tif", "colour", {}),
        ("tif", "colour", {"compression": "tiff_lzw"}), ("tif", "grey", {"exif": exif}),
        ("tif", "colour", {"compression": "jpeg"}), ("tif", "one bit", {"compression": "group4"}),
        ("tif", "alpha", {"compression": "tiff_adobe_deflate", "save_all": True}),
        ("avif", "colour", {}), ("heic", "colour", {}),
    ]  # fmt: skip
    files = {}
    for i, (ending, kind, options) in enumerate(wanted):
        if f".{ending}" in image_kinds.readable():
            buffer = io.BytesIO()
            format = {"jpg": "jpeg", "tif": "tiff", "pgm": "ppm", "heic": "heif"}.get(ending)
            kinds[kind].save(buffer, format or ending, **options)
            files[f"{i:02} {kind}.{ending}"] = buffer.getvalue()
    deep = rng.integers(0, 4096, (24, 36, 3), np.uint16)
    files["deep.png"] = image_files.png(deep, 16)
    files["deep.tif"] = image_files.tiff(deep)
    return files


def mutated(rng: np.random.Generator, count: int) -> Iterator[tuple[str, bytes]]:
    """So many damaged files, each format as often as any other: names and contents."""
    files = originals(rng)
    by_ending: dict[str, list[str]] = {}
    for name in files:
        by_ending.setdefault(name.rpartition(".")[2], []).append(name)
    endings, ways = sorted(by_ending), sorted(_WAYS)
    for i in range(count):
        ending, way = endings[i % len(endings)], ways[i // len(endings) % len(ways)]
        own = files[str(rng.choice(by_ending[ending]))]
        other = files[str(rng.choice(sorted(files)))]
        yield f"{i:04} {way}.{ending}", bytes(_WAYS[way](bytearray(own), bytearray(other), rng))


def _bits(data: bytearray, other: bytearray, rng: np.random.Generator) -> bytearray:
    """Some bits anywhere are turned over."""
    return _turned(data, rng.integers(0, len(data) * 8, rng.integers(1, 33)))


def _head(data: bytearray, other: bytearray, rng: np.random.Generator) -> bytearray:
    """Some bits of the first bytes, where sizes and kinds stand."""
    return _turned(data, rng.integers(0, min(64, len(data)) * 8, rng.integers(1, 5)))


def _numbers(data: bytearray, other: bytearray, rng: np.random.Generator) -> bytearray:
    """A number becomes 0, or one of the largest: a size, a length, an offset."""
    size, value = int(rng.choice([1, 2, 4])), int(rng.choice(_EXTREMES))
    at = int(rng.integers(2, min(len(data), 400) - size))
    order = str(rng.choice(["big", "little"]))
    data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, order)
    return data


def _cut(data: bytearray, other: bytearray, rng: np.random.Generator) -> bytearray:
    """The end is lost; now and then all but nothing is left."""
    return data[: int(len(data) * rng.random() ** 2)]


def _hole(data: bytearray, other: bytearray, rng: np.random.Generator) -> bytearray:
    """Bytes from the middle are lost, or there twice."""
    first, last = np.sort(rng.integers(0, len(data), 2)).tolist()
    return data[:first] + data[last:] if rng.random() < 0.5 else data[:last] + data[first:]


def _zeros(data: bytearray, other: bytearray, rng: np.random.Generator) -> bytearray:
    """A block that was never written."""
    first = int(rng.integers(0, len(data)))
    data[first : first + 512] = bytes(len(data[first : first + 512]))
    return data


def _joined(data: bytearray, other: bytearray, rng: np.random.Generator) -> bytearray:
    """The head of one file and the rest of another."""
    at = int(rng.integers(4, 200))
    return data[:at] + other[at:]


def _turned(data: bytearray, places: np.ndarray) -> bytearray:
    for place in places.tolist():
        data[place // 8] ^= 1 << place % 8
    return data


_WAYS = {
    "bits": _bits, "head": _head, "numbers": _numbers, "cut": _cut, "hole": _hole, "zeros": _zeros,
    "joined": _joined,
}  # fmt: skip
