"""Rules for elementwise ops and casts. All are exact: bit for bit for integers and bool, and for floats with NaN, the
infinities, -0.0 and denormals (the payload and the sign of a NaN, which IEEE 754 leaves open, aside).

Not here, because floats forbid them: x - x = 0 and 0 * x = 0 (NaN, infinities), x + 0.0 = x (-0.0 + 0.0 is 0.0),
-(x - y) = y - x (the sign of zero), (x + c) + d = x + (c + d) and x / c = x * (1 / c) in general (rounding),
not (x < y) = y <= x and x == x (NaN). Where such a rule holds for integers or bool it is given for these.
"""

from __future__ import annotations

import math

from ir import ops
from ir.dtype import DType
from ir.node import Node
from ir.ops.constant import constant_like, constant_value
from ir.ops.elementwise import ELEMENTWISE
from ir.rewrite import Capture, Match, Rule, rule

X, Y, Z = Capture("x"), Capture("y"), Capture("z")
C = Capture("c", lambda node: constant_value(node) is not None)
D = Capture("d", lambda node: constant_value(node) is not None)
ROUNDINGS = (ops.floor, ops.ceil, ops.trunc, ops.round)
BIT_OPS = (ops.bit_and, ops.bit_or, ops.bit_xor)


def is_exact(node: Node) -> bool:
    """Integers and bool, whose arithmetic neither rounds nor knows NaN."""
    return not node.dtype.is_float


def reads_exact(node: Node) -> bool:
    return not node.operands[0].dtype.is_float


def constant_of(value: float) -> Capture:
    """Matches a constant of this value (-1 is the constant with all bits set, for unsigned integers and bool too)."""
    return Capture("", lambda node: constant_value(node) == node.dtype.constant(value))


# --------------------------------------------------------------------------------------------- what ops declare


def may_shorten(node: Node) -> bool:
    return ELEMENTWISE[node.op.name].shortcut is not None or all(x.op is ops.CONSTANT for x in node.operands)


@rule(Match(tuple(ELEMENTWISE.values()), name="node", guard=may_shorten),
      measure="one node fewer; pow is the heaviest op")
def declared_shortcut(node: Node) -> Node:
    """The simpler node that the op itself declares (--x, x * 1, x + -0.0, where(True, x, y), folded constants, ...)."""
    operation = ELEMENTWISE[node.op.name]
    return operation(*node.operands)


# ------------------------------------------------------------------------------------------------------- signs


@rule(Match(ops.add, X, Match(ops.neg, Y), commutative=True), measure="one node fewer")
def negative_added(x: Node, y: Node) -> Node:
    """x + -y = x - y."""
    return ops.sub(x, y)


@rule(Match(ops.sub, X, Match(ops.neg, Y)), measure="one node fewer")
def negative_subtracted(x: Node, y: Node) -> Node:
    """x - -y = x + y."""
    return ops.add(x, y)


@rule(Match((ops.mul, ops.div), Match(ops.neg, X), Match(ops.neg, Y), name="node"), measure="two nodes fewer")
def negatives_multiplied(node: Node, x: Node, y: Node) -> Node:
    """-x * -y = x * y, and -x / -y = x / y."""
    return (ops.mul if node.op is ops.mul else ops.div)(x, y)


@rule(Match(ops.mul, X, constant_of(-1), commutative=True), measure="a unary op is lighter than a binary one")
def multiplied_by_minus_one(x: Node) -> Node:
    """x * -1 = -x."""
    return ops.neg(x)


@rule(Match(ops.neg, Match(ops.sub, X, Y), guard=is_exact), measure="one node fewer")
def difference_negated(x: Node, y: Node) -> Node:
    """-(x - y) = y - x, for integers."""
    return ops.sub(y, x)


@rule(Match(ops.abs, Match((ops.neg, ops.abs), X), guard=lambda node: node.dtype.is_signed), measure="one node fewer")
def absolute_of_signed(x: Node) -> Node:
    """| -x | = | |x| | = |x|, for floats and signed integers."""
    return ops.abs(x)


