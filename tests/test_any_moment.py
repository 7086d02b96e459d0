"""Runs that stop in the midst of an epoch go on from that very step, bit for bit."""

import itertools
import logging
import signal

import numpy as np
import pytest

from pad_jax import signals, train
from pad_jax.epoch import STEPS_PER_DISPATCH, Trained
from pad_jax.errors import InputError
from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.graph.discovery import Discovery
from pad_jax.graph.groups import Groups
from pad_jax.graph.search import Graph
from pad_jax.run import metrics
from pad_jax.run.begun import Begun
from pad_jax.run.breaks import Breaks
from pad_jax.run.checkpoints import Checkpoints
from pad_jax.signals import Stopped
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import (
    AUTO,
    QUICK,
    assert_same_state,
    restored,
    small_config,
    without_clock,
)

STEPS = 4  # of an epoch of the small run
CLUSTERS = {"clusters.count": 12, "clusters.components": 32}


def train_until(dispatch, config, workdir, monkeypatch):
    """Trains until SIGTERM comes, after so many dispatches of the whole run."""
    stops, calls = Breaks.stops, itertools.count(1)

    with monkeypatch.context() as patch:

        def counted(self):
            if next(calls) == dispatch:
                patch.setattr(signals, "asked", lambda: signal.SIGTERM)
            return stops(self)

        patch.setattr(Breaks, "stops", counted)
        with pytest.raises(Stopped) as stopped:
            train_and_evaluate(config, workdir)
    assert stopped.value.signum == signal.SIGTERM
    return stopped.value.said


def stop(*_, **__):
    """In place of a function that a signal stops."""
    raise Stopped(signal.SIGTERM)


def stop_and_go_on(config, workdir, patch, caplog):
    """Trains until what is patched stops the run, and then to its end as it is."""
    with pytest.raises(Stopped):
        train_and_evaluate(config, workdir)
    patch.undo()
    with caplog.at_level(logging.INFO, "pad_jax"):
        train_and_evaluate(config, workdir)


def assert_same_run(workdir, reference):
    assert_same_state(restored(workdir), restored(reference))
    assert without_clock(metrics.read(workdir)) == without_clock(metrics.read(reference))
    groups = [folder / "groups.csv" for folder in (workdir, reference)]
    assert len({path.exists() and path.read_bytes() for path in groups}) == 1
    assert not list((workdir / "within_epoch").iterdir())


@pytest.mark.parametrize(
    ("dispatch", "overrides", "moment"),
    [
        (6, {}, "in epoch 2, after 2 of 4 steps"),
        (1, {"dataset.max_resident_gib": 0.0}, "in epoch 1, after 1 of 4 steps"),
        (12, {"dataset.max_resident_gib": 0.0}, "in epoch 3, after 4 of 4 steps"),
    ],
    ids=["resident", "streamed, first epoch", "streamed, after the last step"],
)
def test_a_signal_saves_the_step_and_the_run_goes_on_from_there(
    finished, tmp_path, monkeypatch, caplog, dispatch, overrides, moment
):
    config = small_config(num_epochs=3, **overrides)
    said = train_until(dispatch, config, tmp_path, monkeypatch)
    assert said == f"stopped {moment}; the same command goes on from there"
    done = (dispatch - 1) // STEPS
    assert [row["epoch"] for row in metrics.read(tmp_path)] == list(range(1, done + 1))
    with caplog.at_level(logging.INFO, "pad_jax"):
        train_and_evaluate(config, tmp_path)
    assert f"Going on {moment}." in caplog.messages
    assert_same_run(tmp_path, finished)


