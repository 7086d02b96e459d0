"""Damaged files of a run, and what each command that reads them says: one line, nothing lost."""

import json
import os
import shutil

import pytest

from pad_jax.errors import InputError
from pad_jax.run import folder
from pad_jax.train import train_and_evaluate
from tests.support import command
from tests.support.small_runs import small_config

CONFIG = """
from tests.support.small_runs import small_config

def get_config():
    return small_config(num_epochs=4)
"""
MEND = "; mend it or put a copy of it back, or give another folder"


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run of three epochs."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def stopped(run):
    """The same, as if it had been stopped after three of four epochs."""
    change(run / "config.json", num_epochs=4)
    (run / "groups.csv").unlink()
    return run


def change(path, section=None, /, **fields):
    found = json.loads(path.read_text())
    (found if section is None else found[section]).update(fields)
    path.write_text(json.dumps(found, indent=2) + "\n")


def bytes_of(name, content):
    return lambda run: (run / name).write_bytes(content)


def changed(name, section=None, /, **fields):
    return lambda run: change(run / name, section, **fields)


def halved(name):
    return lambda run: os.truncate(run / name, (run / name).stat().st_size // 2)


def removed(name):
    return lambda run: shutil.rmtree(run / name) if (run / name).is_dir() else os.remove(run / name)


def replaced(name, by):
    def do(run):
        if os.path.lexists(run / name):
            removed(name)(run)
        by(run / name)

    return do


def a_link(path):
    path.symlink_to("nowhere")


def a_file(path):
    path.write_text("")


def rows(make):
    """Other rows in place of the run's three."""

    def do(run):
        lines = (run / "metrics.jsonl").read_text().splitlines()
        made = make(*map(json.loads, lines))
        (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))

    return do


def line(make):
    """Other lines in place of those of groups.csv."""

    def do(run):
        lines = (run / "groups.csv").read_text().splitlines(keepends=True)
        (run / "groups.csv").write_text("".join(make(lines)))

    return do


def contents(run):
    """Every file and folder below, with its bytes; but for the lock, and what may be made anew."""
    return {
        path.relative_to(run): path.read_bytes() if path.is_file() else None
        for path in run.rglob("*")
        if path.relative_to(run).parts[0] not in (".lock", "cache")
    }


NO_JSON = r"config.json is damaged \(no JSON\)" + MEND
BACK = "; put it back, or give another folder"
NO_ROW = r"metrics.jsonl has no row of epoch {}, and the run has done 3; put the whole file back"
NO_TABLE = r"groups.csv is damaged \(it is no table of images and groups\)" + MEND

# What every command reads that works on a run.
OF_ALL = {
    "config.json emptied": (
        bytes_of("config.json", b""),
        r"config.json is damaged \(it is empty\)" + MEND,
    ),
    "config.json cut off": (halved("config.json"), NO_JSON),
    "config.json zeroed": (bytes_of("config.json", b"\0" * 500), NO_JSON),
    "config.json nested without end": (bytes_of("config.json", b"[" * 100_000), NO_JSON),
    "config.json no text": (bytes_of("config.json", b'{"\xff": 1}'), r"\(no text\)" + MEND),
    "config.json a list": (bytes_of("config.json", b"[1]"), r"\(no JSON object\)" + MEND),
    "config.json of others": (bytes_of("config.json", b"{}"), r"\(it has no num_epochs\)" + MEND),
    "config.json gone": (removed("config.json"), "no config.json any more, but run.json" + BACK),
    "config.json a folder": (replaced("config.json", os.mkdir), "config.json is no file; move it"),
    "config.json a pipe": (replaced("config.json", os.mkfifo), "config.json is no file; move it"),
    "config.json a link": (replaced("config.json", a_link), "config.json is a link to nothing; mo"),
    "a section is none": (changed("config.json", dataset=5), r"\(dataset is 5, not an object\)"),
    "a section is a list": (changed("config.json", eval=[1]), r"\(eval is no object\)" + MEND),
    "a field is an object": (
        changed("config.json", "dataset", name={"a": 1}),
        r"\(dataset.name is an object\)" + MEND,
    ),
    "a field of another type": (
        changed("config.json", "dataset", root=5),
        "config.json: dataset.root=5 cannot be used; use text",
    ),
    "a number is text": (changed("config.json", num_epochs="1"), r"\(num_epochs is '1', not a wh"),
}
OF_IMAGES = {
    "run.json emptied": (bytes_of("run.json", b""), r"run.json is damaged \(it is empty\)" + MEND),
    "run.json a list": (bytes_of("run.json", b"[1]"), r"run.json is damaged \(no JSON object\)"),
    "run.json of others": (bytes_of("run.json", b"{}"), r"run.json .*\(it has no num_images\)"),
    "run.json gone": (removed("run.json"), "no run.json any more, but config.json" + BACK),
    "a shape is text": (changed("run.json", image_shape="16"), r"\(image_shape is '16', not a s"),
    "a count is true": (changed("run.json", num_images=True), r"\(num_images is True, not a whole"),
    "decoding of others": (
        changed("run.json", decoding={"by": 1}),
        r"\(decoding is {'by': 1}, not",
    ),
}
OF_ROWS = {
    "metrics.jsonl no text": (bytes_of("metrics.jsonl", b"\xff\n"), r"\(no text\)" + MEND),
    "metrics.jsonl a folder": (
        replaced("metrics.jsonl", os.mkdir),
        "metrics.jsonl is no file; mov",
    ),
    "metrics.jsonl emptied": (bytes_of("metrics.jsonl", b""), NO_ROW.format(1)),
    "metrics.jsonl cut off": (halved("metrics.jsonl"), NO_ROW.format(2)),
    "metrics.jsonl gone": (removed("metrics.jsonl"), "metrics.jsonl is gone, and the run has done"),
    "the last row is gone": (rows(lambda a, b, c: [a, b]), NO_ROW.format(3)),
    "a row inside is gone": (rows(lambda a, b, c: [a, c]), NO_ROW.format(2)),
    "a row is a list": (rows(lambda a, b, c: [[1], b, c]), r"\(line 1 is no JSON object\)" + MEND),
    "a row is cut off inside": (
        rows(lambda a, b, c: [a, "{", b, c]),
        r"\(line 2 is no JSON object\)" + MEND,
    ),
    "a row without an epoch": (
        rows(lambda a, b, c: [a, b, {"step": 3}]),
        r"\(line 3 has no epoch\)" + MEND,
    ),
    "an epoch is text": (
        rows(lambda a, b, c: [a | {"epoch": "1"}, b, c]),
        r"\(line 1 has no epoch\)" + MEND,
    ),
    "a row twice": (rows(lambda a, b, c: [a, b, b, c]), r"\(line 3 has epoch 2 again\)" + MEND),
    "a metric is text": (
        rows(lambda a, b, c: [a, b | {"train/loss": "3"}, c]),
        r"\(train/loss in line 2 is no number\)" + MEND,
    ),
    "a histogram is a number": (
        rows(lambda a, b, c: [a | {"scs/size_histogram": 3}, b, c]),
        r"\(scs/size_histogram in line 1 is no list of pairs\)" + MEND,
    ),
}
OF_TRAINING = {
    "checkpoints gone": (removed("checkpoints"), "no checkpoint any more; put checkpoints/ back"),
    "checkpoints a file": (replaced("checkpoints", a_file), "checkpoints is no folder; move it aw"),
    "tensorboard a file": (replaced("tensorboard", a_file), "tensorboard is no folder; move it aw"),
    "report.html a folder": (replaced("report.html", os.mkdir), "report.html is no file; move it"),
    "config.json gone": (removed("config.json"), r"is in use \(but has no config.json\); put that"),
}
OF_GROUPS = {
    "groups.csv emptied": (
        bytes_of("groups.csv", b""),
        r"groups.csv is damaged \(it has 0 images, and run.json has others\)" + MEND,
    ),
    "groups.csv zeroed": (bytes_of("groups.csv", b"\0" * 500), "groups.csv is damaged .*" + MEND),
    "groups.csv of others": (bytes_of("groups.csv", b"a,b\n1,2\n"), NO_TABLE),
    "groups.csv a folder": (
        replaced("groups.csv", os.mkdir),
        "groups.csv is no file; move it away",
    ),
    "the last line is cut": (line(lambda lines: [*lines[:-1], lines[-1][:6]]), NO_TABLE),
    "the last lines are gone": (line(lambda lines: lines[:-9]), r"groups.csv is damaged \(it"),
    "a group is no number": (line(lambda lines: [lines[0], "a,b,2,0\n", *lines[2:]]), NO_TABLE),
    "a group is endless": (line(lambda lines: [lines[0], f"a,{9**99},2,0\n"]), NO_TABLE),
}


