"""What --mode=train says at its end."""

import logging

import pytest

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
    monkeypatch.setattr(train, "train_and_evaluate", lambda *_: {"epoch": 1} | figures)
    with caplog.at_level(logging.INFO):
        train.MODE.run(call()._replace(workdir=tmp_path))
    lines = [m for m in caplog.messages if "kinds of images" in m]
    assert lines == ([] if said is None else [said])
