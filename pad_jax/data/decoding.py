"""One decoder of image files, for every place that reads some."""

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageColor

from pad_jax.data import reading
from pad_jax.data.eight_bits import has_16_bits, in_8_bits, scale_key, swap_bytes
from pad_jax.data.reading import Opened, OutOfMemory, Withheld, patiently, printable
from pad_jax.errors import InputError

_log = logging.getLogger(__name__)

_Note = Callable[[str], None]

LEAST_SIDE = 1024  # px, twice what encoders take
_PIXELS_AT_ONCE = 2**26  # that all threads together hold decoded: 0.25 GiB in RGB
_UNCOUNTED = 2**20  # pixels; images of no more do not wait for others
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Of Pillow's decoders those of one image, whose size stands in its head, with the modules they are
# in. Others run programs (EPS), or hold a file of another size than they say (ICO, ICNS).
_FORMATS = {
    "AVIF": "Avif", "BMP": "Bmp", "DIB": "Bmp", "GIF": "Gif", "JPEG": "Jpeg", "JPEG2000": "Jpeg2K",
    "PCX": "Pcx", "PNG": "Png", "PPM": "Ppm", "SGI": "Sgi", "TGA": "Tga", "TIFF": "Tiff",
    "WEBP": "WebP",
}  # fmt: skip
# What Pillow says where a decoder in C finds no memory.
_NO_MEMORY = ("out of memory", "decoder error -9")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


