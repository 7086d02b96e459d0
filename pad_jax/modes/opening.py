"""What a command line names, opened: the images of a run, others, or what features are of."""

import contextlib
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

import pad_jax
from pad_jax import config as configs
from pad_jax import data, run_images
from pad_jax.collection import Collection
from pad_jax.data import csv_files, feature_files
from pad_jax.data.decoding import Decoding, decode_if_possible
from pad_jax.data.features import Files
from pad_jax.data.preparation import PIXELS
from pad_jax.data.reading import Withheld
from pad_jax.data.source import DatasetSettings, UnreadableImage, called
from pad_jax.errors import InputError
from pad_jax.graph.groups import by_falling_size, from_labels
from pad_jax.graph.rows import unit_rows
from pad_jax.modes.base import Call, changes
from pad_jax.paths import expanded
from pad_jax.run import folder, identity
from pad_jax.run.checkpoints import chosen_epoch

_log = logging.getLogger(__name__)


def open_call(call: Call, epoch: int | None = None) -> Collection:
    """What a command line names: a run, by --workdir, or a file of --features; --images of either.

    Args:
      call: the command line.
      epoch: of the run's checkpoint, where the caller has chosen it.

    Raises:
      InputError: where that cannot be read, or does not go together.
    """
    return _of_run(call, epoch) if call.features is None else _of_features(call)


def _of_run(call: Call, epoch: int | None) -> Collection:
    """A run's training images, or others, as its encoder sees them."""
    workdir = call.run_folder
    preparation = folder.read_preparation(workdir)
    takes_images = preparation.kind == PIXELS or preparation.extractor is not None
    changed = changes(call)
    for field in ("dataset.image_size", "dataset.channels", "dataset.resize"):
        if field in changed and field in call.overrides:
            raise InputError(
                f"--config.{field} has no meaning here: images go the way of those that {workdir} "
                "was trained on; leave it out"
            )
    epoch = chosen_epoch(workdir, epoch or call.epoch)
    settings = configs.read(call.config)
    if call.images is not None:
        for field in ("name", "root", "train_split"):
            if f"dataset.{field}" in call.overrides:
                raise InputError(
                    f"--config.dataset.{field} has no meaning beside --images; leave it out"
                )
        if not takes_images:
            raise InputError(
                f"--images={call.images} cannot be embedded: {workdir} was trained on features, "
                "and what extracted them is not known; leave it out (where the images are, "
                "--config.dataset.paths=FILE says)"
            )
        others = dataclasses.replace(
            settings[DatasetSettings],
            name="folder",
            root=str(call.images),
            train_split=data.whole(call.images),
        )
        # What the run says of its own images is not of these; what the command line says, is.
        own = {"labels": "", "max_images": None}
        own = {k: v for k, v in own.items() if f"dataset.{k}" not in call.overrides}
        settings = settings.replaced(dataclasses.replace(others, **own))
    load = functools.cache(lambda: pad_jax.load(workdir, epoch))
    with called("--images") if call.images is not None else contextlib.nullcontext():
        selection = data.training_samples(settings)
    if selection.kind not in (preparation.kind, *([PIXELS] if takes_images else [])):
        raise InputError(
            f"dataset: it has {selection.kind}, and {workdir} was trained on {preparation}; give a "
            "data set of these"
        )
    name = run_images.OWN if call.images is None else run_images.OTHERS
    rows: np.ndarray
    embeddings, rows, labels = run_images.embedded(
        selection,
        settings[DatasetSettings],
        workdir,
        epoch,
        load,
        name=name,
    )
    own_picture = selection.picture

    def path(i: int) -> pathlib.Path | None:
        return selection.path(int(rows[i]))

    def unfiled(i: int) -> np.ndarray | None:
        if selection.kind == PIXELS:
            return selection[int(rows[i])].image
        return own_picture(int(rows[i]))

    names = [selection.name(i) for i in rows.tolist()]
    asks_for_others = any(field.startswith("grouping.") for field in changed)

    def known() -> np.ndarray | None:
        if call.images is not None or asks_for_others or call.epoch is not None:
            return None
        if epoch != folder.last_epoch(workdir):  # whose groups they are
            return None
        return _groups_of_run(workdir, names, selection.sizes(rows))

    return Collection(
        embeddings=_unit_rows(embeddings, f"the embeddings by {workdir}"),
        names=names,
        path=path,
        picture=_picture(path, unfiled, settings[DatasetSettings].decoding),
        labels=_told_apart(labels),
        folder=workdir,
        settings=settings,
        embed=(lambda files: load().embed(files)) if takes_images else None,
        kept=name,
        known=known,
        where=_where(call, selection.kind),
        root=_folder_of(settings[DatasetSettings]),
        decoding=settings[DatasetSettings].decoding,
    )


