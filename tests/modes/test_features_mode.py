"""--mode=features on the command line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.support.image_files import save


@pytest.fixture
def run(tmp_path):
    """A function that extracts features of 70 images by a module in the folder it is started in."""
    rng = np.random.default_rng(0)
    for i in range(70):
        save(tmp_path / f"images/{i // 35}/{i:02}.png", rng.integers(0, 256, (9, 9, 3), np.uint8))
    (tmp_path / "mine.py").write_text(
        "import os\n"
        "def colours(images):\n"
        "    if len(images) < 64 and 'STOP' in os.environ:\n"
        "        raise KeyboardInterrupt\n"
        "    return images.mean((1, 2))\n"
    )

    def command(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "pad_jax.main", "--mode=features", *arguments],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return command


WHOLE = ["--images=images", "--extractor=mine:colours", "--output=out.npz"]


def test_a_file_is_written_and_an_interruption_gone_on_from(run, tmp_path):
    arguments = [*WHOLE, "--image_size=8", "--views=1", "--config.augmentation.flip=False"]
    stopped = run(*arguments, STOP="1")
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert stopped.stderr.splitlines()[-1].startswith("pad_jax: stopped; a run goes on")
    progress = json.loads((tmp_path / "out.npz.partial/progress.json").read_text())
    assert progress["command"]["--config.augmentation"]["flip"] is False
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    said = "out.npz (70 x 3 features of mine:colours, and of 1 augmented view of each image)"
    assert done.stdout == f"Written: {said}\n"
    assert "goes on after 64 of 70 images" in done.stderr
    found = np.load(tmp_path / "out.npz")
    assert found["features"].shape == (2, 70, 3)
    assert found["features"].min() > 0
    assert json.loads(str(found["extractor"]))["images"] == str(tmp_path / "images")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (WHOLE[1:], "--images is missing; give the folder of the images"),
        ([*WHOLE, "--distributed"], "--mode=features is for one process"),
        ([*WHOLE, "--config.dataset.root=images"], "--config.dataset.root has no meaning for"),
        ([*WHOLE, "--config.dataset.name=npz"], "--config.dataset.name has no meaning for"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"pad_jax: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "mine.py"]


def test_labels_are_those_of_the_folders_unless_the_config_says_otherwise(run, tmp_path):
    names = sorted(path.name for path in (tmp_path / "images").rglob("*.png"))
    table = "".join(f"{int(name[:2]) // 35}/{name},kind {int(name[:2]) % 3}\n" for name in names)
    (tmp_path / "labels.csv").write_text(f"image,label\n{table}")
    for labels, known in (("", {0, 1}), ("none", {-1}), ("labels.csv", {0, 1, 2})):
        done = run(*WHOLE, "--image_size=8", f"--config.dataset.labels={labels}")
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "out.npz") as found:
            assert set(found.get("labels", np.array([-1])).tolist()) == known
        (tmp_path / "out.npz").unlink()


def test_half_done_work_of_other_labels_is_not_gone_on_with(run, tmp_path):
    (tmp_path / "labels.csv").write_text("image,label\n0/00.png,cat\n")
    arguments = [*WHOLE, "--image_size=8", "--config.dataset.labels=labels.csv"]
    assert run(*arguments, STOP="1").returncode == 130
    (tmp_path / "labels.csv").write_text("image,label\n0/00.png,cat\n0/01.png,ant\n")
    done = run(*arguments)
    assert done.returncode == 2
    assert "the file of labels" in done.stderr
