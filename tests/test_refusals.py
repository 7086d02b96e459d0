"""Command lines that cannot be: one line that says what to change, and status 2."""

import os

import pytest

from pad_jax.modes import MODES
from tests.support import command
from tests.support.shell import DIGITS, DIGITS_FILE, start


@pytest.fixture
def run(tmp_path):
    """A function that runs a command line in an empty folder."""
    return lambda *arguments: start(tmp_path, *arguments)


IN_PROCESSES = [
    ([], "--config is missing"),
    ([DIGITS, "--distributed"], "--distributed finds no other processes"),
    ([DIGITS, "--config.dataset.image_size=1000000"], "the memory does not suffice (Unable to"),
    ([DIGITS, "--config.batchsize=3"], "no field batchsize; did you mean batch_size?"),
    ([DIGITS, "--config.batch_size=abc"], "use 1 or more; it is a whole number"),
    ([DIGITS, "--config.seed=36893488147419103232"], "cannot be used; use 0 to 4294967295"),
    ([DIGITS, "--config.seed", "-1"], "seed=-1 cannot be used"),
    ([DIGITS, "--config.augmentation.crop_scale[0]=0.5"], "0 is not a valid index"),
    ([DIGITS, "--mode=sweep", "--table=table1", "--config.seed=5"], "give --seeds, how many"),
    ([DIGITS, os.fsdecode(b"--workdir=r\xe9n")], "its path is no UTF-8; rename that folder"),
    ([DIGITS, "--config.seed=abc"], "--config.seed=abc: use an integer"),
    ([DIGITS, "--config.dataset=mnist"], "--config.dataset=mnist: use a flag for each field"),
    ([DIGITS, "--config.grouping.max_size=1"], "grouping.max_size=1 cannot be used"),
    ([DIGITS_FILE, "--config.grouping.max_size=1"], "grouping.max_size=1 cannot be used"),
    ([DIGITS, "--config.dataset.name=npz", "--config.dataset.root=no.npz"], "does not exist"),
    ([DIGITS, "--epochs=20"], "is no flag; it is a field of the config: --config.num_epochs=20"),
    (["--mode=sort", "--similarity=1"], "--similarity is no flag of this mode; it is one of "),
]

# As good here, where no field of the config is given.
IN_THIS_ONE = [
    (["--config=configs/nope.py"], "--config=configs/nope.py cannot be loaded; the"),
    (
        ["--config=nope"],
        "use one of: auto, cifar10, cifar100, digits, features, folder, imagenet, mnist, ",
    ),
    (["--mode=report", "--workdir=gs://bucket/run"], "is no folder; mount the bucket"),
    ([DIGITS, "--workdir=gs://bucket/run"], "--workdir=gs://bucket/run is no folder; mount"),
    ([DIGITS, "--mode=os:getcwd"], "--mode=os:getcwd is a builtin_function_or_method, and no"),
    ([DIGITS, "--mode=prepare", "--workdir=x"], "--workdir has no meaning for --mode=prepare"),
    ([DIGITS, "--mode=prepare", "--output=gs://b/x"], "--output=gs://b/x is no folder; mount"),
    (["--mode=evaluate", "--features=f.npy"], "--features has no meaning for this mode"),
    (["--mode=search", "--query=~nobody/x", "--features=~nobody/y.npy"], "does not exist"),
    (["--workdir=new"], "--config is missing; give one, such as --config=digits, or"),
    (
        ["--mode=sort", "--features=f.npy", "--output=" + "x" * 300],
        "--output is longer than a path can be",
    ),
    (["--mode=search", "--features=f.npy", "--query=" + "x" * 300], "--query is longer than"),
    (["--mode=plan", DIGITS, "--json=/dev/null"], "--json=/dev/null exists; give another"),
    ([DIGITS, "--mode=test"], f"--mode='test' is unknown; use one of: {', '.join(MODES)};"),
    ([DIGITS, "--mode=sweep", "--table=table7"], "use one of: table1, table2"),
    ([DIGITS, "digits"], "'digits' is no flag"),
    (["--config=folder"], "dataset.root is not set"),
    ([DIGITS, "--mode=evaluate", "--workdir=nowhere"], "nowhere holds no run"),
    (["--mode=evaluate", "--workdir=nowhere"], "nowhere holds no run"),
    (["search", "--query=a.png"], "'search' is no flag; write --mode=search"),
    ([DIGITS, "--images=DIR"], "no meaning for --mode=train; give --config.dataset.root=DIR"),
    ([DIGITS, "--epoch=3"], "--epoch has no meaning for --mode=train; leave it out"),
    (
        ["--mode=embed", "--features=mine.npy", "--epoch=3"],
        "--features stands in place of a run; leave --epoch out",
    ),
    (["--mode=evaluate"], "--workdir is missing; give the folder of a run, or a --config"),
    (["--mode=report"], "--workdir is missing; give the folder of a run, or a --config"),
]


@pytest.mark.parametrize(("arguments", "message"), IN_PROCESSES)
def test_bad_input_is_one_line_and_status_2(run, arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(("arguments", "message"), IN_THIS_ONE)
def test_bad_input_is_one_line(monkeypatch, arguments, message):
    said = command.run(monkeypatch, *arguments)
    assert message in said.error
    assert len(said.error.splitlines()) == 1
    assert said.printed == said.logged == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("default(objective='typo:X')", "objective='typo:X' cannot be imported (No module named"),
        ("default().update(num_epoch=3)", "the config has no field num_epoch; did you mean"),
        ("default().update(seed='2')", "mine.py fails in line 3: TypeError: Could not"),
        ("__import__('os').path.joinn()", "mine.py fails in line 3: AttributeError: module"),
        ("None", "mine.py: get_config() returns NoneType; let it end in return config"),
        ("default().to_dict()", "mine.py: get_config() returns dict; let it end in return config"),
    ],
)
def test_what_is_wrong_in_a_config_file_is_one_line(tmp_path, monkeypatch, line, message):
    text = f"from pad_jax.config import default\ndef get_config():\n    return {line}\n"
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    said = command.run(monkeypatch, "--config=./mine.py")
    assert message in said.error
    assert len(said.error.splitlines()) == 1
