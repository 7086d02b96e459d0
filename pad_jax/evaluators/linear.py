"""A fully connected layer on frozen features: the linear classifier of Table 1."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.special
from jax import lax

from pad_jax.evaluators import Features

# For rows that are standardised and scaled to about unit length: one grid serves all features.
_LEARNING_RATES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_HELD_OUT = 0.1
_MIN_STEPS = 1000


class LinearProbe:
    """Test accuracy of softmax regression, with the learning rate that does best on held-out rows.

    The learning rate is the one whose cross-entropy on a random tenth of the training rows is the
    lowest; the layer is then trained anew on all of them. Without test images there is no figure.

    Args:
      epochs: passes over the training rows; more where these are fewer than 1,000 steps.
      batch_size: rows at a time.
      seed: of the rows held out and of the batches.
    """

    def __init__(self, epochs: int = 30, batch_size: int = 256, seed: int = 0):
        self._epochs, self._batch_size, self._seed = epochs, batch_size, seed

    def run(self, features: Features) -> Iterator[tuple[str, float]]:
        if features.test is None or len(features.train) < 2:
            return
        train, test = _standardize(features.train, features.test)
        labels, test_labels = features.train_labels, features.test_labels
        classes = int(max(labels.max(), test_labels.max())) + 1
        order = np.random.default_rng(self._seed).permutation(len(train))
        held_out, rest = np.split(order, [max(1, int(_HELD_OUT * len(train)))])
        fit = functools.partial(self._fit, jnp.asarray(train), jnp.asarray(labels), classes)
        logits = _logits(fit(rest, _LEARNING_RATES), train[held_out])
        losses = np.nan_to_num(_cross_entropy(logits, labels[held_out]), nan=np.inf)  # diverged
        best = _LEARNING_RATES[int(losses.argmin())]
        predicted = _logits(fit(order, (best,)), test)[0].argmax(1)
        yield f"linear_accuracy{features.suffix}", float(np.mean(predicted == test_labels))

    def _fit(self, train, labels, classes, rows, learning_rates):
        """Weights and biases trained on some rows, one pair for each learning rate."""
        batch_size = min(self._batch_size, len(rows))
        steps = len(rows) // batch_size
        rng = np.random.default_rng((self._seed, 1))
        epochs = max(self._epochs, -(-_MIN_STEPS // steps))
        plan = np.stack([rng.permutation(rows)[: steps * batch_size] for _ in range(epochs)])
        plan = jnp.asarray(plan.reshape(-1, batch_size), jnp.int32)
        return _train_layers(train, labels, plan, jnp.array(learning_rates), classes)


@functools.partial(jax.jit, static_argnums=4)
def _train_layers(train, labels, plan, learning_rates, classes):
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
            gradients = jax.grad(loss)(layer, train[index], labels[index])
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
    own = np.take_along_axis(logits, labels[None, :, None], axis=2)[..., 0]
    return np.mean(scipy.special.logsumexp(logits, axis=2) - own, axis=1)


def _standardize(train, test):
    """Both by the training rows' means and deviations, scaled to a mean square length of one."""
    mean, deviation = train.mean(0), train.std(0)
    scale = 1 / np.maximum(deviation * np.sqrt(train.shape[1]), 1e-6)
    return (train - mean) * scale, (test - mean) * scale
