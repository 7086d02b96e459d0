"""A folder of images: ``split/class/file`` as in torchvision's ImageFolder, or a part of that."""

import collections
import logging
import os
import pathlib
from collections.abc import Collection

from pad_jax.data import classes, image_kinds, tree
from pad_jax.data.decoding import Decoder
from pad_jax.data.lists import SUFFIXES, ListSource
from pad_jax.data.parquet_images import SUFFIX, ParquetSource
from pad_jax.data.reading import printable
from pad_jax.data.source import WHOLE, DatasetSettings, Example, Source
from pad_jax.data.tree import Tree
from pad_jax.errors import InputError
from pad_jax.paths import expanded
from pad_jax.settings import Settings

_log = logging.getLogger(__name__)

# What folders of a split are called, in lower case.
_SPLITS = {
    "dev", "eval", "evaluation", "extra", "holdout", "test", "testing", "train", "training",
    "unlabeled", "unlabelled", "val", "valid", "validation",
}  # fmt: skip


def folder(settings: Settings, split: str) -> Source:
    """A split of the folder that ``dataset.root`` names; or of the list or file of images."""
    dataset = settings[DatasetSettings]
    root = expanded(dataset.root)
    if root.is_file() and root.suffix.lower() in SUFFIXES:
        return ListSource(settings, split)
    if root.is_file() and root.suffix.lower() == SUFFIX:
        return ParquetSource(settings, split)
    if dataset.root and root.is_dir() and not _has_images(root) and ParquetSource.is_in(root):
        return ParquetSource(settings, split)
    splits = [*dataset.train_splits, *dataset.test_splits]
    return FolderSource(dataset.root, split, Decoder(dataset.decoding), splits)


class FolderSource:
    """The images below a folder, in the order of their paths.

    Images inside a sub-folder have its name for a class, those directly in the folder none. Classes
    are numbered by their names over all splits, so that a number means the same in each.

    Args:
      root: a folder.
      split: a folder in it, in lower or upper case. "train" stands for ``root`` itself where there
        is no such folder, "." always.
      decoder: of the files.
      splits: what else is known to be the folder of a split, besides usual names.

    Raises:
      InputError: where there are no images, or it is not clear which of them are meant.
    """

    has_folders = True

    def __init__(
        self,
        root: str,
        split: str,
        decoder: Decoder | None = None,
        splits: Collection[str] = (),
    ):
        self.decoder = decoder or Decoder()
        if not root:
            raise InputError("dataset.root is not set; give the folder with your images")
        self._root = expanded(root)
        if not self._root.is_dir():
            raise InputError(
                f"dataset.root={root!r} is not a folder; give the one with your images, or a list "
                "of them (.txt, .csv), or a .parquet file"
                + "; for features give --config=features"
                * (self._root.suffix in (".npy", ".npz"))
            )
        self._is_all = split == WHOLE
        found = None if self._is_all else _inside(self._root, split)
        if found is None and not self._is_all and split != "train":
            names = ", ".join(path.name for path in _folders(self._root)) or "none"
            none = ", or dataset.test_split='' for none" * (split == "test")
            raise InputError(
                f"{root} has no folder {split!r} for that split; it has: {names}; give one{none}"
            )
        if split == "train":
            _ask_if_unclear(self._root, found, splits)
        folder = found or self._root
        self._tree = tree.below(folder)
        kinds = image_kinds.readable()
        self.paths = [path for path in self._tree.files if path.suffix.lower() in kinds]
        others = _others(self._tree, kinds)
        if not self.paths:
            raise InputError(
                f"{folder} has no images; dataset.root must hold files of the kinds "
                + " ".join(sorted(kinds))
                + "".join(f"; {text}" for text in others)
            )
        if len(self.paths) < len(self._tree.files):
            self._ask_if_both(folder)
        parents = [folder] if found is None else sorted({folder, *_folders(folder.parent)})
        numbers = classes.numbered(path.name for parent in parents for path in _folders(parent))
        self.class_names = tuple(numbers) or None
        # The first part of an image's path is its class, or the file itself.
        parts = (path.relative_to(folder).parts for path in self.paths)
        self._labels = [numbers[p[0]] if len(p) > 1 else None for p in parts]
        if found is not None:
            beside = {path.name for path in folder.parent.iterdir() if tree.is_users(path.name)}
            if names := sorted(beside - {folder.name}):
                others.append(f"not in this split: {_some(names)}")
        _log.info("%s: %s", folder, "; ".join([classes.counted(self._labels), *others]))

    def _ask_if_both(self, folder: pathlib.Path) -> None:
        """Raises InputError where there are images in Parquet files as well."""
        if shard := next(filter(ParquetSource.can_read, self._tree.files), None):
            raise InputError(
                f"{folder} has images as files ({_some([p.name for p in self.paths], 1)}), and as "
                f"rows of {shard.relative_to(folder)}; which are meant? Give dataset.root a folder "
                "that holds these alone, or move the others away"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, i: int) -> str:
        return str(self.paths[i].relative_to(self._root))

    def path(self, i: int) -> pathlib.Path:
        return self.paths[i].absolute()

    def identity(self, i: int) -> bytes:
        return os.fsencode(self.name(i))

    def shares_images_with(self, other: "FolderSource") -> bool:
        """Raises InputError where ``root`` itself stands for one of the two."""
        if set(self.paths).isdisjoint(other.paths):
            return False
        if self._is_all or other._is_all:
            raise InputError(
                f"dataset.train_split=. are all images of {self._root}, those of the other splits "
                "too; name the folder of the training images"
            )
        raise InputError(
            f"{self._root} has no folder 'train', so all its images are training images, those of "
            "the other splits too; move the training images into a folder of that name"
        )

    def __getitem__(self, i: int) -> Example:
        """Example i, its image uint8 [H, W, 1] if it is grey, else [H, W, 3]."""
        return Example(self.decoder(self.paths[i], str(self.paths[i])), self._labels[i])


