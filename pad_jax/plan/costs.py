"""What one device does in a program, counted from its jaxpr: loops times their trips.

A compiled program says it less well: on GPUs not at all, and of a loop's body once.

Bytes are those that no fusion saves. Elementwise operations are taken as fused with each other and
with reductions after them; what enters or leaves such a chain, and what products, sorts and the
like take and give, passes through memory. Of what is gathered or updated in place only the slices
do.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax.extend import core

_INLINED = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr"}
_INLINED |= {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}
_INLINED |= {"remat": "jaxpr", "checkpoint": "jaxpr", "core_call": "call_jaxpr"}
_REDUCTIONS = ("reduce", "arg", "cum")
_SLICES = ("gather", "dynamic_slice")  # of which the result is what is read
_UPDATES = {"dynamic_update_slice": 1, "scatter": 2, "scatter-add": 2, "scatter_add": 2}
_APART = (  # besides these: nothing of theirs is fused
    *("dot_general", "conv_general_dilated", "sort", "top_k", "select_and_scatter_add"),
    *("reduce_window", "reduce_window_max", "reduce_window_sum", "reduce_scatter"),
)
_WITH_BODIES = ("while", "scan", "cond", "shard_map")


class Cost(NamedTuple):
    """Of one device.

    Attributes:
      flops: of products, by how their factors are rounded, see ``topologies.Peaks``.
      moved: bytes from and to its memory.
      sent: bytes to other devices.
    """

    flops: Mapping[str, float]
    moved: float
    sent: float

    def __add__(self, other: "Cost") -> "Cost":  # type: ignore[override]
        kinds = {*self.flops, *other.flops}
        flops = {kind: self.flops.get(kind, 0) + other.flops.get(kind, 0) for kind in kinds}
        return Cost(flops, self.moved + other.moved, self.sent + other.sent)

    def times(self, count: float) -> "Cost":
        flops = {kind: value * count for kind, value in self.flops.items()}
        return Cost(flops, self.moved * count, self.sent * count)


_NOTHING = Cost({}, 0.0, 0.0)


class _Value:
    """What an equation gives. Calls of one function share their jaxpr, but not their values."""

    def __init__(self, aval: Any):
        self.aval = aval


class _Equation(NamedTuple):
    """One of a flattened jaxpr: of values, and of its arguments and literals."""

    name: str
    params: Mapping[str, Any]
    ins: Sequence[Any]
    outs: Sequence[Any]
    primitive: Any


def count(function: Any, *arguments: Any, known: Mapping[int, int] | None = None) -> Cost:
    """The cost of a call.

    Args:
      function: of arrays, pmapped or not.
      *arguments: trees of arrays or of ``jax.ShapeDtypeStruct``.
      known: the values of flat arguments, by their place, on the device that is counted; trips of
        loops may depend on them.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    values = {closed.jaxpr.invars[i]: value for i, value in (known or {}).items()}
    return _count(closed.jaxpr, values, 1)


def _count(jaxpr: Any, known: dict[Any, Any], devices: int) -> Cost:
    names: dict[Any, Any] = {}
    equations = list(_flattened(jaxpr, names))
    total = _NOTHING
    for equation in equations:
        _learn(equation, known)
        total += _own_cost(equation, known, devices)
    results = {names.get(v, v) for v in jaxpr.outvars if not _is_literal(v)}
    return total + Cost({}, _through_memory(equations, results), 0.0)


def _flattened(jaxpr: Any, names: dict[Any, Any]) -> Iterator[_Equation]:
    """The equations of a jaxpr and of the calls in it; ``names`` gets the values of variables."""

    def value(variable):
        return variable if _is_literal(variable) else names.get(variable, variable)

    for equation in jaxpr.eqns:
        name = equation.primitive.name
        ins = [value(v) for v in equation.invars]
        if name in _INLINED:
            inner = equation.params[_INLINED[name]]
            inner = getattr(inner, "jaxpr", inner)
            names.update(zip(inner.invars, ins, strict=True))
            yield from _flattened(inner, names)
            outs = [value(v) for v in inner.outvars]
        elif name == "convert_element_type" and _is_same(ins[0], equation.outvars[0]):
            outs = ins  # of a type that was weak
        else:
            outs = [_Value(v.aval) for v in equation.outvars]
            yield _Equation(name, equation.params, ins, outs, equation.primitive)
        names.update(zip(equation.outvars, outs, strict=True))


