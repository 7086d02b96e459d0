"""The files below a folder that a user means, whatever else lies there."""

import collections
import dataclasses
import errno
import os
import pathlib

from pad_jax.data import reading

# Folders that systems make for their own use, in lower case: thumbnails and versions that a NAS
# keeps, what was thrown away, what macOS and Windows add.
_NOT_THE_USERS = {
    "#recycle", "#snapshot", "$recycle.bin", "@eadir", "@recently-snapshot", "@recycle",
    "@sharebin", "__macosx", "lost+found", "recycled", "recycler", "system volume information",
    "thumbs",
}  # fmt: skip


@dataclasses.dataclass
class Tree:
    """What was found below a folder.

    Attributes:
      files: all but hidden ones, by their paths.
      left_out: files that lie in folders of the system's, by the name of those.
      links: links to folders whose files are there already.
    """

    files: list[pathlib.Path] = dataclasses.field(default_factory=list)
    left_out: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    links: list[pathlib.Path] = dataclasses.field(default_factory=list)


def is_users(name: str) -> bool:
    """Whether a file or folder of that name is one of the user's: not hidden, nor the system's."""
    return not name.startswith(".") and name.lower() not in _NOT_THE_USERS


def below(folder: pathlib.Path) -> Tree:
    """All files below a folder.

    A folder that can be reached in several ways, by links, is there once: where it lies, if that is
    below ``folder``; else by the first of its links, in the order of their paths. Links that lie in
    folders which are links come after all others.

    Raises:
      NotRead: for a folder that cannot be looked into: nobody knows how many images it has.
    """
    tree, seen = Tree(), set()
    ways = [folder]
    while ways:
        deeper: list[pathlib.Path] = []
        for way in sorted(ways):
            if not _walk(way, tree, seen, deeper):
                tree.links.append(way)
        ways = deeper
    tree.files.sort()
    tree.links.sort()
    return tree


def entries(folder: str | os.PathLike) -> list[os.DirEntry]:
    """What is in a folder; raises NotRead where it cannot be looked into."""

    def listed() -> list[os.DirEntry]:
        with os.scandir(folder) as found:
            return list(found)

    return reading.patiently(listed, os.fspath(folder))


def is_folder(entry: os.DirEntry) -> bool:
    """Whether it is a folder or a link to one; raises NotRead where a link's end is closed."""

    def looked_at() -> bool:
        try:
            return entry.is_dir()
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link to itself
                return False
            raise

    return reading.patiently(looked_at, entry.path)


def _walk(top: pathlib.Path, tree: Tree, seen: set[str], links: list[pathlib.Path]) -> bool:
    """Adds the files of a folder and of those in it; False if it was seen before.

    Args:
      top: the folder, or a link to one.
      tree: what they are added to.
      seen: real paths of folders; those of this one are added.
      links: gets the links to folders that lie in it.
    """
    real_top = os.path.realpath(top)
    if real_top in seen:
        return False
    waiting = [(os.fspath(top), real_top)]
    while waiting:
        folder, real = waiting.pop()
        if real in seen:
            continue
        seen.add(real)
        for entry in entries(folder):
            if entry.name.startswith("."):
                continue
            if not is_folder(entry):
                tree.files.append(pathlib.Path(entry.path))
            elif not is_users(entry.name):
                tree.left_out[entry.name] += _count(entry.path)
            elif entry.is_symlink():
                links.append(pathlib.Path(entry.path))
            else:
                waiting.append((entry.path, os.path.join(real, entry.name)))
    return True


def _count(folder: str) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))
