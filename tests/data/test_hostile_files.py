"""Files made to harm: each is read or counted, none is believed, and nothing in them is run."""

import io
import logging
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import zlib

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from pad_jax import config, data, runtime
from pad_jax.data import feature_files
from pad_jax.data.decoding import Decoder, UnreadableImage, decode
from pad_jax.data.folder import FolderSource
from pad_jax.data.images import prepare
from pad_jax.errors import InputError
from pad_jax.run import cache
from tests.support.image_files import save
from tests.support.mutations import mutated, originals


def test_whole_files_are_read_and_damaged_ones_read_or_counted(tmp_path, rng, caplog):
    for name, content in originals(rng).items():
        (tmp_path / f"whole {name}").write_bytes(content)
    whole = len(list(tmp_path.iterdir()))
    for name, content in mutated(rng, 60):
        (tmp_path / name).write_bytes(content)
    options = {"image_size": 8, "channels": 3, "strict": False, "max_resident_bytes": 0}
    with caplog.at_level(logging.WARNING):
        images = prepare(FolderSource(str(tmp_path), "train"), **options)
    skipped = [r.getMessage() for r in caplog.records if "Skipped, cannot" in r.getMessage()]
    assert len(images) + len(skipped) == whole + 60
    assert f"Skipped {len(skipped)} of {whole + 60} images" in caplog.text
    assert 5 < len(skipped) < 60
    assert not [line for line in skipped if "/whole " in line]


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def bombs():
    """Small files of images that would fill the memory, by their names."""
    side = 60_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(bytes(10**6)))
    png = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + pixels + _chunk(b"IEND", b"")
    yield "bomb.png", png
    # A small picture by its head, which holds the large one.
    yield "icon.png", struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(png), 22) + png
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "tiff", compression="tiff_lzw")
    tiff = bytearray(buffer.getvalue())
    (directory,) = struct.unpack_from("<I", tiff, 4)
    for i in range(struct.unpack_from("<H", tiff, directory)[0]):
        entry = directory + 2 + 12 * i
        if struct.unpack_from("<H", tiff, entry)[0] in (256, 257, 278):
            struct.pack_into("<HII", tiff, entry + 2, 4, 1, side)
    yield "bomb.tif", bytes(tiff)
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "gif")
    gif = bytearray(buffer.getvalue())
    struct.pack_into("<HH", gif, 6, side, side)
    yield "bomb.gif", bytes(gif)
    bmp = struct.pack("<2sIHHI", b"BM", 100, 0, 0, 54)
    yield "bomb.bmp", bmp + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 1, 1, 0, 0)
    yield "bomb.ppm", b"P6 60000 60000 255\n"
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "webp", lossless=True)
    webp = bytearray(buffer.getvalue())
    struct.pack_into("<I", webp, 21, 16383 | 16383 << 14)  # the largest that the format knows
    yield "bomb.webp", bytes(webp)