def _folder_of(dataset: DatasetSettings) -> pathlib.Path | None:
    root = expanded(dataset.root)
    return root if dataset.name == "folder" and root.is_dir() else None


def _where(call: Call, kind: str) -> str:
    """The flag that says where the images of a run, or others, are."""
    if call.images is not None:
        return "--images"
    return "--config.dataset." + ("root" if kind == PIXELS else "paths")


def _groups_of_run(
    workdir: pathlib.Path, names: list[str], sizes: Sequence[int]
) -> np.ndarray | None:
    """The groups of groups.csv, where it has these images; None elsewhere.

    Raises:
      InputError: where the file is damaged: groups found anew would be others.
    """
    if not folder.has_groups(workdir):  # of a run that has not ended, or whose groups overlap
        return None
    grouped, groups = folder.read_groups(workdir)
    if grouped != names or not identity.have_sizes(folder.read_run(workdir), sizes):
        new, gone = len(set(names) - set(grouped)), len(set(grouped) - set(names))
        others = f"{new} new, {gone} gone" if new or gone else "of the same names"
        _log.warning(
            "These are other images than those of %s (%s): groups are found anew, and are not "
            "those of its groups.csv.",
            *(workdir, others),
        )
        return None
    return by_falling_size(from_labels(groups))  # runs of old number otherwise


def _of_features(call: Call) -> Collection:
    """Anybody's features, and the images that they are of."""
    file = call.features
    found = feature_files.read(file, "--features")
    features = found.features if found.features.ndim == 2 else found.features[0]
    bases = [pathlib.Path(), file.parent]
    if made_of := (found.extractor or {}).get("images"):
        bases.insert(0, pathlib.Path(made_of))
    if call.images is not None and not call.images.exists():
        raise InputError(
            f"--images={call.images} does not exist; give a text file of the images' paths, or the "
            "folder that these begin in"
        )
    if call.images is not None and call.images.is_dir():
        names = file.with_suffix(".csv")  # as --mode=embed writes it
        if found.paths is None and csv_files.has_names(names, labels=False):
            paths = csv_files.images(names, str(names))
            found = found._replace(paths=paths if len(paths) == len(features) else None)
        if found.paths is None:
            raise InputError(
                f"--images={call.images} is a folder, and --features={file} has no paths of images "
                "in it; give a text file with the path of an image a line, in the order of the rows"
            )
        bases = [call.images]
    elif call.images is not None:
        found = found._replace(paths=feature_files.read_paths(call.images, "--images"))
        feature_files.check_paths(f"--images={call.images}", found)
        bases.insert(0, call.images.parent)
    paths, count = found.paths, len(features)
    settings = configs.read(call.config)
    decoding = settings[DatasetSettings].decoding
    path = Files(paths, bases)
    unknown = np.full(count, -1, np.int64)
    return Collection(
        embeddings=_unit_rows(features, f"--features={file}"),
        names=[(paths[i] if paths else "") or str(i) for i in range(count)],
        path=path,
        picture=_picture(path, lambda i: None, decoding),
        labels=unknown if found.labels is None else _told_apart(found.labels.astype(np.int64)),
        folder=file.absolute().parent,
        prefix=f"{file.name}.",
        settings=settings,
        decoding=decoding,
    )


def _unit_rows(features: np.ndarray, what: str) -> np.ndarray:
    """Rows of length one; an InputError for one of zeros, or that is not finite."""
    try:
        return unit_rows(features)
    except ValueError as error:
        raise InputError(f"{what}: {error}") from None


def _picture(
    path: Callable[[int], pathlib.Path | None],
    unfiled: Callable[[int], np.ndarray | None],
    decoding: Decoding,
) -> Callable[[int], np.ndarray | None]:
    """A function of i: the image of row i, from its file, or as ``unfiled`` says if it has none."""

    def picture(i: int) -> np.ndarray | None:
        if (file := path(i)) is not None:
            return decode_if_possible(file, decoding)
        try:
            return unfiled(i)
        except (UnreadableImage, Withheld):
            return None

    return picture


def _told_apart(labels: np.ndarray) -> np.ndarray:
    """Classes, where there are several; those of one folder tell nothing."""
    return labels if len(set(labels.tolist()) - {-1}) > 1 else np.full_like(labels, -1)