class UnreadableImage(ValueError):
    """An image that cannot be decoded; the message names it."""

    def refused(self) -> InputError:
        """The error where no image may be left out."""
        return InputError(
            f"cannot decode {self}; mend or remove it, or skip it by --config.dataset.strict=False"
        )


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How a file becomes an array.

    That is a function of the file and of these values, so that an encoder sees the same pixels
    whoever decodes: the training, ``Model.embed``, or a user by ``decode``.

    Attributes:
      background: the colour that transparent images are laid over: a name as CSS has them, or
        "#rrggbb".
      max_megapixels: the largest image that is decoded; larger ones would fill the memory.
      least_side: px. Where its shorter side is at least this thereafter, an image is decoded at a
        half, a quarter or an eighth of its size: a JPEG by its decoder, which saves time and
        memory, others by means of their pixels. None: all in full size.
    """

    background: str = "white"
    max_megapixels: float = 256.0
    least_side: int | None = LEAST_SIDE

    @functools.cached_property  # every image asks for it
    def background_rgb(self) -> tuple[int, ...]:
        """Red, green and blue, 0 to 255."""
        return ImageColor.getrgb(self.background)[:3]


DEFAULT = Decoding()


def decode(path: str | os.PathLike, decoding: Decoding = DEFAULT) -> np.ndarray:
    """The image of a file, upright: uint8 [H, W, 1] if it is grey, else [H, W, 3].

    Of several frames or pages it is the first. What is transparent is laid over
    ``decoding.background``. An image whose shorter side has 2,048 px or more is decoded at a half,
    a quarter or an eighth of its size (``decoding.least_side``).

    Args:
      path: of a file: JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF, PPM, JPEG 2000, PCX, SGI or TGA; HEIC
        too, where pillow-heif is installed.
      decoding: how.

    Raises:
      UnreadableImage: naming the file, where it cannot be decoded.
      NotRead: an InputError, where the system does not give the file.
    """
    return Decoder(decoding)(path, os.fspath(path))


def decode_if_possible(path: str | os.PathLike, decoding: Decoding) -> np.ndarray | None:
    """As ``decode``; None for a file that cannot be decoded, or that the system does not give."""
    try:
        return decode(path, decoding)
    except (UnreadableImage, Withheld):
        return None


def from_pillow(image: Image.Image, decoding: Decoding = DEFAULT) -> np.ndarray:
    """The array of an image that Pillow has opened or made, as ``decode`` gives that of its file.

    Pillow alone decides how it is read: of colours of 16 bits it has the upper 8, and a JPEG is
    decoded in full size before it is made smaller.

    Args:
      image: in any mode. It is not changed, but loaded.
      decoding: how.

    Raises:
      UnreadableImage: where it cannot be read.
    """
    shrink = _shrink(image.width, image.height, decoding.least_side)
    try:
        pixels = np.asarray(_loaded(image, shrink, None, decoding, lambda text: None))
    except Exception as error:  # whatever Pillow's decoders and readers of metadata raise
        raise UnreadableImage(printable(str(error))) from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


class Decoder:
    """Decodes files, and remembers what there is to say of them.

    Args:
      decoding: how.
    """

    def __init__(self, decoding: Decoding = DEFAULT):
        self.decoding = decoding
        _openers()  # before files are open
        self._noted: dict[str, set[str]] = {}

    def __call__(self, file: str | os.PathLike | bytes, name: str) -> np.ndarray:
        """The image of a file, or of the bytes of one, as ``decode`` has it.

        Args:
          file: the path, or the bytes.
          name: what the image is called in messages.
        """

        try:
            return patiently(lambda: self._decoded(file, name), name)
        except OutOfMemory:
            if not _has_memory(self.decoding.max_megapixels):
                raise
            reason = "its decoder asks for more memory than the largest image takes"
            raise UnreadableImage(f"{printable(name)}: {reason}") from None

    def _decoded(self, file: str | os.PathLike | bytes, name: str) -> np.ndarray:
        """The image; what the system says is raised as it is."""

        def note(text: str) -> None:
            self._noted.setdefault(text, set()).add(name)  # once, however often it is decoded

        try:
            opened = Opened(file)
        except ValueError as error:
            raise UnreadableImage(f"{printable(name)}: {printable(str(error))}") from None
        with opened:
            try:
                pixels = np.asarray(_image(opened.stream, self.decoding, note))
            except Exception as error:  # whatever Pillow's decoders and readers of metadata raise
                opened.check()
                if reading.is_the_systems(error):  # such as a module of Pillow's, loaded late
                    raise
                if any(text in str(error) for text in _NO_MEMORY):
                    raise MemoryError from error
                what = str(error).partition(" <")[0]  # Pillow's names an object of Python's
                reason = f"{what or type(error).__name__}{_hint(opened.stream)}"
                raise UnreadableImage(f"{printable(name)}: {printable(reason)}") from error
            opened.check()
        return pixels[..., None] if pixels.ndim == 2 else pixels

    def tell(self) -> None:
        """Says in the log what was noted, and of how many images."""
        tell({text: (len(names), min(names)) for text, names in self._noted.items()})

    def take_notes(self) -> dict[str, tuple[int, str]]:
        """What was noted, of how many images and of which, for example; it is then forgotten."""
        noted, self._noted = self._noted, {}
        return {text: (len(names), min(names)) for text, names in noted.items()}


def tell(notes: Mapping[str, tuple[int, str]]) -> None:
    """Says in the log what was noted, of how many images and of which, for example."""
    for text, (count, name) in sorted(notes.items()):
        images = f"{count} image{'s' * (count != 1)}"
        _log.info("%s: %s, such as %s.", text, images, printable(name))


def _has_memory(megapixels: float) -> bool:
    """Whether an image of so many million pixels, in four channels, could be held."""
    try:
        np.empty(int(megapixels * 4e6), np.uint8)
    except MemoryError:
        return False
    return True


def _image(stream: BinaryIO, decoding: Decoding, note: _Note) -> Image.Image:
    """The image of a file in mode L or RGB."""
    formats = _openers()

    def opened() -> Image.Image:
        stream.seek(0)
        return Image.open(stream, formats=formats)

    def low_bytes() -> Image.Image:
        with opened() as image:
            swap_bytes(image)
            image.load()
            return image

    with _no_limit_of_pillows, opened() as image:
        width, height = image.size
        if width * height > decoding.max_megapixels * 1e6:
            raise ValueError(
                f"it has {width} x {height} px; set dataset.max_megapixels to "
                f"{-(-width * height // 10**6)} if there is memory for it"
            )
        # Phones put maps of depth behind a photograph, as MPO.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            note("Several frames or pages, of which the first is read")
        shrink = _shrink(width, height, decoding.least_side)
        if shrink > 1:
            image.draft(None, (width // shrink, height // shrink))  # JPEGs alone know of that
        is_whole = image.info.get("progressive")  # then its decoder holds all of it
        is_drafted = image.size != (width, height)
        pixels = width * height if is_whole else image.width * image.height
        with _budget.of(pixels) if pixels > _UNCOUNTED else contextlib.nullcontext():
            deep = low_bytes if has_16_bits(image) else None
            return _loaded(image, 1 if is_drafted else shrink, deep, decoding, note)


def _loaded(
    image: Image.Image,
    shrink: int,
    low_bytes: Callable[[], Image.Image] | None,
    decoding: Decoding,
    note: _Note,
) -> Image.Image:
    """An opened image in mode L or RGB, upright, its sides divided by ``shrink``."""
    if image.format == "TIFF":  # mapped into memory, those that lie come out in shreds
        name, image.filename = image.filename, ""
        image.load()
        image.filename = name
    scale_key(image)
    image.load()
    turn = _turn(image, note)
    loaded = in_8_bits(image, low_bytes, note)
    if shrink > 1:
        loaded = loaded.reduce(shrink)
    if loaded.mode in ("LA", "RGBA"):
        loaded = _over(loaded, decoding.background_rgb)
    return loaded.transpose(turn) if turn is not None else loaded


def _shrink(width: int, height: int, least_side: int | None) -> int:
    """By what the sides of an image are divided: 1, 2, 4 or 8."""
    if least_side is None:
        return 1
    return next((by for by in (8, 4, 2) if min(width, height) // by >= least_side), 1)


def _turn(image: Image.Image, note: _Note) -> Image.Transpose | None:
    """What makes a loaded image upright.

    ``ImageOps.exif_transpose`` would write all metadata anew, and stumbles over impossible ones.
    """
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:
        note("Metadata that cannot be read, so that nothing is turned")
        return None


def _over(image: Image.Image, background: tuple[int, ...]) -> Image.Image:
    """An image of mode LA or RGBA over a colour."""
    mode = "RGB" if image.mode == "RGBA" or len(set(background)) > 1 else "L"
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert(image.mode[:-1])
    below = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(below, image.convert("RGBA")).convert(mode)


def _hint(stream: BinaryIO) -> str:
    """What to do about a file that cannot be decoded, where that is known."""
    stream.seek(0)
    head = stream.read(12)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and not has_heif():
        return " (it is HEIC; pip install pillow-heif)"
    return ""


def has_heif() -> bool:
    """Whether HEIC can be read."""
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def _openers() -> tuple[str, ...]:
    """The formats that can be read here, by Pillow's names."""
    try:
        if has_heif():
            import pillow_heif

            pillow_heif.register_heif_opener()
        for module in _FORMATS.values():
            # Image.init() passes over what cannot be loaded, for want of file handles too; images
            # of that kind would then be none.
            if importlib.util.find_spec(plugin := f"PIL.{module}ImagePlugin"):
                importlib.import_module(plugin)
    except (ImportError, OSError) as error:
        raise InputError(
            f"what decodes images cannot be loaded ({error}); allow more open files, as by ulimit "
            "-n 4096, or install Pillow anew"
        ) from None
    return tuple(name for name in (*_FORMATS, "HEIF") if name in Image.OPEN)


class _Budget:
    """Pixels that threads share; who wants more than there are waits, and then has all."""

    def __init__(self, total: int):
        self._total = self._left = total
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= pixels)
            self._left -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()


class _NoLimitOfPillows:
    """While threads are inside, Pillow opens images of any size; ours is a setting.

    Pillow's limit is one for the whole process, and warns of images that are no danger.
    """

    def __init__(self):
        self._lock, self._inside, self._limit = threading.Lock(), 0, None

    def __enter__(self):
        with self._lock:
            if not self._inside:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                Image.MAX_IMAGE_PIXELS = self._limit


_budget = _Budget(_PIXELS_AT_ONCE)
_no_limit_of_pillows = _NoLimitOfPillows()
