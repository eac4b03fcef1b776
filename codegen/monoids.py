"""Monoids of reductions: where they start, how a value joins, how partial results are combined.

A state is a tuple of atoms: the accumulated value and, for argmax and argmin, the position where it was found.
Positions decide between equal values, so that the first extreme wins in whatever order elements arrive; NaN is beyond
every number.
"""

from __future__ import annotations

from codegen.loop_builder import LoopBuilder, literal
from codegen.loops import Atom, Fma, ValueType, VectorReduce
from ir.dtype import DType, Scalar, dtypes

State = tuple[Atom, ...]
_COMBINE = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}
_NO_POSITION = (1 << 31) - 1


def accumulator_dtype(monoid: str, dtype: DType) -> DType:
    """The type that sums are kept in: float32 for the 16-bit floats."""
    narrow = dtype.is_float and dtype.itemsize == 2
    return dtypes.float32 if narrow and monoid in ("sum", "prod") else dtype


def identity_value(monoid: str, dtype: DType) -> Scalar:
    """What leaves every value of the monoid as it is."""
    if monoid in ("sum", "prod"):
        return int(monoid == "prod")
    return dtype.minimum if monoid in ("max", "argmax") else dtype.maximum


def identity(monoid: str, dtype: DType, lanes: int) -> State:
    """The state before the first value."""
    start = literal(identity_value(monoid, dtype), dtype, lanes)
    return (start, literal(_NO_POSITION, dtypes.int32, lanes)) if monoid.startswith("arg") else (start,)


def combine(builder: LoopBuilder, monoid: str, left: State, right: State) -> State:
    """Both states as one."""
    if not monoid.startswith("arg"):
        return (builder.apply(_COMBINE[monoid], left[0], right[0], dtype=left[0].type.dtype),)
    better = _is_better(builder, monoid, right, left)
    return builder.where(better, right[0], left[0]), builder.where(better, right[1], left[1])


def join_later(builder: LoopBuilder, monoid: str, state: State, value: Atom, position: Atom) -> State:
    """The state of an argmax or argmin after a value that stands behind all others: only a more extreme one wins."""
    best, place = state
    nearer = (value, best) if monoid == "argmax" else (best, value)
    better = builder.apply("bit_not", builder.compare("less_equal", *nearer))
    if best.type.dtype.is_float:  # that holds for every NaN too: the first one stays
        better = builder.apply("bit_and", better, builder.compare("equal", best, best))
    return builder.where(better, value, best), builder.where(better, position, place)


def add_product(builder: LoopBuilder, state: State, left: Atom, right: Atom) -> State:
    """A sum of floats after one more product, rounded once."""
    lanes, dtype = max(atom.type.lanes for atom in (state[0], left, right)), state[0].type.dtype
    a, b, c = (builder.splat(atom, lanes) for atom in (left, right, state[0]))
    return (builder.let(Fma(a, b, c, ValueType(dtype, lanes)), "sum"),)


def select(builder: LoopBuilder, condition: Atom, chosen: State, other: State) -> State:
    """``chosen`` in the lanes where the condition holds."""
    return tuple([builder.where(condition, new, old) for new, old in zip(chosen, other, strict=True)])


def combine_tree(builder: LoopBuilder, monoid: str, states: list[State]) -> State:
    """All states as one, neighbours first: the same tree for the same number of states."""
    while len(states) > 1:
        pairs = [combine(builder, monoid, *states[i:i + 2]) for i in range(0, len(states) - 1, 2)]
        states = pairs + states[len(states) - len(states) % 2:]
    return states[0]


def combine_lanes(builder: LoopBuilder, monoid: str, state: State) -> State:
    """The lanes of a vector state as one scalar state."""
    def across(name: str, atom: Atom) -> Atom:
        return atom if atom.type.lanes == 1 else builder.let(VectorReduce(name, atom, ValueType(atom.type.dtype)))
    if not monoid.startswith("arg"):
        return (across(monoid, state[0]),)
    extreme = across(monoid.removeprefix("arg"), state[0])
    found = _same(builder, state[0], extreme)
    return extreme, across("min", builder.where(found, state[1], literal(_NO_POSITION, dtypes.int32)))


def outcome(builder: LoopBuilder, monoid: str, state: State) -> Atom:
    """What a reduction with this final state yields."""
    if not monoid.startswith("arg"):
        return state[0]
    nothing = literal(_NO_POSITION, dtypes.int32, state[1].type.lanes)  # beat the identity: all values are equal to it
    return builder.where(builder.compare("equal", state[1], nothing), literal(0, dtypes.int32), state[1])


def _is_better(builder: LoopBuilder, monoid: str, left: State, right: State) -> Atom:
    """True where ``left`` holds the more extreme value, or an equal one that stands earlier."""
    beyond = (right[0], left[0]) if monoid == "argmax" else (left[0], right[0])
    better = builder.compare("less", *beyond)
    earlier = builder.compare("less", left[1], right[1])
    same = _same(builder, left[0], right[0])
    if left[0].type.dtype.is_float:
        only_left = builder.apply("bit_and", _is_nan(builder, left[0]),
                                  builder.compare("equal", right[0], right[0]))
        better = builder.apply("bit_or", better, only_left)
    return builder.apply("bit_or", better, builder.apply("bit_and", same, earlier))


def _same(builder: LoopBuilder, left: Atom, right: Atom) -> Atom:
    equal = builder.compare("equal", left, right)
    if not left.type.dtype.is_float:
        return equal
    return builder.apply("bit_or", equal, builder.apply("bit_and", _is_nan(builder, left), _is_nan(builder, right)))


def _is_nan(builder: LoopBuilder, atom: Atom) -> Atom:
    return builder.compare("not_equal", atom, atom)