def refused(patch, workdir, message, *arguments):
    """Runs a command that has to end in one line of error, and to change nothing."""
    before = contents(workdir)
    said = command.run(patch, *arguments, f"--workdir={workdir}")
    assert "\n" not in said.error
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(said.error)
    assert said.printed == ""
    assert contents(workdir) == before


def cases(mode, table, every=1):
    return [
        pytest.param(mode, *outcome, id=f"{mode}: {name}")
        for name, outcome in list(table.items())[::every]
    ]


OTHERS = ("evaluate", "report", "browse", "search", "sort", "label", "embed")


@pytest.mark.parametrize(
    ("mode", "damage", "message"),
    [
        *cases("export", OF_ALL | OF_IMAGES),
        *cases("report", OF_ROWS),
        *cases("sort", OF_GROUPS, 4),
        *(case for mode in OTHERS for case in cases(mode, OF_ALL, 8) + cases(mode, OF_IMAGES, 6)),
    ],
)
def test_a_command_on_a_damaged_run_says_what_differs(
    mode, damage, message, run, tmp_path, monkeypatch
):
    damage(run)
    own = {
        "export": [f"--output={tmp_path / 'encoder.safetensors'}"],
        "sort": [f"--output={tmp_path / 'sorted'}"],
        "search": ["--query=train/0"],
    }
    refused(monkeypatch, run, message, f"--mode={mode}", *own.get(mode, ()))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("mode", "damage", "message"), cases("train", OF_ALL | OF_IMAGES | OF_ROWS | OF_TRAINING)
)
def test_training_on_a_damaged_run_begins_nothing_anew(
    mode, damage, message, stopped, tmp_path, monkeypatch
):
    (tmp_path / "mine.py").write_text(CONFIG)
    damage(stopped)
    refused(monkeypatch, stopped, message, f"--config={tmp_path / 'mine.py'}")


@pytest.mark.parametrize(
    ("damage", "message"), [pytest.param(*v, id=k) for k, v in OF_GROUPS.items()]
)
def test_groups_that_are_not_as_a_run_writes_them(damage, message, run):
    damage(run)
    with pytest.raises(InputError, match=message):
        folder.read_groups(run)


@pytest.mark.parametrize(("left", "what"), [([], "metrics.jsonl"), ([1, 2], "row of epoch 3")])
def test_a_finished_run_without_its_last_row_shows_no_other(left, what, run):
    (run / "metrics.jsonl").write_text("".join(f'{{"epoch": {epoch}}}\n' for epoch in left))
    with pytest.raises(InputError, match=f"has no {what} any more; put the whole metrics.jsonl"):
        train_and_evaluate(small_config(num_epochs=3), run)