@rule(Match(ops.abs, X, guard=lambda node: node.dtype.kind == "uint"), measure="one node fewer")
def absolute_of_unsigned(x: Node) -> Node:
    """|x| = x, for unsigned integers."""
    return x


@rule(Match(ROUNDINGS, Match(ROUNDINGS, X, name="rounded")), measure="one node fewer")
def rounded_twice(rounded: Node, x: Node) -> Node:
    """floor(round(x)) = round(x), and so on: a whole number stays."""
    return rounded


# ---------------------------------------------------------------------------------------------------- integers


@rule(Match((ops.sub, ops.bit_xor), X, X, name="node", guard=is_exact), measure="a constant is lightest")
def cancelled(node: Node, x: Node) -> Node:
    """x - x = x ^ x = 0, for integers and bool."""
    return constant_like(node, 0)


@rule(Match(ops.sub, X, C, guard=is_exact), measure="sub is heavier than add")
def constant_subtracted(x: Node, c: Node) -> Node:
    """x - c = x + (-c), for integers: the form that the next rule knows."""
    return ops.add(x, ops.neg(c))


@rule(Match((ops.add, ops.mul, *BIT_OPS), Match((ops.add, ops.mul, *BIT_OPS), X, C, commutative=True, name="inner"), D,
            commutative=True, name="outer", guard=is_exact), measure="one node fewer")
def constants_gathered(outer: Node, inner: Node, x: Node, c: Node, d: Node) -> Node | None:
    """(x + c) + d = x + (c + d), likewise for *, &, | and ^, for integers and bool."""
    operation = ELEMENTWISE[outer.op.name]
    return operation(x, operation(c, d)) if inner.op is outer.op else None


@rule(Match(ops.mod, X, constant_of(1)), measure="a constant is lightest")
def remainder_of_one(x: Node) -> Node:
    """x % 1 = 0."""
    return constant_like(x, 0)


@rule(Match((ops.floordiv, ops.mod), X, C, name="node"), measure="floordiv and mod are heavier than shifts and masks")
def divided_by_power_of_two(node: Node, x: Node, c: Node) -> Node | None:
    """x // 2^k = x >> k and x % 2^k = x & (2^k - 1): floored division rounds as shifting does, also below 0."""
    divisor = int(c.attributes.value)
    if divisor < 1 or divisor & (divisor - 1):
        return None
    if node.op is ops.mod:
        return ops.bit_and(x, constant_like(x, divisor - 1))
    return ops.shift_right(x, constant_like(x, divisor.bit_length() - 1))


@rule(Match(ops.floordiv, Match(ops.floordiv, X, C), D), measure="one node fewer")
def divided_twice(x: Node, c: Node, d: Node) -> Node | None:
    """(x // c) // d = x // (c * d), for c, d > 0 whose product the dtype holds."""
    first, second = int(c.attributes.value), int(d.attributes.value)
    fits = first > 0 and second > 0 and first * second <= x.dtype.maximum
    return ops.floordiv(x, constant_like(x, first * second)) if fits else None


# --------------------------------------------------------------------------------------------------- bits, bool


@rule(Match(ops.bit_not, Match(ops.bit_not, X)), measure="two nodes fewer")
def complemented_twice(x: Node) -> Node:
    """~~x = x."""
    return x


@rule(Match((ops.bit_and, ops.bit_or), X, X), measure="one node fewer")
def combined_with_itself(x: Node) -> Node:
    """x & x = x | x = x."""
    return x


@rule(Match(BIT_OPS, X, constant_of(0), commutative=True, name="node"), measure="one node fewer")
def combined_with_zero(node: Node, x: Node) -> Node:
    """x & 0 = 0, x | 0 = x, x ^ 0 = x; 0 is False for bool."""
    return constant_like(x, 0) if node.op is ops.bit_and else x


