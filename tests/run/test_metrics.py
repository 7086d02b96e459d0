"""What a run writes."""

import json
import logging

import pytest

from pad_jax.run import metrics
from pad_jax.run.metrics import MetricWriter


def test_rows_of_epochs_without_a_checkpoint_are_replaced(tmp_path):
    writer = MetricWriter(tmp_path, epoch=0, step=0)
    for epoch in (1, 2, 3):
        writer.write(10 * epoch, epoch, {"train/loss": 5.0 - epoch})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "epo')  # cut off while writing
    writer = MetricWriter(tmp_path, epoch=2, step=20)
    assert [row["epoch"] for row in metrics.read(tmp_path)] == [1, 2]
    lists = {"scs/size_histogram": [[2, 3], [10, 1]], "graph/modularity": [[0.5, 0.7], [1, 0.6]]}
    lists |= {"eval/of_a_users_own": [1, [2, 3]], "eval/is_so": True}
    writer.write(30, 3, {"train/loss": 1.0} | lists)
    writer.close()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[1:] == [
        {"step": 20, "epoch": 2, "train/loss": 3.0},
        {"step": 30, "epoch": 3, "train/loss": 1.0} | lists,
    ]
    assert metrics.read(tmp_path) == rows
    events = b"".join(path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())
    assert b"train/loss" in events
    assert b"scs/size_histogram" in events
    assert b"graph/modularity" not in events  # a curve is no histogram


def test_results_table():
    table = metrics.results_table({"step": 3, "epoch": 2, "time/train": 1.0, "eval/x": 0.51239})
    assert table == "Results after epoch 2:\n  eval/x  0.5124"


def test_how_many_is_a_whole_number():
    row = {"epoch": 2, "graph/components": 12.0, "graph/components_coverage": 0.25}
    row |= {"eval/clusters": 1000.0, "graph/modularity": [[1, 0.5]]}
    assert metrics.results_table(row).splitlines()[1:] == [
        "  graph/components           12",
        "  graph/components_coverage  0.2500",
        "  eval/clusters              1,000",
    ]


@pytest.mark.parametrize(("separation", "said"), [(0.5, True), (0.49, False)])
def test_the_log_has_the_number_of_kinds_where_they_stand_apart(caplog, separation, said):
    with caplog.at_level(logging.INFO):
        metrics.log("epoch 1", {"graph/components": 10.0, "graph/separation": separation})
    assert ("kinds 10" in caplog.text) == said


def test_figures_at_other_numbers_of_neighbours_share_a_line():
    row = {"epoch": 2, "eval/knn_accuracy": 0.9, "eval/knn_accuracy_at_1": 0.7,
           "eval/knn_accuracy_at_20": 0.8, "eval/knn_accuracy_fc": 0.6,
           "eval/knn_accuracy_at_1_fc": 0.5, "neighbors/precision_at_1": 0.4}  # fmt: skip
    assert metrics.results_table(row).splitlines()[1:] == [
        "  eval/knn_accuracy         0.9000  (k = 1: 0.7000, k = 20: 0.8000)",
        "  eval/knn_accuracy_fc      0.6000  (k = 1: 0.5000)",
        "  neighbors/precision_at_1  0.4000",
    ]
