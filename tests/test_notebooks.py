"""The notebooks run from top to bottom, as a user runs them."""

import os
import pathlib
import sys

import nbclient
import nbformat

_ROOT = pathlib.Path(__file__).parents[1]


def _run(path, folder, **parameters):
    """The outputs of a notebook, in a folder, with other values in its first cell of code."""
    notebook = nbformat.read(_ROOT / path, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    for name, value in parameters.items():
        lines = first.source.splitlines()
        (i,) = [i for i, line in enumerate(lines) if line.startswith(f"{name} = ")]
        lines[i] = f"{name} = {value!r}"
        first.source = "\n".join(lines)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": folder}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(str(output.get("text") or output.get("data")) for output in outputs)


def test_notebooks_run_from_top_to_bottom(tmp_path, monkeypatch):
    # Where pad-jax is, as in a notebook of this environment.
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    short = "--config.num_epochs=1 --config.eval.kmeans_runs=1"
    said = _run("launch/colab.ipynb", tmp_path, MORE=short, WORK="Colab Notebooks/runs")
    assert "srcdoc" in said  # the report
    assert (tmp_path / "run.tar.gz").exists()
    (tmp_path / "runs").symlink_to("Colab Notebooks/runs")
    assert (tmp_path / "runs/digits/encoder.stablehlo").exists()
    # The same run: it is finished, and not trained again.
    said = _run("docs/python.ipynb", tmp_path, MORE=short)
    assert "This run is finished" in said
    assert "groups," in said
    assert (tmp_path / "encoder.stablehlo").exists()