BOMBS = """
import pathlib, resource, sys
from pad_jax.data.decoding import UnreadableImage, decode
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1200 * 2**20, -1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        decode(path)
    except UnreadableImage as error:
        print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured as Linux does")
def test_bombs_are_refused_and_take_no_memory(tmp_path):
    for name, content in bombs():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", BOMBS, tmp_path]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    *lines, kib = found.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == list(map(str, sorted(tmp_path.iterdir())))
    large = [
        line for line in lines if "60000 x 60000 px; set dataset.max_megapixels to 3600" in line
    ]
    assert len(large) == 5
    assert int(kib) < 100 * 2**10


def test_nothing_is_decoded_that_runs_a_program(tmp_path, monkeypatch):
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/has_run\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    page = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_text(page)
    with pytest.raises(UnreadableImage, match="cannot identify image file"):
        decode(tmp_path / "a.png")
    assert not (tmp_path / "has_run").exists()


class Evil:
    """Makes a file where it is unpickled."""

    def __init__(self, path: pathlib.Path):
        self._path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self._path,)


def hostile_arrays(folder, evil):
    """Files with a pickle in the place of numbers: what they are given for, and their names."""
    objects = np.array([evil, evil], object)
    np.save(folder / "object.npy", objects, allow_pickle=True)
    (folder / "bare.npy").write_bytes(pickle.dumps(evil))
    (folder / "bare.npz").write_bytes(pickle.dumps(evil))
    np.savez(folder / "x.npz", x_train=objects)
    np.savez(folder / "y.npz", x_train=np.zeros((2, 8, 8), np.uint8), y_train=objects)
    np.savez(folder / "features.npz", features=objects)
    features = np.eye(2, dtype=np.float32)
    for name in ("labels", "paths", "extractor"):
        np.savez(folder / f"{name}.npz", features=features, **{name: objects})
    np.savez(folder / "deep.npz", features=features, extractor=np.array("[" * 10**5))
    (folder / "header.npy").write_bytes(b"\x93NUMPY\1\0\x20\0" + b"{'descr': (" + b"[" * 21)
    (folder / "bare.parquet").write_bytes(pickle.dumps(evil))
    pyarrow.parquet.write_table(
        pyarrow.table({"image": [pickle.dumps(evil)] * 2}), folder / "rows.parquet"
    )
    for name in ("object.npy", "bare.npy", "bare.npz", "features.npz", "header.npy", "deep.npz"):
        yield "features", name
    yield from (("features", f"{name}.npz") for name in ("labels", "paths", "extractor"))
    yield from (("npz", name) for name in ("x.npz", "y.npz", "bare.npz"))
    yield from (("folder", name) for name in ("bare.parquet", "rows.parquet"))
    yield "parquet", "rows.parquet"


def test_pickles_are_refused_in_one_line_and_not_run(tmp_path):
    touched = tmp_path / "has_run"
    pickle.loads(pickle.dumps(Evil(touched)))
    assert touched.exists()  # it would
    touched.unlink()
    for name, file in hostile_arrays(tmp_path, Evil(touched)):
        settings = config.default()
        settings.dataset.update(name=name, root=str(tmp_path / file), test_split="", image_size=8)
        with pytest.raises(InputError) as error:
            data.load(config.read(settings))
        assert "\n" not in str(error.value)
        assert not touched.exists(), (name, file)


def test_a_planted_cache_is_none(tmp_path):
    touched = tmp_path / "has_run"
    (tmp_path / "cache").mkdir()
    np.savez(tmp_path / "cache/own.npz", key=np.array("k"), rows=np.array([Evil(touched)], object))
    assert cache.read(tmp_path, "own", "k", ["rows"]) is None
    (tmp_path / "cache/own.npz").write_bytes(pickle.dumps(Evil(touched)))
    assert cache.read(tmp_path, "own", "k", ["rows"]) is None
    assert not touched.exists()
    cache.write(tmp_path, "own", "k", {"rows": np.arange(3)})
    assert cache.read(tmp_path, "own", "k", ["rows"])["rows"].tolist() == [0, 1, 2]
    assert cache.read(tmp_path, "own", "k", ["rows", "labels"]) is None


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="root alone gives away")
def test_a_cache_of_another_user_is_none(tmp_path):
    cache.write(tmp_path, "own", "k", {"rows": np.arange(3)})
    os.chown(tmp_path / "cache/own.npz", 65534, 65534)
    assert cache.read(tmp_path, "own", "k", ["rows"]) is None
    os.chown(tmp_path, 65534, 65534)  # the owner of the run
    assert cache.read(tmp_path, "own", "k", ["rows"]) is not None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
def test_compiled_programs_of_others_are_not_run(tmp_path, monkeypatch, caplog):
    used = []
    monkeypatch.setattr(runtime.jax.config, "update", lambda name, value: used.append(value))
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: None)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    runtime.configure()
    assert used == [str(tmp_path / "pad_jax")]  # there is none yet
    (tmp_path / "pad_jax").mkdir()
    runtime.configure()
    assert len(used) == 2
    (tmp_path / "pad_jax").chmod(0o777)
    runtime.configure()
    (tmp_path / "pad_jax").chmod(0o755)
    if os.getuid() == 0:
        os.chown(tmp_path / "pad_jax", 65534, 65534)
        runtime.configure()
    assert len(used) == 2
    assert "pad_jax is not used: others than this user can write there" in caplog.text


def test_paths_that_no_file_can_have_are_no_file(tmp_path):
    save(tmp_path / "a.png", np.zeros((8, 8), np.uint8))
    names = ["x" * 5000, "a\0.png", "../" * 2000 + "a.png"]
    np.savez(tmp_path / "f.npz", features=np.eye(3, dtype=np.float32), paths=names)
    assert feature_files.read(tmp_path / "f.npz", "--features").paths == names
    settings = config.default()
    settings.dataset.update(name="features", root=str(tmp_path / "f.npz"), test_split="")
    images = data.load(config.read(settings)).train
    assert [images.path(i) for i in range(2)] == [None, None]
    (tmp_path / "list.txt").write_text(f"a.png\n{'x' * 5000}.png\n")
    settings.dataset.update(name="list", root=str(tmp_path / "list.txt"), image_size=8)
    with pytest.raises(InputError, match="File name too long"):
        data.load(config.read(settings))


def test_decoding_in_many_threads_has_one_limit(tmp_path):
    name, content = next(bombs())
    with pytest.raises(UnreadableImage, match="60000 x 60000 px"):
        Decoder()(content, name)
    assert Image.MAX_IMAGE_PIXELS  # Pillow's own is back