@pytest.mark.parametrize(
    ("overrides", "per_dispatch"),
    [
        (AUTO, 1),
        ({"objective": "clusters", "model.name": "tiny"} | CLUSTERS, 1),
        ({"grouping.kind": "anchor_neighbors", "loss.hpe": "none"}, 1),
        ({}, 3),
    ],
    ids=["auto", "clusters", "anchor neighbors", "several steps a dispatch"],
)
def test_so_does_every_kind_of_run(tmp_path, monkeypatch, overrides, per_dispatch):
    monkeypatch.setitem(STEPS_PER_DISPATCH, "cpu", per_dispatch)
    config = small_config(**(QUICK | overrides))
    train_and_evaluate(config, tmp_path / "whole")
    train_until(6 if per_dispatch == 1 else 3, config, tmp_path / "parts", monkeypatch)
    train_and_evaluate(config, tmp_path / "parts")
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_a_signal_in_the_evaluation_does_not_lose_the_epoch(
    finished, tmp_path, monkeypatch, caplog
):
    config = small_config(num_epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(train.report, "write", stop)  # the last thing before it is saved
        stop_and_go_on(config, tmp_path, patch, caplog)
    assert "Going on in epoch 3, after 4 of 4 steps." in caplog.messages
    assert_same_run(tmp_path, finished)


def test_a_signal_while_groups_are_looked_for_does_not_lose_the_epochs_before(
    finished, tmp_path, monkeypatch, caplog
):
    config = small_config(num_epochs=3, **{"checkpoint.every_epochs": 10})
    discover = train.discover

    def stopped(*arguments):
        if arguments[-1] < 2:  # epochs done
            return discover(*arguments)
        try:
            stop()
        except Stopped as error:
            raise SystemError("returned a result with an exception set") from error  # as Numba

    with monkeypatch.context() as patch:
        patch.setattr(train, "discover", stopped)
        stop_and_go_on(config, tmp_path, patch, caplog)
    assert "Going on after epoch 2." in caplog.messages
    assert_same_run(tmp_path, finished)


def test_what_keeps_a_signal_from_saving_is_said(tmp_path, monkeypatch):
    def full(*_, **__):
        raise InputError("no space left")

    monkeypatch.setattr(train.report, "write", stop)
    monkeypatch.setattr(Checkpoints, "save_within", full)
    with pytest.raises(InputError, match="no space left"), signals.unwrapped():  # as the program
        train_and_evaluate(small_config(num_epochs=1, **QUICK), tmp_path)


def test_an_epoch_is_saved_every_so_many_minutes_and_a_crash_goes_back_there(
    tmp_path, monkeypatch, caplog
):
    config = small_config(**QUICK, **{"checkpoint.every_minutes": 1e-9})
    saved, calls = Breaks.saved, itertools.count(1)

    def crash(self):
        if next(calls) == 7:  # after four of the first epoch, its end among them
            raise KeyboardInterrupt
        saved(self)

    with monkeypatch.context() as patch:
        patch.setattr(Breaks, "saved", crash)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, tmp_path / "parts")
    with caplog.at_level(logging.INFO, "pad_jax"):
        train_and_evaluate(config, tmp_path / "parts")
    assert "Going on in epoch 2, after 3 of 4 steps." in caplog.messages
    train_and_evaluate(small_config(**QUICK), tmp_path / "whole")
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_the_times_of_saving_and_of_the_report_are_in_the_next_row(finished):
    first, *later = metrics.read(finished)
    assert "time/checkpoint" not in first
    assert all(row["time/checkpoint"] > 0 for row in later)
    assert "time/report" not in first  # none is due but at the end


def test_what_has_begun_comes_back_as_it_was(rng):
    clusters = Clusters(
        np.array([0, 0, -1]),
        0.25,
        Levels(*np.zeros((3, 0))),  # no level: an empty array
    )
    found = Discovery(
        4,
        Groups(np.array([0, 0, 2], np.int32), np.array([1, 0, 2], np.int32)),
        Graph(np.array([[1], [0], [1]], np.int32), rng.random((3, 1), np.float32)),
        np.array([[1], [0], [2]], np.int32),
        clusters,
    )
    trained = Trained(3, {"loss": np.float32(0.1)}, 1.5)
    row = {"scs/count": 1.0, "scs/size_histogram": [[2, 1]]}
    begun = Begun(found, row, trained)
    back = Begun.from_bytes(begun.to_bytes())
    assert back.to_bytes().tobytes() == begun.to_bytes().tobytes()
    assert back.found.clusters.levels.similarity.shape == (0,)
    assert back.found.groups.members is None
    assert (back.row, back.trained) == (row, trained)
