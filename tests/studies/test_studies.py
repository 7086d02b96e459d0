"""The studies that look at finished runs, or at files of features, still run."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

import pad_jax
from tests.support.small_runs import small_config


def run(*arguments):
    """Runs a study; what it prints."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run."""
    workdir = tmp_path_factory.mktemp("run")
    fields = {"model.name": "tests.support.parts:linear", "eval.evaluators": ()}
    pad_jax.train_and_evaluate(small_config(**fields), workdir)
    return workdir


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """A file of 300 digits' pixels as features, with their labels."""
    digits, file = load_digits(), tmp_path_factory.mktemp("features") / "digits.npz"
    rows = digits.data[:300]
    np.savez(file, features=rows[:, rows.std(0) > 0].astype(np.float32), labels=digits.target[:300])
    return file


def test_the_rule(trained, tmp_path):
    assert "| support |" in run("tests.studies.rule", str(trained), f"--json={tmp_path / 'p.json'}")
    assert '"support"' in (tmp_path / "p.json").read_text()


def test_edges_and_their_precision(trained):
    said = run("tests.studies.edge_precision", f"--workdir={trained}", "--shares=0.1,1")
    assert said.count("\n| ") >= 3


def test_names_for_all(features, tmp_path):
    out = tmp_path / "out"
    arguments = (f"digits={features}", f"--out={out}", "--names", "10", "--seeds=2")
    assert "--mode=label" in run("tests.studies.naming", *arguments)
    assert (out / "names.csv").is_file()


def test_groups_of_features(features, tmp_path):
    out = tmp_path / "out"
    arguments = (f"digits={features}", f"--out={out}", "--seeds=1", "--only=PAD as published")
    assert "| PAD as published |" in run("tests.studies.feature_groups", *arguments)
