"""Files of images that tests make."""

import pathlib
import struct
import zlib

import numpy as np
from PIL import Image


def save(path: pathlib.Path, array: np.ndarray, **options) -> None:
    """Writes an image, and the folders that it lies in where there are none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def png(array: np.ndarray, depth: int = 8, transparent: bytes = b"") -> bytes:
    """A PNG file: [H, W, C], C 1 (grey), 2 (with alpha), 3 (RGB) or 4, at 8 or 16 bits.

    Grey may have 1, 2 or 4 bits, too.

    Args:
      array: its values.
      depth: bits of a channel.
      transparent: what its tRNS chunk holds.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width, channels = array.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    if depth < 8:
        bits = np.unpackbits(array[..., :1].astype(np.uint8), axis=2)[..., -depth:]
        values = np.packbits(bits.reshape(height, -1), axis=1)
    else:
        values = array.astype(f">u{depth // 8}")
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    chunks = [
        (b"IHDR", header),
        (b"tRNS", transparent),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, data) for kind, data in chunks if data or kind != b"tRNS"
    )


def tiff(array: np.ndarray) -> bytes:
    """A TIFF file, not compressed, of colour in 16 bits: uint16 [H, W, 3]."""
    height, width, channels = array.shape
    entries = [  # tag, type (3: 16 bits, 4: 32 bits), value
        (256, 3, width), (257, 3, height), (258, 3, 16), (259, 3, 1), (262, 3, 2), (273, 4, 0),
        (277, 3, channels), (278, 3, height), (279, 4, array.size * 2), (284, 3, 1),
    ]  # fmt: skip
    bits_at = 8 + 2 + 12 * len(entries) + 4
    data_at = bits_at + 2 * channels
    file = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, value in entries:
        count, value = {258: (channels, bits_at), 273: (1, data_at)}.get(tag, (1, value))
        file += struct.pack("<HHII", tag, kind, count, value)
    return (
        file
        + struct.pack("<I", 0)
        + struct.pack("<H", 16) * channels
        + array.astype("<u2").tobytes()
    )


def impossible_exif(orientation: int) -> bytes:
    """Metadata with an orientation, and a resolution of -1 / 0."""
    entries = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    entries += struct.pack("<HHII", 0x11A, 10, 1, 8 + 2 + 24 + 4)
    directory = struct.pack("<H", 2) + entries + struct.pack("<I", 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory + struct.pack("<ii", -1, 0)
