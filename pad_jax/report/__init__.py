"""report.html: what a run looks like, in one file that needs no network and no JavaScript."""

import logging
import pathlib
from collections.abc import Callable

import jax
import numpy as np

from pad_jax import metrics
from pad_jax.data import Dataset
from pad_jax.data.images import Images, ResidentImages
from pad_jax.report.snapshot import Snapshot
from pad_jax.subgraphs import Discovery

_log = logging.getLogger(__name__)

_QUERIES = 12  # test images whose nearest neighbours are shown


def write(
    workdir: pathlib.Path,
    dataset: Dataset,
    found: Discovery,
    memory: np.ndarray,
    embed: Callable[[Images], dict[str, np.ndarray]],
) -> None:
    """Writes ``report.html`` for the run in a folder, whose metrics and config it reads there.

    A report that fails is one line of warning: it must not end a run of days. Every process has to
    call this; the first one writes.

    Args:
      workdir: the run's folder.
      dataset: its images. Labels are shown where there are any.
      found: the newest affinity graph and its groups.
      memory: float32 [N, D], unit rows.
      embed: images to named features, with the encoder as it is now; on all processes together.
    """
    snapshot = Snapshot(dataset.train, found, memory)
    if dataset.test is not None:
        queries = _some(dataset.test)
        snapshot = snapshot._replace(queries=queries, query_embeddings=embed(queries)["embedding"])
    if jax.process_index() != 0:
        return
    try:
        from pad_jax.report import page  # not at the top: matplotlib takes its time to load

        metrics.write_text(workdir / "report.html", page.render(workdir, snapshot))
    except Exception as error:
        _log.warning("report.html is not written: %s: %s", type(error).__name__, error)


def _some(images: Images) -> ResidentImages:
    """A few random images, the same ones every time."""
    chosen = np.random.default_rng(0).permutation(len(images))[:_QUERIES]
    names = [images.names[i] for i in chosen]
    return ResidentImages(next(images.batches(chosen[None])), images.labels[chosen], names)
