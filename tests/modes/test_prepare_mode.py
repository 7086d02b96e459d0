"""--mode=prepare, a run on what it makes, and what comes after that when the originals are gone."""

import csv
import shutil

import numpy as np

from tests.support import command
from tests.support.image_files import save

_CONFIG = """from configs import folder

def get_config():
    config = folder.get_config()
    config.batch_size, config.num_epochs, config.model.name = 16, 1, "tiny"
    config.dataset.root, config.dataset.image_size = {root!r}, 64
    config.eval.kmeans_runs = 1
    return config
"""


def _config(file, root):
    file.write_text(_CONFIG.format(root=str(root)))
    return f"--config={file}"


def test_a_run_on_prepared_images_and_what_comes_after(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(48):
        pixels = rng.integers(0, 256, (70, 70 + i, 3), np.uint8) // (1 + i % 2)
        save(tmp_path / f"photos/{'ab'[i % 2]}/{i:02}.png", pixels)
    ready, workdir = tmp_path / "ready", f"--workdir={tmp_path / 'run'}"

    def run(*arguments):
        said = command.run(monkeypatch, *arguments)
        assert said.error == ""
        return said.printed

    photos = _config(tmp_path / "photos.py", tmp_path / "photos")
    said = command.run(monkeypatch, "--mode=prepare", photos)
    assert said.error.startswith("--output is missing")
    said = run("--mode=prepare", photos, f"--output={ready}")
    assert "train: 48 images" in said
    run(_config(tmp_path / "ready.py", ready), workdir)
    rows = list(csv.DictReader((tmp_path / "run/groups.csv").read_text().splitlines()))
    assert [row["image"] for row in rows][:2] == ["a/00.png", "a/02.png"]

    found = run("--mode=search", workdir, "--query=a/00.png", "--count=1")
    assert str(tmp_path / "photos") in found
    shutil.rmtree(tmp_path / "photos")
    found = run("--mode=search", workdir, "--query=a/00.png", "--count=1")
    assert str(tmp_path / "photos") not in found
    said = run("--mode=sort", workdir, f"--output={tmp_path / 'sorted'}")
    assert "Written" in said
    assert len(list((tmp_path / "sorted").rglob("*.png"))) == 48
    said = command.run(monkeypatch, "--mode=search", workdir, f"--query={tmp_path}/photos/a/00.png")
    assert "is no file, and none of the images searched" in said.error
