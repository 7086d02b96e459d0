"""The command line, in processes of its own, each in a folder of its own."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest

from pad_jax import config as configs
from pad_jax.modes import MODES
from pad_jax.run import folder, kinds, metrics
from tests.studies.kills import PYTHON
from tests.support.shell import DIGITS, DIGITS_FILE, start
from tests.support.small_runs import make_checkpoint

SMALL = [
    "--config.num_epochs=1",
    "--config.dataset.max_images=300",
    "--config.dataset.image_size=16",
    "--config.eval.kmeans_runs=1",
]


@pytest.fixture
def run(tmp_path):
    """A function that runs a command line in an empty folder."""

    def in_folder(*arguments, **options):
        return start(tmp_path, *arguments, **options)

    return in_folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a finished run, its arguments, and what its process said."""
    cwd = tmp_path_factory.mktemp("trained")
    arguments = [DIGITS_FILE, *SMALL, "--config.grouping.max_size=None"]
    return cwd / "runs/digits", arguments, start(cwd, *arguments)


def figures(done):
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "eval/" in line]
    return [
        " ".join(line.split()) for line in lines if not re.search("eval/(clusters|support)", line)
    ]


def test_train_again_and_evaluate(trained, run):
    workdir, arguments, first = trained
    assert first.returncode == 0, first.stderr
    assert "epoch 1/1" in first.stderr  # plain log lines, since this is no terminal
    assert "\r" not in first.stderr
    assert "Written: runs/digits/report.html (the groups" in first.stderr
    assert "pad-jax --mode=browse --workdir=runs/digits" in first.stderr
    said = kinds.sentence(metrics.last_row(workdir))
    assert said in first.stderr
    assert "groups/count " in first.stdout
    assert "scs" not in (first.stdout + first.stderr).lower()
    assert "Results after epoch 1:" in first.stdout
    assert "eval/knn_accuracy " in first.stdout
    again = run(*arguments, f"--workdir={workdir}")
    assert again.returncode == 0
    assert "finished" in again.stderr
    assert said in again.stderr
    assert again.stdout == first.stdout
    assert len(metrics.read(workdir)) == 1


def test_a_run_is_evaluated_without_its_config(trained, run):
    workdir, _, first = trained
    alone = run("--mode=evaluate", f"--workdir={workdir}", "--config.eval.kmeans_runs=1")
    assert len(figures(first)) > 5
    assert figures(alone) == figures(first)
    fewer = run("--mode=evaluate", "--workdir", workdir, "--config.eval.pixels=False")
    assert figures(fewer) == [line for line in figures(first) if "_pixels " not in line]


def test_a_run_goes_on_without_its_config(trained, run):
    """From any folder, and whatever was overridden."""
    workdir, _, first = trained
    again = run(f"--workdir={workdir}")
    assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
    assert "This run is finished." in again.stderr


def test_what_the_encoder_was_trained_with_is_not_overridden(trained, run):
    workdir, _, _ = trained
    for field in ("model.embedding_dim=64", "augmentation.flip=True", "batch_size=8"):
        done = run(
            "--mode=export", f"--workdir={workdir}", f"--config.{field}", "--output=x.stablehlo"
        )
        assert done.returncode == 2
        assert f"--config.{field} has no meaning here: the run in {workdir} was" in done.stderr
    same = run("--mode=embed", f"--workdir={workdir}", "--config.batch_size=128", "--output=x.npy")
    assert same.returncode == 0, same.stderr


def test_what_evaluators_of_ones_own_read_is_overridden(trained, run, tmp_path):
    workdir, _, _ = trained
    (tmp_path / "own.py").write_text(
        "import dataclasses\n"
        "from typing import ClassVar\n"
        "from pad_jax.evaluators.base import Evaluator\n"
        "from pad_jax.settings import at_least, setting\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class OwnSettings:\n"
        "    SECTION: ClassVar[str] = 'own'\n"
        "    k: int = setting(5, 'k', at_least(1))\n"
        "class Own(Evaluator):\n"
        "    SETTINGS = (OwnSettings,)\n"
        "    needs_labels = False\n"
        "    def __init__(self, settings): self.k = settings[OwnSettings].k\n"
        "    def features(self, occasion): return ('embedding',)\n"
        "    def run(self, features): yield 'own', float(self.k)\n"
    )
    (tmp_path / "mine.py").write_text(
        "import json, pathlib\n"
        "from pad_jax.config import default\n"
        "def get_config():\n"
        "    config = default(eval__evaluators=('own:Own',))\n"
        f"    run = json.loads(pathlib.Path({str(workdir / 'config.json')!r}).read_text())\n"
        "    config.dataset.update(run['dataset'])\n"
        "    return config\n"
    )
    arguments = ["--config=./mine.py", "--config.own.k=7", f"--workdir={workdir}"]
    done = run("--mode=evaluate", *arguments)
    assert done.returncode == 0, done.stderr
    assert re.search(r"eval/own +7\.0", done.stdout)


