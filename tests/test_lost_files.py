"""A run whose files go while it trains ends with one line, and goes on once they are back."""

import numpy as np
import pytest

from pad_jax import train
from pad_jax.errors import InputError
from pad_jax.run import checkpoints, metrics
from tests.support.image_files import save
from tests.support.small_runs import small_config


def test_a_streamed_run_stops_and_goes_on(tmp_path, rng, monkeypatch):
    for i in range(64):
        save(tmp_path / f"pile/{i:02}.png", rng.integers(0, 256, (16, 16), np.uint8))
    config = small_config(**{"dataset.name": "folder", "dataset.root": str(tmp_path / "pile")})
    config.dataset.update(test_split="", max_images=None, max_resident_gib=0.0)
    config.update(batch_size=32)
    path, save_checkpoint = tmp_path / "pile/40.png", checkpoints.Checkpoints.save

    def save_and_lose(*arguments):
        save_checkpoint(*arguments)
        path.rename(tmp_path / "away")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "save", save_and_lose)
        with pytest.raises(InputError, match=rf"{path}.*give the same command again"):
            train.train_and_evaluate(config, tmp_path / "run")
    assert [row["epoch"] for row in metrics.read(tmp_path / "run")] == [1]
    (tmp_path / "away").rename(path)
    train.train_and_evaluate(config, tmp_path / "run")
    assert [row["epoch"] for row in metrics.read(tmp_path / "run")] == [1, 2]