def _folders(parent: pathlib.Path) -> list[pathlib.Path]:
    """The user's folders in a folder, by their names."""
    entries = tree.entries(parent)  # which need not be looked at one by one
    names = [e.name for e in entries if tree.is_users(e.name) and tree.is_folder(e)]
    return [parent / name for name in sorted(names)]


def _inside(root: pathlib.Path, split: str) -> pathlib.Path | None:
    """The folder of a split, by its name or, where there is none, by its name in any case."""
    if pathlib.PurePath(split).is_absolute() or ".." in pathlib.PurePath(split).parts:
        raise InputError(
            f"{split!r} is no split: it leads out of dataset.root={root}; give that another folder "
            "or a list of images"
        )
    if (root / split).is_dir():
        return root / split
    folder = root
    for part in pathlib.PurePath(split).parts:
        found = [path for path in _folders(folder) if path.name.lower() == part.lower()]
        if len(found) > 1:
            raise InputError(
                f"{folder} has {' and '.join(path.name for path in found)}; give the one that is "
                f"meant for {split!r} by its own name"
            )
        if not found:
            return None
        (folder,) = found
    return folder


def _ask_if_unclear(
    root: pathlib.Path, train: pathlib.Path | None, splits: Collection[str]
) -> None:
    """Raises InputError where "train" may be a class, or where there are other splits alone."""
    usual = _SPLITS | {split.lower() for split in splits}
    beside = [path for path in _folders(root) if path != train]
    of_split = [path for path in beside if path.name.lower() in usual]
    if train is None:
        if of_split and of_split == beside and not _has_images_itself(root):
            names = " and ".join(path.name for path in beside)
            raise InputError(
                f"{root} has no folder 'train', but {names}; which are the training images? Give "
                f"--config.dataset.train_split={beside[0].name} for those of one, "
                "--config.dataset.train_split=. for all, or move the training images into a folder "
                "'train'"
            )
        return
    if of_split or train.parent != root:
        return
    others = [path.name for path in beside if _has_images(path)]
    if others:
        raise InputError(
            f"{root} has a folder {train.name!r} beside others with images ({_some(others)}): is "
            "that one of the classes, or are those the training images? If a class, give "
            "--config.dataset.train_split=. ; if the training images, give "
            f"--config.dataset.root={train}"
        )


def _has_images(folder: pathlib.Path) -> bool:
    kinds = image_kinds.readable()
    for _, folders, names in os.walk(folder, onerror=_raise):
        if any(tree.is_users(name) and _ending(name) in kinds for name in names):
            return True
        folders[:] = filter(tree.is_users, folders)
    return False


def _raise(error: OSError) -> None:
    raise error


def _has_images_itself(folder: pathlib.Path) -> bool:
    kinds = image_kinds.readable()
    return any(tree.is_users(name) and _ending(name) in kinds for name in os.listdir(folder))


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _others(found: Tree, kinds: set[str]) -> list[str]:
    """What of a user's files is not among the images, and what to do about it."""
    endings = collections.Counter(path.suffix.lower() or "without ending" for path in found.files)
    left = {ending: n for ending, n in endings.most_common() if ending not in kinds}
    texts = []
    for text, own in image_kinds.advice(left).items():
        counts = ", ".join(f"{left.pop(ending)} {ending}" for ending in own)
        texts.append(f"not readable here: {counts} ({text})")
    if left:
        counts = [f"{n} {ending}" for ending, n in left.items()]
        texts.insert(0, f"left out, of other kinds: {_some(counts)}")
    if found.left_out:
        counts = [f"{n} files in {name}" for name, n in sorted(found.left_out.items())]
        texts.append(f"left out, of the system: {_some(counts)}")
    if found.links:
        names = [str(path) for path in found.links]
        texts.append(f"left out, links to folders that are here already: {_some(names)}")
    return texts


def _some(names: list[str], most: int = 5) -> str:
    return printable(", ".join([*names[:most], *(["..."] if len(names) > most else [])]))
