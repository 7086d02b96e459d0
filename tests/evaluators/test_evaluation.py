"""Which evaluator looks at what, and when."""

import jax
import numpy as np
import pytest

from pad_jax import config, models, parallel
from pad_jax.data import Dataset, augmentation
from pad_jax.data.images import ResidentImages
from pad_jax.errors import InputError
from pad_jax.evaluators.evaluation import Evaluation
from tests.support.effective_rank import EffectiveRank

OUTSIDE = "tests.support.effective_rank:EffectiveRank"


class Case:
    """An encoder, and images of which a part has labels."""

    def __init__(self, rng, labels, test_labels=None, **fields):
        evaluators = fields.pop("eval.evaluators", ())
        chosen = config.default(eval__evaluators=evaluators)
        chosen.update_from_flattened_dict(
            {"model.name": "tiny", "model.embedding_dim": 8, "eval.features": ("embedding",)}
            | fields
        )
        settings = config.read(chosen)
        self.encoder = models.create(settings)
        sets = [self._images(rng, labels), test_labels and self._images(rng, test_labels)]
        self.dataset = Dataset(*sets)
        self.plain = augmentation.create(settings)
        self.variables = jax.jit(self.encoder.init)(
            jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32)
        )
        self.evaluation = Evaluation(settings, self.encoder, self.dataset, self.plain)

    def _images(self, rng, labels):
        array = rng.integers(0, 256, (len(labels), 8, 8, 1), np.uint8)
        return ResidentImages(array, np.asarray(labels), [""] * len(labels))

    def __call__(self, epoch, *, final=False):
        """The figures, without the seconds that they took."""
        on_devices = parallel.replicate(parallel.fetch(self.variables))
        figures = self.evaluation(on_devices, epoch, final=final)
        return {k: v for k, v in figures.items() if k.startswith("eval/")}

    def effective_rank(self):
        """Of the embeddings of all training images, by eigenvalues in float64."""
        images = self.plain.plain(self.dataset.train.array)
        rows = self.encoder.apply(self.variables, images)["embedding"]
        rows = np.asarray(rows, np.float64)
        values = np.sqrt(np.linalg.eigvalsh(rows.T @ rows).clip(1e-30))
        p = values / values.sum()
        return np.exp(-np.sum(p * np.log(p)))


def test_an_evaluator_from_outside_needs_no_labels_and_has_epochs_of_its_own(rng):
    fields = {"eval.evaluators": ("knn", OUTSIDE), "effective_rank.every_epochs": 3}
    case = Case(rng, [-1] * 30, **fields, **{"eval.every_epochs": 2})
    expected = {"eval/effective_rank": pytest.approx(case.effective_rank(), rel=1e-4)}
    assert 1 < case.effective_rank() < 8
    assert [epoch for epoch in range(1, 8) if case(epoch)] == [3, 6]
    assert case(3) == case(7, final=True) == expected


def test_evaluators_that_need_labels_have_epochs_of_their_own(rng):
    fields = {"eval.evaluators": ("knn", OUTSIDE), "effective_rank.every_epochs": 3}
    case = Case(rng, [0, 1, 2] * 10, **fields, **{"eval.every_epochs": 2})
    knn, rank = "eval/knn_accuracy", "eval/effective_rank"
    found = [set(case(epoch)) for epoch in range(1, 7)]
    of_knn = {f"{knn}{at}" for at in ("", "_at_1", "_at_20")}
    assert found == [set(), of_knn, {rank}, of_knn, set(), of_knn | {rank}]
    of_pixels = {f"{name}_pixels" for name in of_knn}
    assert set(case(7, final=True)) == of_knn | of_pixels | {rank}


def test_what_needs_no_labels_looks_at_all_images(rng):
    """KNN at those alone whose class is known."""
    labels = [0, 1, 0, 1, 1] + [-1] * 40
    fields = {"eval.evaluators": ("knn", OUTSIDE), "eval.knn_neighbors": 1}
    case = Case(rng, labels, **fields)
    figures = case(10)
    assert figures["eval/effective_rank"] == pytest.approx(case.effective_rank(), rel=1e-4)
    assert figures["eval/knn_accuracy"] * 5 % 1 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("evaluators", [("knn",), ("knn", "clustering", "linear"), ()])
def test_nothing_is_evaluated_where_nothing_can_be(rng, evaluators):
    case = Case(rng, [-1] * 10, [-1] * 4, **{"eval.evaluators": evaluators})
    assert case(10, final=True) == {}


@pytest.mark.parametrize("field", ["eval.features", "eval.probe"])
def test_features_that_the_encoder_does_not_have(rng, field):
    fields = {"eval.evaluators": ("knn", "linear"), field: ("embedding", "fc9")}
    with pytest.raises(InputError, match=f"{field}='fc9'.*conv5, embedding, fc"):
        Case(rng, [0, 1] * 5, [0, 1], **fields)


def test_features_that_are_looked_at_while_training_alone(rng):
    fields = {"eval.evaluators": ("tests.support.parts:WhileTraining",)}
    case = Case(rng, [-1] * 10, **fields)
    figures = case(1)
    assert figures == {"eval/rows_fc": 10.0}
    assert type(figures["eval/rows_fc"]) is float  # which JSON can take
    assert case(1, final=True) == {"eval/rows": 10.0}
    with pytest.raises(InputError, match="eval.evaluators='fc9'.*conv5, embedding, fc"):
        Case(rng, [-1] * 10, **{"eval.evaluators": ("tests.support.parts:WhileTrainingWrongly",)})


@pytest.mark.parametrize("name", ["kmeans", "no.such_module:Rank", "tests.support.parts:Rank"])
def test_unknown_evaluators(name):
    with pytest.raises(InputError, match="eval.evaluators"):
        config.read({"eval": {"evaluators": ("knn", name)}})


def test_the_settings_of_an_evaluator_from_outside_are_checked():
    chosen = config.default(eval__evaluators=(OUTSIDE,))
    assert chosen.effective_rank.every_epochs == 1
    chosen.effective_rank.every_epochs = 0
    with pytest.raises(InputError, match="effective_rank.every_epochs=0"):
        config.read(chosen)
    assert not EffectiveRank.needs_labels


def test_what_cannot_mean_anything_is_said_once_after_the_last_epoch(rng, caplog):
    fields = {"eval.evaluators": ("knn",), "eval.every_epochs": 1, "eval.pixels": True}
    case = Case(rng, [0] * 30, **fields)
    case(1)
    assert not caplog.messages
    case(2, final=True)
    [message] = caplog.messages
    assert message.startswith("All labelled training images are of one class")
