"""A trained encoder, ready to embed images."""

import functools
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import flax.linen as nn
import numpy as np

from pad_jax import config as configs
from pad_jax import data, extractors, models, parallel, run_images
from pad_jax.data import augmentation, given
from pad_jax.data.preparation import Pixels, Preparation, pixels_of
from pad_jax.data.source import DatasetSettings
from pad_jax.embedding import Embedder, collected
from pad_jax.errors import InputError
from pad_jax.extractors import Extractor
from pad_jax.graph import queries as known_rows
from pad_jax.graph.search import Graph
from pad_jax.paths import expanded
from pad_jax.run import checkpoints, folder, identity
from pad_jax.settings import Settings

_BATCH_SIZE = 256  # images of a batch of the encoder's
_EXTRACTED = 64  # and of an extractor's


class Model:
    """An encoder with its variables.

    Attributes:
      settings: of the run.
      encoder: the Flax module; ``encoder.apply(variables, images)`` gives all named features of
        images as it is trained on them: float32 [B, H, W, C], from -1 to 1 unless the augmentation
        says otherwise. ``embed`` takes them as they are.
      variables: its parameters and batch statistics, NumPy.
      preparation: what the images, or the features, it was trained on went through.
      epoch: how many epochs it was trained.
      workdir: the run's folder.
    """

    def __init__(
        self,
        settings: Settings,
        encoder: nn.Module,
        variables: Any,
        preparation: Preparation,
        epoch: int,
        workdir: pathlib.Path,
    ):
        self.settings, self.encoder, self.variables = settings, encoder, variables
        self.preparation, self.epoch, self.workdir = preparation, epoch, workdir
        self._augment = augmentation.create(settings, preparation)
        self._embedders: dict[str, Embedder] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but what is compiled or lies on devices, which is made anew."""
        made = ("_on_devices", "_extractor")
        return {k: v for k, v in self.__dict__.items() if k not in made} | {"_embedders": {}}

    def embed(self, images: given.Given, feature: str = "embedding") -> np.ndarray:
        """Embeddings of images, or another of the encoder's features, row by row.

        However many images there are, they are decoded a few at a time, by threads that work ahead
        of the device. Only the result grows.

        Args:
          images: what is to be embedded:

            - an array, uint8 [B, H, W] or [B, H, W, C] with C 1 or 3;
            - a list, or any other iterable, of arrays uint8 [H, W] or [H, W, C], PIL images and
              paths of files, of any sizes and in any mixture;
            - the path of a folder: all images in it and in the folders below, in the order of
              their paths, as a run trains on them. Of a folder with splits give the one of the
              split. A file that cannot be decoded is left out with a warning, as in training.

            Other sizes and channels than those trained on are resized, cropped and converted as
            the training images were. A model of features takes those, float [B, F], as they are in
            its file; where it knows their extractor, it takes images as well.
          feature: one of the encoder's named features, such as "fc" or "conv5".

        Returns:
          float32 [B, ...]; of "embedding" [B, D], unit rows.

        Raises:
          ValueError: for arrays of another type or shape, for one image alone, and for a feature
            that the encoder does not have.
          TypeError: for what is no images at all.
          InputError: a ValueError for files: one that cannot be decoded, a folder without images.
        """
        return self._embed(images, feature, "images")

    def search(self, queries: given.Given, images: given.Given, k: int = 10) -> Graph:
        """The images most similar to each query, exactly, by cosine similarity of the embeddings.

        Args:
          queries: Q images, as ``embed`` takes them.
          images: N images among which to search, as ``embed`` takes them.
          k: how many, at most N.

        Returns:
          A ``Graph``, the pair (indices int32 [Q, k], rows of ``images``; similarities float32
          [Q, k]): nearest first. To search the same images again, embed them once and give the
          embeddings to ``pad_jax.search``.

        Raises:
          ValueError: if k is not in 1..N, or as ``embed`` raises.
        """
        wanted = self._embed(queries, "embedding", "queries")
        return known_rows.search(wanted, self.embed(images), k)

    def assign(self, images: given.Given) -> tuple[np.ndarray, np.ndarray]:
        """The group of each image: that of the nearest training image that is in a group.

        Groups are those of the run's ``groups.csv``, so this takes the encoder after its last
        epoch. The first call embeds the run's own images, and keeps their embeddings in the run's
        folder.

        Args:
          images: B images, as ``embed`` takes them.

        Returns:
          (groups int64 [B], similarities float32 [B]): the numbers that the column ``group`` of
          ``groups.csv`` has, and the cosine similarity to the image whose group it is. Every image
          gets a group, however far that is; the similarity says how much it means.

        Raises:
          InputError: where the run has no ``groups.csv``, or its images have changed or are gone,
            or this is not the encoder after its last epoch.
          ValueError: if no image is in a group, or as ``embed`` raises.
        """
        return known_rows.assign(*self._grouped, self.embed(images))

    def export(self, path: str | os.PathLike) -> None:
        """Writes the encoder to a file that other programs read; one that exists is replaced.

        ``.stablehlo``: the whole way from an image of the prepared size to its embedding, for CPUs,
        GPUs and TPUs. It needs jax and flatbuffers, and not this package:

            import jax.export, pathlib

            encoder = jax.export.deserialize(pathlib.Path("encoder.stablehlo").read_bytes())
            embeddings = encoder.call(images)  # uint8 [B, H, W, C] -> float32 [B, D], unit rows

        A model of features takes them as they are in its file, float32 [B, F]: they are
        standardised inside.

        ``.safetensors``: the parameters and batch statistics, named by their place in
        ``variables``, such as "params.conv1.kernel":

            arrays = safetensors.numpy.load_file("encoder.safetensors")
            variables = flax.traverse_util.unflatten_dict(arrays, sep=".")

        Statistics of features are "statistics.mean" and "statistics.deviation". The file's metadata
        says in JSON what images go through ("preparation"), which features there are and of what
        shapes ("features"), the settings of the encoder ("model"), and the package's "version".

        Args:
          path: ends in .stablehlo or .safetensors.

        Raises:
          InputError: for another ending, or a file that cannot be written.
        """
        from pad_jax import export  # which loads jax.export

        export.write(self, path)

    @functools.cached_property
    def _grouped(self) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of the run's images, [N, D], and the group of each, -1 for none."""
        names, groups = folder.read_groups(self.workdir)
        if (last := folder.last_epoch(self.workdir)) != self.epoch:
            raise InputError(
                f"the groups of {self.workdir} are those after epoch {last}, and this encoder is "
                f"that after {self.epoch}; load that of epoch {last}"
            )
        hint = "assign needs the images that the run was trained on, where its config has them"
        try:
            selection = data.training_samples(self.settings)
            dataset = self.settings[DatasetSettings]
            embeddings, kept, _ = run_images.embedded(
                selection, dataset, self.workdir, self.epoch, lambda: self
            )
        except InputError as error:
            raise InputError(f"{self.workdir}: {error} ({hint})") from None
        same = identity.have_sizes(folder.read_run(self.workdir), selection.sizes(kept))
        if not same or [selection.name(i) for i in kept.tolist()] != names:
            raise InputError(
                f"{self.workdir}: its images are not those of its groups.csv any more ({hint})"
            )
        return embeddings, groups

    def _embed(self, images: given.Given, feature: str, argument: str) -> np.ndarray:
        if feature not in self.features:
            raise ValueError(
                f"feature={feature!r} is none of the encoder's; use one of: "
                + ", ".join(self.features)
            )
        if feature not in self._embedders:
            self._embedders[feature] = Embedder(
                self.encoder, (feature,), _BATCH_SIZE, self._augment.plain
            )
        embedder = self._embedders[feature]
        batches = self._batches(images, embedder.batch_size, argument)
        found = embedder.stream(self._on_devices, batches)
        shape = self.features[feature].shape[1:]
        return collected((batch[feature] for batch in found), shape)

    @functools.cached_property
    def features(self) -> dict[str, Any]:
        """Shape and dtype of each of the encoder's features of one image, [1, ...]."""
        shape = augmentation.input_shape(self._augment, self.preparation)
        return models.features(self.encoder, shape)

    @functools.cached_property
    def _on_devices(self) -> Any:
        return parallel.replicate(self.variables)

    def _batches(self, images: Any, size: int, argument: str) -> Iterator[np.ndarray]:
        """Prepared samples, [b, *shape] each, b at most ``size``."""
        if isinstance(self.preparation, Pixels):
            yield from given.batches(images, self.preparation, size, argument)
            return
        are_images, images = given.looked_at(images, argument)
        if not are_images:
            yield from self._standard(given.blocks(images, size), argument)
            return
        if self.preparation.extractor is None:
            raise ValueError(
                f"{argument}: this model takes features, float [B, {self.preparation.shape[-1]}]; "
                "images it cannot take, for what extracted the features of its run is not known"
            )
        extract, size = self._extractor, self._extractor.image_size
        pixels = pixels_of((size, size, 3), self.preparation.extractor)
        images = given.batches(images, pixels, _EXTRACTED, argument)
        yield from self._standard(map(extract, images), argument)

    @functools.cached_property
    def _extractor(self) -> Extractor:
        """Images to their features, as those of the run were made."""
        made_by = self.preparation.extractor
        assert made_by is not None  # else nobody asks
        return extractors.create(extractors.ExtractorSpec.from_dict(made_by))

    def _standard(self, blocks: Iterable[Any], argument: str) -> Iterator[np.ndarray]:
        """Blocks of features as the encoder takes them."""
        first = 0
        for block in blocks:
            end = first + len(block)
            try:
                yield self.preparation.new(block)
            except ValueError as error:
                raise ValueError(f"{argument}[{first}:{end}]: {error}") from None
            first = end


def load(workdir: str | os.PathLike, epoch: int | None = None) -> Model:
    """The encoder of a checkpoint in a run's folder.

    Of the checkpoint only the encoder's part is read.

    Args:
      workdir: the folder; ``~`` stands for the home folder.
      epoch: of the checkpoint after so many epochs; by default of the newest.

    Raises:
      InputError: where there is no run or no such checkpoint.
    """
    workdir = expanded(workdir)
    settings = configs.read(folder.read_config(workdir))
    preparation = folder.read_preparation(workdir)
    encoder = models.create(settings)
    shape = augmentation.input_shape(augmentation.create(settings, preparation), preparation)
    epoch = checkpoints.chosen_epoch(workdir, epoch)
    variables = checkpoints.read_part(workdir, epoch, models.variables(encoder, shape))
    return Model(settings, encoder, variables, preparation, epoch, workdir)
