"""report.html: what a run looks like, in one file that needs no network and no JavaScript."""

import logging
import pathlib

import jax
import numpy as np

from pad_jax import outputs, processes
from pad_jax.data import Dataset
from pad_jax.data.images import few
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.rows import divided_by_length
from pad_jax.objectives.base import Embed, Objective
from pad_jax.report.snapshot import Snapshot

_log = logging.getLogger(__name__)

_QUERIES = 12  # test images whose nearest neighbours are shown


def write(
    workdir: pathlib.Path,
    dataset: Dataset,
    objective: Objective,
    found: Discovery,
    features: np.ndarray | jax.Array | None,
    embed: Embed,
    *,
    strict: bool = False,
) -> None:
    """Writes ``report.html`` for the run in a folder, whose metrics and config it reads there.

    A page that fails is one line of warning: it must not end a run of days. Every process has to
    call this; the first one writes.

    Args:
      workdir: the run's folder.
      dataset: its images. Labels are shown where there are any.
      objective: what the run learns.
      found: the newest affinity graph and its groups.
      features: float32 [N, D], what groups are found in, by the encoder as it is now; None for an
        objective that has none.
      embed: images to the same kind of features, with the encoder as it is now; on all processes
        together.
      strict: whether what goes wrong is raised after all.
    """
    snapshot = Snapshot(dataset.train, objective, found, None)
    if dataset.test is not None and features is not None:
        queries = few(dataset.test, _QUERIES)
        snapshot = snapshot._replace(
            queries=queries, query_features=divided_by_length(embed(queries))
        )

    def draw() -> None:
        rows = None if features is None else divided_by_length(np.asarray(features))
        try:
            from pad_jax.report import page  # not at the top: matplotlib takes its time to load

            text = page.render(workdir, snapshot._replace(features=rows))
            outputs.write_text(workdir / "report.html", text)
        except Exception as error:
            if strict:
                raise
            _log.warning("report.html is not written: %s: %s", type(error).__name__, error)

    processes.on_first(draw, None)
