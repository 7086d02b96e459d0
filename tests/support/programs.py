"""What a traced program is made of."""

from collections.abc import Iterator

import jax
import jax.extend


def equations(program: jax.extend.core.ClosedJaxpr) -> Iterator[jax.extend.core.JaxprEqn]:
    """Each operation of a program, and of those that it calls."""
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for value in jax.tree.leaves(equation.params, is_leaf=_is_program):
            if _is_program(value):
                yield from equations(value)


def _is_program(value):
    return hasattr(getattr(value, "jaxpr", value), "eqns")
