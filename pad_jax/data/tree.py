"""The files below a folder that a user means, whatever else lies there."""

import collections
import dataclasses
import os
import pathlib

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
      closed: folders that cannot be looked into.
    """

    files: list[pathlib.Path] = dataclasses.field(default_factory=list)
    left_out: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    links: list[pathlib.Path] = dataclasses.field(default_factory=list)
    closed: list[pathlib.Path] = dataclasses.field(default_factory=list)


def is_users(name: str) -> bool:
    """Whether a file or folder of that name is one of the user's: not hidden, nor the system's."""
    return not name.startswith(".") and name.lower() not in _NOT_THE_USERS


def below(folder: pathlib.Path) -> Tree:
    """All files below a folder.

    A folder that can be reached in several ways, by links, is there once: where it lies, if that is
    below ``folder``; else by the first of its links, in the order of their paths. Links that lie in
    folders which are links come after all others.
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
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError:
            tree.closed.append(pathlib.Path(folder))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
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