def test_what_is_printed_to_a_full_disk_is_one_line(trained):
    workdir, _, _ = trained
    command = [*PYTHON, "-m", "pad_jax.main", "--mode=search", "--query=train/3"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, f"--workdir={workdir}"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "pad_jax: what is printed cannot be written (No space left on device)"
    )
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_gone(tmp_path):
    command = "mkdir gone; cd gone; rmdir ../gone; exec "
    done = subprocess.run(
        ["bash", "-c", command + shlex.join([*PYTHON, "-m", "pad_jax.main", DIGITS])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "pad_jax: the folder that this was called in is gone" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_is_written_anew(trained, run):
    workdir, _, _ = trained
    path = workdir / "report.html"
    before = path.read_text(encoding="utf-8")
    path.unlink()
    done = run("--mode=report", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Written: {path}\n"
    assert kinds.sentence(metrics.last_row(workdir)) in done.stderr
    assert path.read_text(encoding="utf-8") == before


def test_the_package_is_a_command_too(trained, run):
    workdir, _, first = trained
    assert run(f"--workdir={workdir}", module="pad_jax").stdout == first.stdout
    done = run(DIGITS, "--config.batch_size=0", module="pad_jax")
    assert done.returncode == 2
    assert done.stderr == "pad_jax: batch_size=0 cannot be used; use 1 or more\n"


def test_a_folder_with_configs_of_its_own(tmp_path, run):
    own = tmp_path / "configs"
    own.mkdir()
    (own / "__init__.py").touch()
    (own / "digits.py").write_text(
        "from pad_jax.config import default\n\n\n"
        "def get_config():\n"
        "    config = default()\n"
        "    config.batch_size = 0\n"
        "    return config\n"
    )
    for config, message in (
        (DIGITS, "loss.hpe='mse' cannot be used"),  # all else can
        ("--config=configs/digits.py", "batch_size=0 cannot be used"),
        ("--config=./configs/digits.py", "batch_size=0 cannot be used"),
    ):
        done = run(config, "--config.loss.hpe=mse")
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_parts_in_the_folder_it_is_started_in(tmp_path, run):
    (tmp_path / "my_modes.py").write_text(
        "from pad_jax.modes.base import Mode\n"
        "MODE = Mode(lambda call: f'{call.config_name}: {call.config.num_epochs}')\n"
    )
    # -P: as the console script, whose own folder is the first place that Python looks in.
    arguments = ("--config", "digits", "--config.num_epochs=7", "--mode=my_modes:MODE")
    done = run(*arguments, options=["-P"])
    assert (done.returncode, done.stdout) == (0, "digits: 7\n"), done.stderr


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize(("dtype", "fast_products"), [("bfloat16", True), ("float32", False)])
def test_xlas_flags_go_with_the_dtype(tmp_path, run, dtype, fast_products, recorded):
    """Also with that of a run whose config leaves it open."""
    (tmp_path / "my_modes.py").write_text(
        "import os\n"
        "from pad_jax.modes.base import Mode\n"
        "MODE = Mode(lambda call: os.environ['XLA_FLAGS'])\n"
    )
    config = configs.default()
    config.model.dtype = dtype
    make_checkpoint(tmp_path / "runs/photos", 1)
    (tmp_path / "runs/photos/config.json").write_text(config.to_json())
    arguments = ["--config=photos", "--mode=my_modes:MODE"]
    if not recorded:
        arguments += ["--workdir=runs/new", f"--config.model.dtype={dtype}"]
    done = run(*arguments, XLA_FLAGS="")
    assert done.returncode == 0, done.stderr
    assert ("INDIVIDUAL_DOT" in done.stdout) == fast_products


def test_help_says_what_every_mode_takes(run):
    done = run("--help")
    assert done.returncode == 0
    for flag in ("--config", "--mode", "--workdir", "--table", "--seeds", "--features", "--query"):
        assert f"  {flag}:" in done.stdout
    for mode in MODES:
        assert f"  --mode={mode}: " in done.stdout
    assert "Flags of --mode=search:" in done.stdout
    assert "  --config.num_epochs=200\n" in done.stdout
    assert (
        "    share of the graph's edges, the most similar ones, that are searched; auto:"
        in done.stdout
    )
    assert "pad_jax." not in done.stdout.replace("python -m pad_jax.", "")


def test_who_reads_the_help_may_stop_reading(tmp_path):
    worker = subprocess.Popen(
        [sys.executable, "-m", "pad_jax", "--mode=help"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    worker.stdout.close()
    assert (worker.stderr.read(), worker.wait(60)) == (b"", 1)
    worker.stderr.close()


@pytest.mark.parametrize(
    ("module", "signum"), [("pad_jax", signal.SIGINT), ("pad_jax.main", signal.SIGTERM)]
)
def test_interrupted_while_it_is_loaded(tmp_path, module, signum):
    program = f"import os; os.kill(os.getpid(), {int(signum)}); raise KeyboardInterrupt"
    (tmp_path / "jax.py").write_text(program)  # is found before JAX
    done = start(tmp_path, "--help", module=module)
    assert done.returncode == 128 + signum
    assert done.stderr.startswith("pad_jax: stopped; a run goes on from what was saved")
    assert len(done.stderr.splitlines()) == 1


def test_a_signal_that_a_callback_swallows_ends_the_program_all_the_same(tmp_path):
    program = (
        "import os, signal, weakref\n"
        "from pad_jax import signals\n"
        "signals.install(); signals.ready()\n"
        "class Thing: pass\n"
        "thing = Thing()\n"
        "seen = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))\n"
        "del thing\n"
        "print('went on')"
    )
    done = subprocess.run([*PYTHON, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("block", "said"), [("worth_waiting_for", "saved\n"), ("unwrapped", "")])
def test_a_signal_during_a_long_call_in_c(block, said):
    program = (
        "import hashlib, os, signal, threading\n"
        "from pad_jax import signals\n"
        "signals.install(); signals.ready()\n"
        "signals._GRACE = 0.2\n"
        "threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "try:\n"
        f"    with signals.{block}():\n"
        "        hashlib.pbkdf2_hmac('sha256', b'a', b'b', 4_000_000)\n"
        "except signals.Stopped as stopped:\n"
        "    print('saved', flush=True)\n"
        "    signals.leave(stopped.signum)\n"
    )
    done = subprocess.run([*PYTHON, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, said)


def test_features_stand_in_place_of_a_run(tmp_path, run):
    np.save(tmp_path / "mine.npy", np.eye(4, dtype=np.float32) + 0.1)
    for arguments in (["--features=mine.npy"], ["--features", "~/mine.npy"]):
        done = run("--mode=search", *arguments, "--query=2", "--count=1", HOME=tmp_path)
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(r"[013]\t0\.\d{4}\n", done.stdout)


def test_flags_in_a_file(tmp_path, run):
    (tmp_path / "flags.txt").write_text("--config=digits\n--config.optimizer.momentum=2.0\n")
    done = run("--flagfile=flags.txt")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "optimizer.momentum=2.0 cannot be used" in done.stderr


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "flags.txt cannot be read (No such file or directory)"),
        (b"--flagfile=gone.txt", "gone.txt cannot be read (No such file or directory)"),
        (b"\xff\xfe", "flags.txt, or one that it names, is no text"),
    ],
    ids=["gone", "names-one-that-is", "no-text"],
)
def test_a_file_of_flags_that_cannot_be_read(tmp_path, run, content, what):
    if content is not None:
        (tmp_path / "flags.txt").write_bytes(content)
    done = run("--config=digits", "--flagfile=flags.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"pad_jax: --flagfile={what}; give a text file with a flag a line\n"


def test_modes():
    assert {"train", "evaluate", "report", "sweep"} <= set(MODES)


def test_too_few_images(tmp_path, run):
    np.savez(tmp_path / "few.npz", x_train=np.zeros((4, 8, 8), np.uint8))
    done = run(DIGITS, "--config.dataset.name=npz", f"--config.dataset.root={tmp_path / 'few.npz'}",
               "--config.dataset.test_split=")  # fmt: skip
    assert done.returncode == 2
    assert "grouping.num_neighbors=5 cannot be used; the data set has 4 images" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_run_says_what_it_was(trained):
    workdir, _, _ = trained
    recorded = folder.read_config(workdir)
    assert recorded["num_epochs"] == 1
    assert recorded["grouping"]["max_size"] is None
    assert re.fullmatch("[0-9a-f]{64}", folder.read_run(workdir)["fingerprint"])


def test_the_command_line_is_read_when_it_is_run(tmp_path):
    """Not when the module is loaded: notebooks and wrappers set it later."""
    program = (
        "import sys; from pad_jax import main; "
        "sys.argv = ['pad-jax', '--config=digits', '--config.seed=abc']; main.run()"
    )
    done = subprocess.run([*PYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert "--config.seed=abc: use an integer" in done.stderr
