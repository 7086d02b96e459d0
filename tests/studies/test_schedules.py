"""What runs reach by epoch, from their metrics."""

import json

import pytest

from tests.studies import schedules


@pytest.fixture
def runs(tmp_path):
    """Two runs' folders: of groups, evaluated every second epoch, and of none, after the last."""
    rows = {
        "pad": [
            {"epoch": 1, "scs/pair_precision": 0.25},
            {"epoch": 2, "scs/pair_precision": 0.5, "eval/knn_accuracy": 0.4},
            {"epoch": 3, "scs/pair_precision": 0.75},
            {"epoch": 4, "scs/pair_precision": 0.875, "eval/knn_accuracy": 0.8},
        ],
        "single": [
            {"epoch": 2, "scs/pair_precision": 0.0},
            {"epoch": 4, "scs/pair_precision": 0.0, "eval/knn_accuracy": 0.7},
        ],
    }
    for name, written in rows.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written))
    return [f"With groups={tmp_path / 'pad'}", f"without={tmp_path / 'single'}"]


def test_evaluated_epochs_stand_side_by_side(runs, capsys):
    schedules.main(runs)
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in capsys.readouterr().out.splitlines()
    ]
    column = lines[0].index("pairs of one class")
    assert [(line[0], line[1], line[2], line[column]) for line in lines[2:]] == [
        ("2", "With groups", "0.400", "0.500"),
        ("4", "With groups", "0.800", "0.875"),
        ("4", "without", "0.700", ""),
    ]


def test_curves_have_the_names_of_the_runs(runs, tmp_path):
    schedules.main([*runs, f"--output={tmp_path / 'curves.svg'}"])
    drawn = (tmp_path / "curves.svg").read_text()
    assert "<!-- With groups -->" in drawn
    assert "<!-- pairs of a group of one class -->" in drawn


@pytest.mark.parametrize(
    ("run", "said"), [("runs/pad", "give NAME=FOLDER"), ("a=nowhere", "has no epochs")]
)
def test_what_is_no_run_is_one_line(run, said, capsys):
    with pytest.raises(SystemExit):
        schedules.main([run])
    assert said in capsys.readouterr().err