@rule(Match(BIT_OPS, X, constant_of(-1), commutative=True, name="node"), measure="one node fewer, or a unary op")
def combined_with_ones(node: Node, x: Node) -> Node:
    """x & ~0 = x, x | ~0 = ~0, x ^ ~0 = ~x; ~0 is True for bool."""
    if node.op is ops.bit_xor:
        return ops.bit_not(x)
    return x if node.op is ops.bit_and else constant_like(x, -1)


@rule(Match((ops.shift_left, ops.shift_right), X, constant_of(0)), measure="one node fewer")
def shifted_by_zero(x: Node) -> Node:
    """x << 0 = x >> 0 = x."""
    return x


# ------------------------------------------------------------------------------------------------- comparisons


@rule(Match(ops.bit_not, Match((ops.equal, ops.not_equal), X, Y, name="comparison")), measure="one node fewer")
def equality_denied(comparison: Node, x: Node, y: Node) -> Node:
    """not (x == y) is x != y, and the reverse; for floats too, since NaN is unequal to all."""
    return (ops.not_equal if comparison.op is ops.equal else ops.equal)(x, y)


@rule(Match(ops.bit_not, Match((ops.less, ops.less_equal), X, Y, name="comparison", guard=reads_exact)),
      measure="one node fewer")
def order_denied(comparison: Node, x: Node, y: Node) -> Node:
    """not (x < y) is y <= x, and not (x <= y) is y < x, for integers and bool."""
    return (ops.less_equal if comparison.op is ops.less else ops.less)(y, x)


@rule(Match(ops.less, X, X, name="node"), measure="a constant is lightest")
def less_than_itself(node: Node, x: Node) -> Node:
    """x < x is False, also for NaN."""
    return constant_like(node, False)


@rule(Match((ops.equal, ops.not_equal, ops.less_equal), X, X, name="node", guard=reads_exact),
      measure="a constant is lightest")
def compared_with_itself(node: Node, x: Node) -> Node:
    """x == x and x <= x are True and x != x is False, for integers and bool."""
    return constant_like(node, node.op is not ops.not_equal)


@rule(Match(ops.less, X, Y, name="node"), measure="a constant is lightest")
def beyond_the_extremes(node: Node, x: Node, y: Node) -> Node | None:
    """x < minimum and maximum < x are False; the infinities are the extremes of floats."""
    impossible = constant_value(y) == y.dtype.minimum or constant_value(x) == x.dtype.maximum
    return constant_like(node, False) if impossible else None


@rule(Match(ops.less_equal, X, Y, name="node", guard=reads_exact), measure="a constant is lightest")
def within_the_extremes(node: Node, x: Node, y: Node) -> Node | None:
    """minimum <= x and x <= maximum are True, for integers and bool."""
    certain = constant_value(x) == x.dtype.minimum or constant_value(y) == y.dtype.maximum
    return constant_like(node, True) if certain else None


@rule(Match((ops.equal, ops.not_equal), X, C, commutative=True, name="node", guard=lambda node:
            node.operands[0].dtype.is_bool), measure="one node fewer, or a unary op")
def bool_compared(node: Node, x: Node, c: Node) -> Node:
    """x == True is x, x == False is not x, and the reverse for !=, for bool."""
    return x if c.attributes.value == (node.op is ops.equal) else ops.bit_not(x)


# ------------------------------------------------------------------------------------------ extremes and choices


@rule(Match((ops.maximum, ops.minimum), X, C, commutative=True, name="node"), measure="one node fewer")
def bounded_by_extreme(node: Node, x: Node, c: Node) -> Node | None:
    """max(x, minimum) = x and, for integers and bool, max(x, maximum) = maximum; likewise min."""
    neutral, absorbing = x.dtype.minimum, x.dtype.maximum
    if node.op is ops.minimum:
        neutral, absorbing = absorbing, neutral
    value = constant_value(c)
    return x if value == neutral else c if value == absorbing and is_exact(x) else None


@rule(Match(ops.where, Match(ops.bit_not, Z), X, Y), measure="one node fewer")
def choice_denied(x: Node, y: Node, z: Node) -> Node:
    """where(not z, x, y) = where(z, y, x)."""
    return ops.where(z, y, x)


