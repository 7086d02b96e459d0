"""Runs that the commands after training work on, and what they are called with."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from absl import flags
from sklearn.datasets import load_digits

import pad_jax
from pad_jax import config as configs
from pad_jax.modes.base import Call
from pad_jax.run import folder
from tests.support.image_files import save
from tests.support.small_runs import small_config

DIGITS = load_digits()
PIXELS = np.round(DIGITS.images * 255 / 16).astype(np.uint8)


@pytest.fixture(scope="session")
def digits_in_a_folder(tmp_path_factory):
    """150 digits in a folder for each of three kinds, one twice, and a file that is no image."""
    root = tmp_path_factory.mktemp("images")
    rows = np.flatnonzero(DIGITS.target < 3)[:150]
    for row in rows:
        save(root / f"{DIGITS.target[row]}/{row:03}.png", PIXELS[row])
    shutil.copy(root / "0/000.png", root / "2/copy.png")
    (root / "1/broken.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="session")
def trained(digits_in_a_folder, tmp_path_factory):
    """The folder of a run on the folder of digits."""
    workdir = tmp_path_factory.mktemp("run")
    fields = {"dataset.name": "folder", "dataset.root": str(digits_in_a_folder)}
    fields |= {"dataset.test_split": "", "dataset.max_images": None}
    fields |= {"eval.evaluators": (), "num_epochs": 1}
    fields["model.name"] = "tests.support.parts:linear"  # quick to compile
    pad_jax.train_and_evaluate(small_config(**fields), workdir)
    return workdir


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that run."""
    return pathlib.Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def run_without_files(run):
    """The same on 100 of scikit-learn's digits, which have no files."""
    change_dataset(run, name="digits", root="", max_images=100)
    return run


def change_dataset(workdir, **fields):
    """The run in a folder, as if it had been trained on another data set."""
    config = json.loads((workdir / "config.json").read_text())
    config["dataset"] |= fields
    (workdir / "config.json").write_text(json.dumps(config))


@pytest.fixture(scope="session")
def features(digits_in_a_folder, tmp_path_factory):
    """A file of pixels as features, [40, 64], with labels, and a text file of the images' paths."""
    root = tmp_path_factory.mktemp("features")
    paths = sorted(digits_in_a_folder.glob("0/*.png"))[:20]
    paths += sorted(digits_in_a_folder.glob("1/[0-9]*.png"))[:20]
    rows = [int(path.stem) for path in paths]
    np.savez(root / "mine.npz", features=DIGITS.data[rows], labels=DIGITS.target[rows])
    (root / "paths.txt").write_text("".join(f"{path}\n" for path in paths))
    return root


@pytest.fixture
def call():
    """A function: what a command line of --workdir, or of --features, makes a mode's ``Call``."""

    def make(workdir=None, **flags):
        config = configs.default()
        if workdir is not None:
            config = configs.filled(folder.read_config(workdir))
        return Call(config, "config.py", {}, workdir, **flags)

    return make


@pytest.fixture
def given(monkeypatch):
    """A function that gives flags of modes their values."""

    def give(**values):
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        for name, value in values.items():
            monkeypatch.setattr(flags.FLAGS[name], "value", value)

    give()
    return give
