"""The real loop, end to end on real images."""

import collections
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import pad_jax
from configs import digits as digits_config
from pad_jax import config as configs
from pad_jax import data, models, steps, train
from pad_jax import state as state_module
from pad_jax.data.augmentation import Crops
from pad_jax.epoch import STEPS_PER_DISPATCH, EpochRunner
from pad_jax.errors import InputError
from pad_jax.modes.evaluate import evaluate
from pad_jax.modes.report import write_report
from pad_jax.report import page
from pad_jax.run import metrics
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import (
    AUTO,
    QUICK,
    assert_same_state,
    count_compilations,
    evaluated,
    restored,
    scramble_labels,
    small_config,
    without_clock,
)

# Of the images trained on alone.
APART = {"eval/clusters", "eval/clusters_coverage", "eval/support"}


def test_training_learns_and_writes_its_files(finished):
    rows = metrics.read(finished)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert rows[0]["train/loss"] == pytest.approx(
        rows[0]["train/loss_scs"] + 0.8 * rows[0]["train/loss_hpe"], rel=1e-5
    )
    expected = {
        "train/loss", "train/loss_scs", "train/loss_hpe", "train/learning_rate",
        "train/images_per_second", "time/graph", "time/search", "time/train", "scs/count",
        "scs/mean_size", "scs/coverage", "scs/purity", "scs/pair_precision",
        "eval/knn_accuracy", "eval/kmeans_acc", "eval/kmeans_nmi", "eval/knn_accuracy_pixels",
        "eval/knn_accuracy_at_1", "eval/knn_accuracy_at_20_fc", "eval/largest_class",
    }  # fmt: skip
    assert expected <= rows[2].keys()
    for row in rows:
        curve = row["graph/modularity"]
        assert len(curve) == 20
        assert max(modularity for _, modularity in curve) <= row["graph/peak_modularity"] <= 1
        assert 0 < row["graph/peak_share"] <= 1
        assert ("eval/clusters" in row) == (row["epoch"] == 3)
    histogram = rows[2]["scs/size_histogram"]
    assert sum(count for _, count in histogram) == rows[2]["scs/count"]
    config = json.loads((finished / "config.json").read_text())
    assert config["grouping"]["max_size"] == 10
    run = json.loads((finished / "run.json").read_text())
    assert (run["num_images"], run["device_count"]) == (300, 1)
    assert "After epoch 3 of 3" in (finished / "report.html").read_text(encoding="utf-8")


def test_digits_end_to_end(tmp_path):
    """Ten epochs of the README's first command, at a higher learning rate."""
    config = digits_config.get_config()
    config.num_epochs, config.batch_size = 10, 64
    config.eval.every_epochs, config.eval.kmeans_runs = 0, 3
    row = train_and_evaluate(config, tmp_path)
    rows = metrics.read(tmp_path)
    assert row["train/loss"] < rows[0]["train/loss"]
    assert row["scs/purity"] > 0.9
    assert row["eval/knn_accuracy"] > row["eval/knn_accuracy_pixels"] + 0.02
    # Not ACC: which minimum k-means finds moves it by 0.05, with rounding alone.
    assert row["eval/kmeans_nmi"] > row["eval/kmeans_nmi_pixels"] + 0.04


def test_a_finished_run_started_again_trains_nothing(finished, monkeypatch):
    before = restored(finished)
    monkeypatch.setattr(steps, "train_step", None)
    monkeypatch.setattr(data, "load", None)  # the images may be gone, too
    result = train_and_evaluate(small_config(num_epochs=3), finished)
    assert result == metrics.read(finished)[-1]
    assert len(metrics.read(finished)) == 3
    assert_same_state(restored(finished), before)


def test_interrupted_and_resumed_equals_uninterrupted(finished, tmp_path, monkeypatch):
    config, workdir = small_config(num_epochs=3), tmp_path / "parts"

    class Interrupted(Exception):
        pass

    run_epoch = EpochRunner.__call__

    def interrupted(self, state, groups, epoch, *rest, **options):
        result = run_epoch(self, state, groups, epoch, *rest, **options)
        if epoch == 2:  # after two epochs and the training of the third
            raise Interrupted
        return result

    with monkeypatch.context() as patch:
        patch.setattr(EpochRunner, "__call__", interrupted)
        with pytest.raises(Interrupted):
            train_and_evaluate(config, workdir)
    assert [row["epoch"] for row in metrics.read(workdir)] == [1, 2]
    train_and_evaluate(config, workdir)
    assert_same_state(restored(workdir), restored(finished))
    assert without_clock(metrics.read(workdir)) == without_clock(metrics.read(finished))