def _learn(equation: _Equation, known: dict[Any, Any]) -> None:
    """Computes the scalars that are known, for the trips of loops."""
    if equation.name == "axis_index":
        known[equation.outs[0]] = np.int32(0)
        return
    if equation.name in _WITH_BODIES or not all(map(_is_number, equation.outs)):
        return
    values = [_known_value(v, known) for v in equation.ins]
    if any(value is None for value in values):
        return
    values = [np.reshape(x, v.aval.shape) for x, v in zip(values, equation.ins, strict=True)]
    found = equation.primitive.bind(*values, **equation.params)
    found = found if equation.primitive.multiple_results else [found]
    known.update(zip(equation.outs, map(np.asarray, found), strict=True))


def _known_value(variable: Any, known: Mapping[Any, Any]) -> Any:
    return np.asarray(variable.val) if _is_literal(variable) else known.get(variable)


def _own_cost(equation: _Equation, known: dict[Any, Any], devices: int) -> Cost:
    """What an equation costs besides what passes through memory at its ends."""
    name, ins, outs = equation.name, equation.ins, equation.outs
    if name in ("dot_general", "conv_general_dilated"):
        return Cost({_rounding(equation): _product_flops(equation)}, 0.0, 0.0)
    if name == "shard_map":
        body, devices = equation.params["jaxpr"], equation.params["mesh"].size
        return _count(body, _passed(ins, body.invars, known), devices)
    if name == "while":
        return _of_while(equation, known, devices)
    if name == "scan":
        body = equation.params["jaxpr"].jaxpr
        inner = _passed(ins[: _constants(equation.params)], body.invars, known)
        return _count(body, inner, devices).times(equation.params["length"])
    if name == "cond":
        branches = [b.jaxpr for b in equation.params["branches"]]
        costs = [_count(b, _passed(ins[1:], b.invars, known), devices) for b in branches]
        return max(costs, key=lambda cost: (sum(cost.flops.values()), cost.moved))
    return Cost({}, 0.0, _sent(name, ins, outs, devices))


def _constants(scan: Mapping[str, Any]) -> int:
    """How many of a scan's arguments stay as they are; from jax 0.11 on its tree says so."""
    if "num_consts" in scan:
        return scan["num_consts"]
    constants, _, _ = scan["ft_in"].unpack()
    return len(list(constants))


def _of_while(equation: _Equation, known: dict[Any, Any], devices: int) -> Cost:
    """A ``fori_loop``: it counts a scalar up to another one that stays."""
    params = equation.params
    condition, body = params["cond_jaxpr"].jaxpr, params["body_jaxpr"].jaxpr
    of_condition, of_body = params["cond_nconsts"], params["body_nconsts"]
    carry, test = equation.ins[of_condition + of_body :], condition.eqns[-1]
    given = _passed([*equation.ins[:of_condition], *carry], condition.invars, known)
    first, last = (_known_value(v, given) for v in test.invars)
    if len(condition.eqns) > 1 or test.primitive.name != "lt" or first is None or last is None:
        raise ValueError("a loop's number of trips is not known")
    constants = equation.ins[of_condition : of_condition + of_body]
    place = of_body + condition.invars.index(test.invars[0]) - of_condition
    inner = _passed([*constants, *carry], body.invars, known)
    # Of what is carried only the bound stays as it is.
    stays = [*range(of_body)]
    if test.invars[1] in condition.invars[of_condition:]:
        stays.append(of_body + condition.invars.index(test.invars[1]) - of_condition)
    inner = {body.invars[i]: inner[body.invars[i]] for i in stays if body.invars[i] in inner}
    trips = range(int(first), int(last))
    if not any(e.name == "while" for e in _flattened(body, {})):
        return _count(body, inner, devices).times(len(trips))
    total = _NOTHING
    for i in trips:
        total += _count(body, inner | {body.invars[place]: np.int32(i)}, devices)
    return total


