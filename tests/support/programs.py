"""What a traced program is made of."""

from collections.abc import Iterator

import jax
import jax.extend
import jax.numpy as jnp

from pad_jax import models
from pad_jax.models import ModelSettings
from pad_jax.settings import Settings


def equations(program: jax.extend.core.ClosedJaxpr) -> Iterator[jax.extend.core.JaxprEqn]:
    """Each operation of a program, and of those that it calls."""
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for value in jax.tree.leaves(equation.params, is_leaf=_is_program):
            if _is_program(value):
                yield from equations(value)


def _is_program(value):
    return hasattr(getattr(value, "jaxpr", value), "eqns")


def of_encoder(
    name: str, platform: str, *, train: bool = False, dtype: str = "float32"
) -> jax.extend.core.ClosedJaxpr:
    """The program of an encoder on two images of 32 px."""
    encoder = models.create(Settings(ModelSettings(name=name, dtype=dtype)), platform)
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(encoder.init, jax.random.key(0), images)

    def apply(variables, images):
        return encoder.apply(variables, images, train=train, mutable=["batch_stats"])

    return jax.make_jaxpr(apply)(variables, images)
