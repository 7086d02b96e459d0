"""What --mode=train says at its end."""

import logging
import pathlib

import pytest
from absl import flags

from pad_jax.modes import train


@pytest.mark.parametrize(
    ("figures", "has_groups", "said"),
    [
        (
            {"eval/clusters": 10.0, "eval/clusters_coverage": 0.837},
            True,
            "About 10 kinds of images stand apart; 84 % of the images are surely of one of them. "
            "groups.csv has the kind of every image, as cluster.",
        ),
        (
            {"eval/clusters": 10.0, "eval/clusters_coverage": 0.837},
            False,
            "About 10 kinds of images stand apart; 84 % of the images are surely of one of them.",
        ),
        (
            {"eval/clusters": 0.0, "eval/clusters_coverage": 0.0},
            True,
            "No kinds of images stand apart; the small groups are what there is to look at.",
        ),
        ({}, True, None),  # of a baseline, and of a run of before
    ],
)
def test_one_line_on_kinds(call, tmp_path, monkeypatch, caplog, figures, has_groups, said):
    if has_groups:
        (tmp_path / "groups.csv").touch()
    monkeypatch.setattr(train, "train_and_evaluate", lambda *_, **__: {"epoch": 1} | figures)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    with caplog.at_level(logging.INFO):
        train.MODE.run(call()._replace(workdir=tmp_path))
    lines = [m for m in caplog.messages if "kinds of images" in m]
    assert lines == ([] if said is None else [said])


def test_the_folder_of_a_trace_reaches_the_run(call, tmp_path, monkeypatch):
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    monkeypatch.setattr(flags.FLAGS["profile"], "value", "~/trace")
    given = {}
    monkeypatch.setattr(
        train, "train_and_evaluate", lambda *_, **named: given.update(named) or {"epoch": 1}
    )
    train.MODE.run(call()._replace(workdir=tmp_path))
    assert given == {"profile": pathlib.Path("~/trace").expanduser()}
