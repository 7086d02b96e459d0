"""--mode=sort: into folders by k-means, by what the images fall into, or by groups alone."""

import os
import pathlib

import numpy as np
import pytest

from pad_jax.errors import InputError
from pad_jax.modes import sort
from pad_jax.modes.opening import open_call
from tests.support.piles import pile


def placed(folder):
    """Which top folder the original of each link is in."""
    links = [p for p in folder.rglob("*") if p.is_symlink()]
    return {os.readlink(p): p.relative_to(folder).parts[0] for p in links}


def test_sorted_by_kmeans(run, call, given, tmp_path):
    given(clusters=3, copy=False)
    said = sort.MODE.run(call(run, output=tmp_path / "out"))
    assert said == f"151 images in 3 clusters\nWritten: {tmp_path}/out"
    found = placed(tmp_path / "out")
    assert len(found) == 151
    sizes = [list(found.values()).count(f"cluster_{i}") for i in (1, 2, 3)]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == 151
    # Digits of three kinds in three clusters: most of each are together.
    for kind in range(3):
        own = [c for path, c in found.items() if pathlib.Path(path).parent.name == str(kind)]
        assert max(own.count(c) for c in set(own)) > 0.6 * len(own)


def test_sorted_by_what_the_images_fall_into(run, call, given, tmp_path):
    given(clusters=None, copy=False)
    sort.MODE.run(call(run, output=tmp_path / "out"))
    collection = open_call(call(run))
    found = placed(tmp_path / "out")
    assert len(found) == 151
    alone = (collection.groups.labels_ < 0) & (collection.hierarchy.labels_ < 0)
    for i in range(151):
        assert (found[str(collection.path(i))] == "ungrouped") == alone[i]
    for group in range(collection.groups.labels_.max() + 1):
        links = list((tmp_path / "out").glob(f"*/group_{group + 1:02}/*"))
        assert len(links) == np.sum(collection.groups.labels_ == group)
        assert len({link.parent for link in links}) == 1


def test_where_nothing_stands_apart_groups_lie_at_the_top(tmp_path):
    """One cluster of nearly all images says as much."""
    collection = pile(tmp_path, [f"{i}.png" for i in range(5)], [0, 0, 1, 1, -1], [0, 0, 0, 0, -1])
    folders = ["group_1", "group_1", "group_2", "group_2", "ungrouped"]
    assert sort.by_hierarchy(collection) == folders
    none = pile(tmp_path, collection.names, [0, 0, 1, 1, -1], [-1] * 5)
    assert sort.by_hierarchy(none) == folders


def test_a_group_lies_where_most_of_its_images_are(tmp_path):
    group, cluster = [0, 0, 0, 1, 1, 1, 2, 2, -1], [0, 1, 1, -1, -1, 0, -1, 1, 0]
    collection = pile(tmp_path, [f"{i}.png" for i in range(9)], group, cluster)
    expected = ["cluster_2/group_1"] * 3 + ["other_groups/group_2"] * 3
    expected += ["cluster_2/group_3"] * 2 + ["cluster_1"]
    assert sort.by_hierarchy(collection) == expected
    alone = pile(tmp_path, collection.names, [-1] * 9, cluster)
    assert sort.by_hierarchy(alone)[:4] == ["cluster_1", "cluster_2", "cluster_2", "ungrouped"]


def test_images_without_files_are_sorted_as_png(run_without_files, call, given, tmp_path):
    given(clusters=2, copy=False)
    sort.MODE.run(call(run_without_files, output=tmp_path / "out"))
    files = list((tmp_path / "out").rglob("*.png"))
    assert len(files) == 100
    assert not any(file.is_symlink() for file in files)


def test_features_and_paths_are_sorted(features, call, given, tmp_path):
    given(clusters=2, copy=True)
    sort.MODE.run(
        call(
            features=features / "mine.npz",
            images=features / "paths.txt",
            output=tmp_path / "out",
        )
    )
    kinds = {}
    paths = (features / "paths.txt").read_text().split()
    for path in map(pathlib.Path, paths):
        (copy,) = (tmp_path / "out").rglob(path.name)
        kinds.setdefault(path.parent.name, set()).add(copy.parent.name)
    assert sorted(map(len, kinds.values())) == [1, 1]


def test_no_folder_is_made_among_the_images(run, digits_in_a_folder, features, call, given):
    given(clusters=2, copy=False)
    inside = digits_in_a_folder / "0" / "sorted"
    for made in (
        call(run, output=inside),
        call(run, images=digits_in_a_folder / "0", output=inside),
    ):
        with pytest.raises(InputError, match="--output=.*sorted lies inside of "):
            sort.MODE.run(made)
    assert not inside.exists()