def _passed(ins: Sequence[Any], to: Sequence[Any], known: Mapping[Any, Any]) -> dict[Any, Any]:
    """What is known of arguments, by the names they have inside."""
    values = ((inner, _known_value(v, known)) for v, inner in zip(ins, to, strict=False))
    return {inner: value for inner, value in values if value is not None}


def _product_flops(equation: _Equation) -> float:
    [out], (left, right, *_) = equation.outs, equation.ins
    if equation.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2.0 * out.aval.size * math.prod(left.aval.shape[i] for i in contracted)
    numbers = equation.params["dimension_numbers"]
    features = right.aval.shape[numbers.rhs_spec[0]]
    # Zeros between the values of a dilated input are not multiplied.
    zeros = math.prod(equation.params["lhs_dilation"])
    return 2.0 * out.aval.size * right.aval.size / features / zeros


def _rounding(equation: _Equation) -> str:
    if any(v.aval.dtype.itemsize < 4 for v in equation.ins[:2]):
        return "bfloat16"
    precision = equation.params["precision"]
    first = precision[0] if isinstance(precision, tuple) else precision
    return "full" if first == lax.Precision.HIGHEST else "default"


def _sent(name: str, ins: Sequence[Any], outs: Sequence[Any], devices: int) -> float:
    """Bytes that a device sends in a collective, in rings."""
    given, taken = (sum(map(_bytes, variables)) for variables in (ins, outs))
    share = (devices - 1) / devices
    if name.startswith("psum") or name in ("pmax", "pmin"):
        return 2 * share * given
    if name.startswith("all_gather"):
        return share * taken
    return share * given if name.startswith(("reduce_scatter", "all_to_all")) else 0.0


def _through_memory(equations: Sequence[_Equation], results: set[Any]) -> float:
    """Bytes of a flattened jaxpr, without those of the bodies in it."""
    apart, written = 0.0, set(results)
    fused_ins: set[Any] = set()
    reduced_ins: set[Any] = set()
    fused_outs: set[Any] = set()
    for name, _, ins, outs, _ in equations:
        arrays = {v for v in ins if not _is_literal(v)}
        if name in _SLICES:
            apart += 2 * sum(map(_bytes, outs))
        elif name in _UPDATES:
            apart += 2 * _bytes(ins[_UPDATES[name]])
        elif name in _WITH_BODIES:
            written.update(arrays)
        elif name in _APART or name.startswith(("psum", "all_", "reduce_scatter")):
            apart += sum(map(_bytes, [*arrays, *outs]))
            written.update(arrays)
        else:
            (reduced_ins if name.startswith(_REDUCTIONS) else fused_ins).update(arrays)
            fused_outs.update(outs)
    # Read by chains: what does not come from one. Written by them: what others take.
    chains = sum(_bytes(v) for read in (fused_ins, reduced_ins) for v in read - fused_outs)
    return apart + chains + sum(map(_bytes, written & fused_outs))


def _bytes(variable: Any) -> float:
    aval = variable.aval
    return float(aval.size * aval.dtype.itemsize) if hasattr(aval, "dtype") else 0.0


def _is_number(variable: Any) -> bool:
    aval = variable.aval
    return aval.size == 1 and not jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended)


def _is_same(given: Any, taken: Any) -> bool:
    return not _is_literal(given) and given.aval.dtype == taken.aval.dtype


def _is_literal(variable: Any) -> bool:
    return isinstance(variable, core.Literal)