def test_resuming_goes_back_to_the_checkpoint_where_later_rows_have_none(
    finished, tmp_path, monkeypatch
):
    config = small_config(num_epochs=3, **{"checkpoint.every_epochs": 2})
    discover = train.discover

    def interrupted(*args):
        if args[-1] == 1:  # one epoch done, none saved
            raise KeyboardInterrupt
        return discover(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "discover", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, tmp_path)
    assert [row["epoch"] for row in metrics.read(tmp_path)] == [1]
    train_and_evaluate(config, tmp_path)
    assert [row["epoch"] for row in metrics.read(tmp_path)] == [1, 2, 3]
    assert_same_state(restored(tmp_path), restored(finished))


@pytest.mark.parametrize(("every_epochs", "early"), [(10, True), (0, False)])
def test_a_first_report_after_the_first_epoch(tmp_path, monkeypatch, every_epochs, early):
    fields = {"model.name": "tests.support.parts:linear", "eval.every_epochs": every_epochs}
    fields |= {"eval.features": ("embedding",), "eval.probe": (), "eval.kmeans_runs": 1}
    config = small_config(num_epochs=3, **fields)
    seen, run_epoch = [], EpochRunner.__call__

    def watched(self, *args, **options):
        path = tmp_path / "report.html"
        seen.append(path.read_text(encoding="utf-8") if path.exists() else "")
        return run_epoch(self, *args, **options)

    monkeypatch.setattr(EpochRunner, "__call__", watched)
    train_and_evaluate(config, tmp_path)
    assert not seen[0]
    assert [("After epoch 1 of 3" in page) for page in seen[1:]] == [early] * 2
    assert "eval/knn_accuracy" not in metrics.read(tmp_path)[0]  # the report alone


def test_labels_never_reach_training(finished, tmp_path, monkeypatch):
    scramble_labels(monkeypatch)
    train_and_evaluate(small_config(num_epochs=3), tmp_path)
    assert_same_state(restored(tmp_path), restored(finished))
    knn = [metrics.read(w)[-1]["eval/knn_accuracy"] for w in (finished, tmp_path)]
    assert knn[1] < 0.25 < 0.4 < knn[0]  # they did reach the evaluation
    agreeing = ("eval/", "neighbors/", "scs/purity", "scs/pair_precision")
    unlabelled = [
        {k: v for k, v in row.items() if k in APART or not k.startswith(agreeing)}
        for w in (finished, tmp_path)
        for row in without_clock(metrics.read(w))
    ]
    assert unlabelled[:3] == unlabelled[3:]
    assert APART | {"graph/modularity"} <= unlabelled[5].keys()
    assert (tmp_path / "groups.csv").read_bytes() == (finished / "groups.csv").read_bytes()


