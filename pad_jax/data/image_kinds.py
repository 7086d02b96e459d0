"""Kinds of files by their ending: images, images that need something, and raw ones of cameras."""

import importlib.util
from collections.abc import Iterable

from pad_jax.data.decoding import has_heif

_ALWAYS = {
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff",
    ".webp",
}  # fmt: skip
_AVIF = {".avif"}
_HEIF = {".heic", ".heif", ".hif"}
_RAW = {
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".gpr", ".iiq", ".kdc", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw",
    ".x3f",
}  # fmt: skip


def readable() -> set[str]:
    """Endings of the images that can be read here, in lower case."""
    has_avif = importlib.util.find_spec("PIL._avif") is not None  # since Pillow 11.3
    return _ALWAYS | (_AVIF if has_avif else set()) | (_HEIF if has_heif() else set())


def advice(endings: Iterable[str]) -> dict[str, list[str]]:
    """What to do about images that cannot be read here.

    Args:
      endings: of files that cannot, in lower case; those of no images are passed over.

    Returns:
      For each advice the endings that it is for.
    """
    what = (
        (_HEIF, "pip install pillow-heif"),
        (_AVIF, "pip install 'pillow>=11.3'"),
        (_RAW, "raw files of cameras: save them as JPEG or TIFF, with darktable-cli for example"),
    )
    endings = list(endings)
    found = {text: [ending for ending in endings if ending in kinds] for kinds, text in what}
    return {text: found[text] for text in found if found[text]}
