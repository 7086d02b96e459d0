"""A fully connected layer on frozen features: the linear classifier of Table 1."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from pad_jax.evaluators.base import Evaluator, Features, Occasion
from pad_jax.settings import RESULTS, Settings, names, setting

# For rows that are standardised and scaled to about unit length: one grid serves all features.
_LEARNING_RATES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_HELD_OUT = 0.1
_MIN_STEPS = 1000
_BLOCK = 2**24  # numbers looked at at a time


@dataclasses.dataclass(frozen=True)
class LinearSettings:
    """The linear classifiers."""

    SECTION: ClassVar[str] = "eval"

    probe: tuple[str, ...] = setting(
        ("conv5",),
        "what linear classifiers look at, at the end; () for none",
        names("use some of the encoder's features, such as conv5"),
        "paper",
        affects=RESULTS,
    )


class LinearProbe(Evaluator):
    """Test accuracy of softmax regression, with the learning rate that does best on held-out rows.

    The learning rate is the one whose cross-entropy on a random tenth of the training rows is the
    lowest; the layer is then trained anew on all of them. Without test images there is no figure.

    Args:
      settings: of the run.
      epochs: passes over the training rows; more where these are fewer than 1,000 steps.
      batch_size: rows at a time.
      seed: of the rows held out and of the batches.
    """

    SETTINGS = (LinearSettings,)
    field = "eval.probe"

    def __init__(self, settings: Settings, epochs: int = 30, batch_size: int = 256, seed: int = 0):
        self._settings = settings[LinearSettings]
        self._epochs, self._batch_size, self._seed = epochs, batch_size, seed

    def features(self, occasion: Occasion) -> Sequence[str]:
        return self._settings.probe if occasion.final and occasion.has_test else ()

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        if features.test is None or len(features.train) < 2:
            return
        train, labels, test_labels = features.train, features.train_labels, features.test_labels
        classes = int(max(labels.max(), test_labels.max())) + 1
        moments = _moments(train)
        order = np.random.default_rng(self._seed).permutation(len(train))
        held_out, rest = np.split(order, [max(1, int(_HELD_OUT * len(train)))])
        fit = functools.partial(
            self._fit, jax.device_put(train), np.asarray(labels, np.int32), moments, classes
        )
        logits = _logits(fit(rest, _LEARNING_RATES), _standardize(train[held_out], *moments))
        losses = np.nan_to_num(_cross_entropy(logits, labels[held_out]), nan=np.inf)  # diverged
        best = _LEARNING_RATES[int(losses.argmin())]
        predicted = _logits(fit(order, (best,)), _standardize(features.test, *moments))[0].argmax(1)
        yield f"linear_accuracy{features.suffix}", float(np.mean(predicted == test_labels))

    def _fit(self, train, labels, moments, classes, rows, learning_rates):
        """Weights and biases trained on some rows, one pair for each learning rate."""
        batch_size = min(self._batch_size, len(rows))
        steps = len(rows) // batch_size
        rng = np.random.default_rng((self._seed, 1))
        epochs = max(self._epochs, -(-_MIN_STEPS // steps))
        plan = np.stack([rng.permutation(rows)[: steps * batch_size] for _ in range(epochs)])
        plan = plan.reshape(-1, batch_size).astype(np.int32)
        learning_rates = np.array(learning_rates, np.float32)
        return _train_layers(train, labels, moments, plan, learning_rates, classes)


@functools.partial(jax.jit, static_argnums=5)
def _train_layers(train, labels, moments, plan, learning_rates, classes):
    """A layer for each learning rate, all on the same batches: ([L, D, C], [L, C])."""
    decay = optax.cosine_decay_schedule(1.0, len(plan))

    def loss(layer, x, y):
        logits = x @ layer[0] + layer[1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def train_layer(learning_rate):
        def schedule(step):
            return learning_rate * decay(step.astype(jnp.float32))

        optimizer = optax.sgd(schedule, momentum=0.9, nesterov=True)

        def step(carry, index):
            layer, state = carry
            x = _standardize(train[index], *moments)  # here, for a copy of all may not fit
            gradients = jax.grad(loss)(layer, x, labels[index])
            updates, state = optimizer.update(gradients, state)
            return (optax.apply_updates(layer, updates), state), None

        layer = jnp.zeros((train.shape[1], classes)), jnp.zeros(classes)
        (layer, _), _ = lax.scan(step, (layer, optimizer.init(layer)), plan)
        return layer

    return jax.vmap(train_layer)(learning_rates)


def _logits(layers, x):
    """Of each layer on rows [M, D]: [L, M, C]."""
    weights, biases = map(np.asarray, layers)
    return x @ weights + biases[:, None]


def _cross_entropy(logits, labels):
    """Of each layer, [L]."""
    import scipy.special  # here, not at the top: most programs do without

    own = np.take_along_axis(logits, labels[None, :, None], axis=2)[..., 0]
    return np.mean(scipy.special.logsumexp(logits, axis=2) - own, axis=1)


def _moments(rows):
    """Mean and standard deviation of each column, float32 [D], without a copy of all rows."""
    mean = rows.mean(0, dtype=np.float64)
    blocks = np.array_split(rows, -(-rows.size // _BLOCK))
    variance = sum(np.square(block - mean).sum(0) for block in blocks) / len(rows)
    return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)


def _standardize(rows, mean, deviation):
    """Rows, NumPy or JAX, by these moments and scaled to a mean square length of one."""
    return (rows - mean) / (deviation * len(mean) ** 0.5).clip(1e-6)