def test_several_steps_per_dispatch_train_the_same(tmp_path, monkeypatch):
    # A learning rate that does not magnify rounding.
    config = small_config(num_epochs=1, **QUICK, **{"optimizer.learning_rate": 1e-4})
    train_and_evaluate(config, tmp_path / "single")
    monkeypatch.setitem(STEPS_PER_DISPATCH, "cpu", 3)  # of the epoch's four
    train_and_evaluate(config, tmp_path / "looped")
    looped, single = restored(tmp_path / "looped"), restored(tmp_path / "single")
    assert looped.keys() == single.keys()
    for name in single:
        np.testing.assert_allclose(looped[name], single[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "overrides",
    [QUICK, {"dataset.max_resident_gib": 0.0} | AUTO],
    ids=["resident", "streamed, auto"],
)
def test_nothing_is_compiled_after_the_first_epoch(tmp_path, monkeypatch, overrides):
    at_epoch = count_compilations(monkeypatch)
    overrides = overrides | {"eval.every_epochs": 1}
    train_and_evaluate(small_config(num_epochs=4, **overrides), tmp_path)
    assert at_epoch[0] > 0
    assert at_epoch[0] == at_epoch[1] == at_epoch[2]


def test_a_trained_model_embeds_images_of_any_size(finished, rng):
    model = pad_jax.load(finished)
    assert model.epoch == 3
    images = np.round(load_digits().images[:5] * 255 / 16).astype(np.uint8)
    embeddings = model.embed(images)
    assert embeddings.shape == (5, 128)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    resized = np.stack([Image.fromarray(x).resize((16, 16), 2) for x in images])
    np.testing.assert_allclose(model.embed(resized), embeddings, atol=1e-5)
    assert model.embed(images[:0]).shape == (0, 128)
    one_by_one = (x if i % 2 else resized[i] for i, x in enumerate(images))
    np.testing.assert_allclose(model.embed(one_by_one), embeddings, atol=1e-5)
    with pytest.raises(ValueError, match="float64"):
        model.embed(images / 255)
    with pytest.raises(ValueError, match=r"give image\[None\]"):
        model.embed(np.zeros((16, 16, 3), np.uint8))


def test_groups_are_written_with_the_images_names(finished):
    lines = (finished / "groups.csv").read_text().splitlines()
    assert lines[0] == "image,group,size,cluster"
    rows = [line.split(",") for line in lines[1:]]
    assert len({name for name, _, _, _ in rows}) == 300
    sizes = collections.Counter(group for _, group, _, _ in rows)
    assert all(size == ("1" if group == "-1" else str(sizes[group])) for _, group, size, _ in rows)
    # So few images, so briefly looked at: no kinds of them stand apart.
    assert metrics.read(finished)[-1]["eval/clusters"] == 0
    assert {cluster for *_, cluster in rows} == {"-1"}
    assert sizes.pop("-1") < 300
    assert sorted(sizes, key=int) == [str(i) for i in range(len(sizes))]
    falling = [sizes[str(i)] for i in range(len(sizes))]
    assert falling == sorted(falling, reverse=True)
    assert 2 <= falling[-1] <= falling[0] <= 10


def test_evaluating_alone_gives_the_figures_of_the_run(finished):
    figures = evaluate(small_config(num_epochs=3), finished)
    assert figures == evaluated(metrics.read(finished)[-1])


def test_results_do_not_depend_on_the_evaluation_batch(finished):
    one = evaluate(small_config(**{"eval.batch_size": 7}), finished)
    two = evaluate(small_config(**{"eval.batch_size": 1000}), finished)
    assert one == pytest.approx(two, abs=1e-6)


def test_k_means_takes_the_embedding_whatever_knn_looks_at(finished):
    only_fc = {"eval.features": ("fc",), "eval.pixels": False, "eval.probe": ()}
    figures = evaluate(small_config(num_epochs=3, **only_fc), finished)
    last = metrics.read(finished)[-1]
    names = {
        *(k for k in last if k.startswith("eval/kmeans_") or ("accuracy" in k and "_fc" in k)),
        *("epoch", "eval/largest_class"),
    }
    names = {name for name in names if not name.endswith("_pixels")}
    assert figures == {name: last[name] for name in names}


@pytest.mark.parametrize(
    ("gib", "evaluated"),
    [(1e-4, {""}), (8e-4, {"", "_fc", "_pixels"}), (2e-3, {"", "_fc", "_pixels", "_conv5"})],
)
def test_long_features_are_left_out(finished, gib, evaluated):
    """Of the 660 images fc and pixels take 6.3e-4 GiB, conv5 1.3e-3, the embedding 3.1e-4."""
    figures = evaluate(small_config(**{"eval.max_feature_gib": gib}), finished)
    accuracies = [key for key in figures if "_accuracy" in key and "_at_" not in key]
    assert {key.split("_accuracy")[1] for key in accuracies} == evaluated


def test_another_config_in_the_same_folder_is_refused(finished):
    with pytest.raises(InputError, match=r"loss.temperature was 0.1 and is now 0.2.*--workdir"):
        train_and_evaluate(small_config(num_epochs=3, **{"loss.temperature": 0.2}), finished)
    assert len(metrics.read(finished)) == 3


def test_a_report_is_that_of_the_run(finished, monkeypatch):
    config = small_config(num_epochs=3)
    before = (finished / "report.html").read_text(encoding="utf-8")
    write_report(config, finished)
    assert (finished / "report.html").read_text(encoding="utf-8") == before
    with pytest.raises(InputError, match="another config .*embedding_dim was 128 and is now 64"):
        write_report(small_config(num_epochs=3, **{"model.embedding_dim": 64}), finished)

    def broken(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(page, "render", broken)
    with pytest.raises(ZeroDivisionError):
        write_report(config, finished)


def test_the_first_memory_is_the_random_encoders(tmp_path, monkeypatch):
    seen = []

    def interrupted(self, state, *_, **__):
        seen.append(state_module.to_host(state, 300))
        raise KeyboardInterrupt

    monkeypatch.setattr(EpochRunner, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train_and_evaluate(small_config(), tmp_path)
    settings = configs.read(small_config())
    encoder, images = models.create(settings), data.load(settings).train.array
    features = encoder.apply(seen[0].variables, Crops(settings).plain(images))
    np.testing.assert_allclose(seen[0].memory, features["embedding"], atol=1e-5)


@pytest.mark.parametrize("config", ["digits", None, {"seed": 0}])
def test_what_is_no_config(tmp_path, config):
    with pytest.raises(TypeError, match="config is a .*; give a ConfigDict, as"):
        train_and_evaluate(config, tmp_path / "run")
