"""The baselines: their inputs, losses and heads, and whole runs in the shared loop."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

import pad_jax
from pad_jax import models, optimizer, parallel, state, steps
from pad_jax.epoch import EpochRunner
from pad_jax.errors import InputError
from pad_jax.graph.groups import singletons
from pad_jax.models import ModelSettings
from pad_jax.objectives import heads
from pad_jax.objectives.base import Objective
from pad_jax.objectives.clusters import Clusters, ClusterSettings
from pad_jax.objectives.pad import Pad
from pad_jax.objectives.rotation import Rotation
from pad_jax.optimizer import OptimizerSettings
from pad_jax.run import metrics
from pad_jax.settings import RunSettings, Settings
from pad_jax.state import TrainState
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import (
    assert_same_state,
    count_compilations,
    restored,
    scramble_labels,
    small_config,
    without_clock,
)


def baseline(name, **overrides):
    """Seconds: three epochs of four steps."""
    fields = {"objective": name, "num_epochs": 3, "clusters.count": 12, "clusters.components": 32}
    fields |= {"eval.every_epochs": 0, "eval.kmeans_runs": 1, "eval.pixels": False}
    return small_config(**(fields | overrides))


# Inputs and losses


def test_rotated_views_are_numpys(rng):
    views = rng.standard_normal((3, 6, 6, 2)).astype(np.float32)
    inputs = np.asarray(Rotation(Settings()).inputs([jnp.asarray(views)]))
    assert inputs.shape == (12, 6, 6, 2)
    for turns in range(4):
        for i in range(3):
            np.testing.assert_array_equal(inputs[3 * turns + i], np.rot90(views[i], turns))


def oracle(head, features, labels):
    """-log softmax and accuracy in float64."""
    logits = np.float64(features) @ head["kernel"] + head["bias"]
    losses = scipy.special.logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return losses.mean(), np.mean(logits.argmax(1) == labels)


def random_head(rng, num_features, num_classes):
    return {
        "kernel": rng.standard_normal((num_features, num_classes)).astype(np.float32),
        "bias": rng.standard_normal(num_classes).astype(np.float32),
    }


def test_the_rotation_loss_is_that_of_the_formula(rng):
    head, features = random_head(rng, 5, 4), rng.standard_normal((12, 5)).astype(np.float32)
    loss, figures = Rotation(Settings()).loss(
        {"head": head}, jnp.asarray(features), None, np.arange(3), epoch=0
    )
    expected = oracle(head, features, np.repeat(np.arange(4), 3))
    assert (loss, figures["rotation_accuracy"]) == pytest.approx(expected, rel=1e-5)
    assert figures["loss"] == loss


def test_the_cluster_loss_is_that_of_the_formula(rng):
    head, features = random_head(rng, 5, 6), rng.standard_normal((4, 5)).astype(np.float32)
    cluster, index = rng.integers(0, 6, 9).astype(np.int32), np.array([[7, 0, 3, 8]], np.int32)
    host = host_state(head, groups=singletons(9)._replace(group_id=cluster))
    loss, figures = jax.pmap(
        lambda features, state, index: six_clusters().loss(
            state.params, features, state, index, epoch=0
        ),
        axis_name=parallel.AXIS,
        in_axes=(0, state.AXES, 0),
    )(features[None], state.to_devices(host), index)
    expected = oracle(head, features, cluster[index[0]])
    assert (loss[0], figures["cluster_accuracy"][0]) == pytest.approx(expected, rel=1e-5)


def six_clusters():
    return Clusters(Settings(RunSettings(seed=3), ClusterSettings(count=6)))


def host_state(head, groups):
    params = {"fc1": {"kernel": np.ones((2, 2), np.float32)}, "head": head}
    sgd = optimizer.create(OptimizerSettings(), Pad(Settings()), lambda step: 0.1)
    ones = jax.tree.map(np.ones_like, parallel.fetch(sgd.init(params)))
    return TrainState(
        step=np.int32(4), params=params, batch_stats={}, opt_state=ones, memory=None, groups=groups
    )


# The head


def test_a_new_epoch_has_a_new_head_without_momentum_and_all_else_as_it_was(rng):
    host = host_state(random_head(rng, 5, 6), singletons(9))
    on_devices = state.to_devices(host)
    begun, again, later = (
        state.to_host(six_clusters().begin_epoch(on_devices, epoch), 9) for epoch in (1, 1, 2)
    )
    head = begun.params["head"]
    assert head["kernel"].shape == (5, 6)
    assert not head["bias"].any()
    np.testing.assert_array_equal(head["kernel"], again.params["head"]["kernel"])
    for other in (host, later):
        assert (head["kernel"] != other.params["head"]["kernel"]).all()
    momentum = begun.opt_state[1][0].trace
    assert not momentum["head"]["kernel"].any()
    assert not momentum["head"]["bias"].any()
    kept = begun.replace(
        params=begun.params | {"head": host.params["head"]},
        opt_state=jax.tree.map(np.ones_like, begun.opt_state),
    )
    assert (momentum["fc1"]["kernel"] == 1).all()
    jax.tree.map(np.testing.assert_array_equal, kept, host)


def test_a_head_begins_small(rng):
    kernel = heads.init(256, 100, seed=0)["kernel"]
    assert kernel.std() == pytest.approx(0.01, rel=0.05)
    assert kernel.mean() == pytest.approx(0, abs=1e-3)


# Augmentation


class FirstPixel(nn.Module):
    """An encoder that shows what it sees."""

    @nn.compact
    def __call__(self, images, *, train):
        self.variable("batch_stats", "none", jnp.zeros, ())
        return {"fc": images[:, 0, 0] * self.param("one", nn.initializers.ones, ())}


@pytest.mark.parametrize(
    ("objective", "distinct"), [(six_clusters(), 12), (Objective(Settings()), 2)]
)
def test_samples_that_repeat_are_augmented_anew(monkeypatch, objective, distinct):
    """Every draw of an epoch has a key of its own, and each epoch others."""

    def loss(self, params, features, state, index, epoch):
        return jnp.sum(features), {"seen": features[:, 0]}

    monkeypatch.setattr(type(objective), "loss", loss)
    parts = steps.StepParts(
        encoder=FirstPixel(),
        objective=objective,
        optimizer=optax.sgd(0.0),
        augmentation=lambda key, image: jnp.full(image.shape, jax.random.uniform(key)),
        seed=0,
        steps_per_epoch=2,
    )
    images = np.zeros((1, 3, 4, 4, 1), np.uint8)
    shape = jnp.zeros((3, 4, 4, 1))
    variables = parallel.fetch(parts.encoder.init(jax.random.key(0), shape, train=True))
    train_state = state.to_devices(
        TrainState(
            step=np.int32(0),
            **variables,
            opt_state=parts.optimizer.init(variables["params"]),
            memory=None,
            groups=singletons(5),
        )
    )
    step = steps.pmap_train_step(parts)
    same_sample, seen = np.full((1, 3), 4, np.int32), []
    for _ in range(4):
        zeros = parallel.replicate({"seen": np.zeros(3, np.float32)})
        train_state, sums = step(train_state, zeros, same_sample, images)
        seen.append(np.asarray(sums["seen"]))
    assert len(np.unique(seen)) == distinct


# Whole runs


@pytest.fixture(scope="module", params=["rotation", "clusters"])
def run(request, tmp_path_factory):
    """The name of a baseline, the folder of its uninterrupted run, and what was seen of each epoch.

    That is: how many programs were compiled by its end, the parameters it began with, its plan and
    its groups.
    """
    workdir = tmp_path_factory.mktemp("runs") / request.param
    began, plans = [], []
    run_epoch, dispatches = EpochRunner.__call__, EpochRunner._dispatches
    with pytest.MonkeyPatch.context() as patch:
        at_epoch = count_compilations(patch)
        patch.setattr(
            EpochRunner,
            "__call__",
            lambda self, train_state, *rest, **options: (
                began.append(parallel.fetch(train_state.params)),
                run_epoch(self, train_state, *rest, **options),
            )[1],
        )
        patch.setattr(
            EpochRunner,
            "_dispatches",
            lambda self, *args: (plans.append(args), dispatches(self, *args))[1],
        )
        train_and_evaluate(baseline(request.param), workdir)
    return request.param, workdir, (at_epoch, began, plans)


def test_baselines_train_in_the_shared_loop(run):
    name, workdir, (_, began, _) = run
    first_kernel = began[0]["embedding"]["kernel"]
    rows = metrics.read(workdir)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert all(np.isfinite(row["train/loss"]) for row in rows)
    assert 0 <= rows[-1]["eval/knn_accuracy_fc"] <= 1
    nothing_of = ("scs/", "neighbors/", "graph/", "eval/clusters")
    assert not any(key.startswith(nothing_of) for key in rows[-1])
    if name == "clusters":
        assert rows[-1]["clusters/mean_size"] == 300 / 12
        assert rows[-1]["clusters/purity"] > 0.4
    lines = [line.split(",") for line in (workdir / "groups.csv").read_text().split()[1:]]
    sizes, clusters = ({line[column] for line in lines} for column in (2, 3))
    assert clusters == {"-1"}  # of images that stand apart in a graph: there is none
    assert (sizes == {"1"}) == (name == "rotation")
    assert "builds no affinity graph" in (workdir / "report.html").read_text(encoding="utf-8")
    saved = restored(workdir)
    (kernel,) = (v for k, v in saved.items() if k.startswith("['params']['embedding']['kernel']"))
    np.testing.assert_array_equal(kernel, first_kernel)  # not trained, so not decayed either
    assert not any(key.startswith("['memory']") for key in saved)


def test_nothing_is_compiled_after_the_first_epoch_of_a_baseline(run):
    _, _, (at_epoch, _, _) = run
    assert at_epoch[0] > 0
    assert at_epoch[0] == at_epoch[1]


def test_every_epoch_of_deepcluster_has_a_new_head_and_all_clusters_alike(run):
    name, _, (_, began, plans) = run
    for epoch, params in enumerate(began):
        num_classes = 4 if name == "rotation" else 12
        new = np.array_equal(
            params["head"]["kernel"], heads.init(256, num_classes, 0, epoch)["kernel"]
        )
        assert new == (name == "clusters" or epoch == 0)
    for plan, groups, *_ in plans:
        counts = np.bincount(groups.group_id[plan.ravel()])
        assert counts.max() == (1 if name == "rotation" else 22)  # of 256 draws a twelfth
        assert plan.shape == (4, 64)
    assert any((a[0] != b[0]).any() for a, b in itertools.pairwise(plans))


def test_interrupted_baselines_go_on_bit_for_bit(run, tmp_path, monkeypatch):
    name, workdir, _ = run
    config = baseline(name)
    run_epoch = EpochRunner.__call__

    def interrupted(self, train_state, groups, epoch, *rest, **options):
        if epoch == 1:
            raise KeyboardInterrupt
        return run_epoch(self, train_state, groups, epoch, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(EpochRunner, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_and_evaluate(config, tmp_path)
    train_and_evaluate(config, tmp_path)
    assert_same_state(restored(tmp_path), restored(workdir))
    assert without_clock(metrics.read(tmp_path)) == without_clock(metrics.read(workdir))


def test_streamed_images_with_other_labels_train_the_same_baseline(run, tmp_path, monkeypatch):
    name, workdir, _ = run
    scramble_labels(monkeypatch)
    train_and_evaluate(baseline(name, **{"dataset.max_resident_gib": 0.0}), tmp_path)
    streamed, resident = restored(tmp_path), restored(workdir)
    assert streamed.keys() == resident.keys()
    for key in resident:
        np.testing.assert_allclose(streamed[key], resident[key], atol=1e-5, err_msg=key)


def test_a_baselines_encoder_loads_without_its_head(run, rng):
    name, workdir, _ = run
    head = restored(workdir)["['params']['head']['kernel']"]
    assert head.shape == (256, 4 if name == "rotation" else 12)
    model = pad_jax.load(workdir)
    assert "head" not in model.variables["params"]
    images = rng.integers(0, 256, (5, 16, 16, 1), np.uint8)
    embeddings = model.embed(images)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "resnet50", "tiny"])
def test_no_encoder_has_a_layer_called_head(name):
    encoder: nn.Module = models.create(Settings(ModelSettings(name=name)))
    variables = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert "head" not in variables["params"]


def test_rotations_are_learnt(tmp_path):
    row = train_and_evaluate(
        baseline("rotation", num_epochs=5, **{"dataset.max_images": 800}), tmp_path
    )
    assert row["train/rotation_accuracy"] > 0.5  # chance is 0.25
    assert row["eval/knn_accuracy_fc"] > 0.8


def test_clusters_are_learnt(tmp_path):
    """At a constant rate, as published: a new head has an epoch to learn in."""
    fields = {"optimizer.learning_rate": 0.1, "optimizer.decay_at": (), "dataset.max_images": None}
    config = baseline("clusters", num_epochs=5, batch_size=16, **fields)
    row = train_and_evaluate(config, tmp_path)
    assert row["train/cluster_accuracy"] > 0.3  # chance is 0.08
    assert row["train/loss"] < metrics.read(tmp_path)[0]["train/loss"]
    assert row["eval/knn_accuracy_fc"] > 0.8


def test_images_that_are_not_square_cannot_be_turned(tmp_path, rng):
    images = rng.integers(0, 256, (80, 16, 20), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images)
    fields = {"name": "npz", "root": str(tmp_path / "images.npz"), "test_split": ""}
    fields |= {"max_images": None, "image_size": None}
    config = baseline("rotation", **{f"dataset.{k}": v for k, v in fields.items()})
    with pytest.raises(InputError, match="objective='rotation' .* 16x20; set dataset.image_size"):
        train_and_evaluate(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"objective": "deepcluster"}, "objective='deepcluster' .* pad, rotation, clusters"),
        ({"objective": "clusters", "clusters.count": 1}, "clusters.count=1 cannot be used"),
        ({"objective": "clusters", "clusters.count": 301}, "clusters.count=301 .* has 300 images"),
        ({"objective": "clusters", "clusters.components": 0}, "clusters.components=0"),
    ],
)
def test_values_that_cannot_work(tmp_path, overrides, message):
    with pytest.raises(InputError, match=message):
        train_and_evaluate(small_config(**overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()