@rule(Match(ops.where, Z, Match(ops.where, Z, X, Capture("")), Y), measure="one node fewer")
def chosen_twice_when_true(x: Node, y: Node, z: Node) -> Node:
    """where(z, where(z, x, _), y) = where(z, x, y)."""
    return ops.where(z, x, y)


@rule(Match(ops.where, Z, X, Match(ops.where, Z, Capture(""), Y)), measure="one node fewer")
def chosen_twice_when_false(x: Node, y: Node, z: Node) -> Node:
    """where(z, x, where(z, _, y)) = where(z, x, y)."""
    return ops.where(z, x, y)


@rule(Match(ops.where, Z, C, D, guard=lambda node: node.dtype.is_bool), measure="one node fewer, or a unary op")
def choice_of_truth(z: Node, c: Node, d: Node) -> Node | None:
    """where(z, True, False) = z and where(z, False, True) = not z."""
    if c.attributes.value == d.attributes.value:
        return c
    return z if c.attributes.value else ops.bit_not(z)


# ------------------------------------------------------------------------------------------------------ floats


@rule(Match(ops.div, X, C), measure="div is heavier than mul")
def divided_by_exact_reciprocal(x: Node, c: Node) -> Node | None:
    """x / c = x * (1 / c) where c is a power of two: 1 / c is exact, so both round the same number once."""
    divisor = float(c.attributes.value)
    if not math.isfinite(divisor) or abs(math.frexp(divisor)[0]) != 0.5:
        return None
    factor = 1 / divisor
    return ops.mul(x, constant_like(x, factor)) if x.dtype.constant(factor) == factor else None


# ------------------------------------------------------------------------------------------------------- casts

# dtype -> bits of the significand; whole numbers of up to so many bits are exact
_SIGNIFICAND = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
_FLOATS_ABOVE = {"float16": ("float32", "float64"), "bfloat16": ("float32", "float64"), "float32": ("float64",)}


def is_lossless(source: DType, target: DType) -> bool:
    """Whether every value of ``source`` is a value of ``target`` (-0.0, the infinities and NaN included)."""
    if source is target or source.is_bool:
        return True
    if target.is_bool:
        return False
    if source.is_float:
        return target.name in _FLOATS_ABOVE.get(source.name, ())
    if target.is_float:
        return source.bits - (source.kind == "int") <= _SIGNIFICAND[target.name]
    return source.minimum >= target.minimum and source.maximum <= target.maximum


@rule(Match(ops.CAST, Match(ops.CAST, X, name="inner"), name="outer"), measure="one node fewer")
def cast_twice(outer: Node, inner: Node, x: Node) -> Node | None:
    """cast(cast(x, a), b) = cast(x, b) where a holds every value of x, or where integers only lose high bits.

    Not where an integer reaches a narrower integer through a float, for floats saturate and integers wrap.
    """
    source, middle, target = x.dtype, inner.dtype, outer.dtype
    if source.is_integer and middle.is_integer and target.is_integer and target.bits <= middle.bits:
        return ops.cast(x, target)
    saturates = source.is_integer and middle.is_float and target.is_integer and not is_lossless(source, target)
    return ops.cast(x, target) if is_lossless(source, middle) and not saturates else None


@rule(Match(ops.CAST, X, name="node"), measure="one node fewer")
def cast_of_constant(node: Node, x: Node) -> Node | None:
    """The cast of a constant is a constant."""
    return None if constant_value(x) is None else ops.cast(x, node.dtype)


@rule(Match(ops.BITCAST, Match(ops.BITCAST, X), name="node"), measure="one node fewer")
def bitcast_twice(node: Node, x: Node) -> Node:
    """bitcast(bitcast(x, a), b) = bitcast(x, b)."""
    return ops.bitcast(x, node.dtype)


RULES: tuple[Rule, ...] = tuple(value for value in vars().values() if isinstance(value, Rule))
