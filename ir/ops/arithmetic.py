"""Arithmetic: neg add sub mul div floordiv mod truncdiv pow maximum minimum reciprocal abs.

Integers wrap. Integer division by zero yields 0, quotient and remainder alike; the least integer divided by -1 wraps to
itself. NaN wins maximum and minimum. Gradients follow the rule that a cotangent of zero contributes zero even where
the derivative is infinite, so that ``where(x > 0, 1 / x, 0)`` has a finite gradient at 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ir import ops
from ir.dtype import NEGATIVE_ZERO
from ir.node import Node
from ir.ops.constant import CONSTANT, constant_like, constant_value
from ir.ops.elementwise import ANY, FLOATS, INTEGERS, NUMBERS, ElementwiseOp
from ir.ops.sign import is_positive


def is_constant(x: Node, value: float) -> bool:
    """Whether every element of ``x`` is the number ``value`` (-0.0 is not 0.0, True is not 1)."""
    return constant_value(x) == value and not x.dtype.is_bool


def _one_is_constant(x: Node, y: Node) -> bool:
    """Whether there is something to simplify: a constant, and operands of one type (or else the op shall complain)."""
    return (x.op is CONSTANT or y.op is CONSTANT) and x.dtype is y.dtype and x.shape == y.shape


def zeros_like(x: Node) -> Node:
    return constant_like(x, 0)


def one_where_idle(cotangent: Node, x: Node, singular: Node) -> Node:
    """``x``, or a harmless 1 at singular points whose cotangent is 0: zero times an infinite derivative is NaN.

    Both conditions are needed: higher orders look at the derivative by the cotangent, which is not 0 where that is.
    """
    idle = ops.bit_and(ops.equal(cotangent, zeros_like(cotangent)), singular)
    return ops.where(idle, constant_like(x, 1), x)


def is_zero(x: Node) -> Node:
    return ops.equal(x, zeros_like(x))


def is_not_positive(x: Node) -> Node:
    """Where roots and logarithms are singular or undefined."""
    return ops.less_equal(x, zeros_like(x))


# ------------------------------------------------------------------------------------------------ sums


def _neutral_in_sum(x: Node) -> bool:
    """-0.0 for floats: adding +0.0 would turn -0.0 into +0.0."""
    return constant_value(x) == NEGATIVE_ZERO if x.dtype.is_float else is_constant(x, 0)


def _add_shortcut(x: Node, y: Node) -> Node | None:
    if not _one_is_constant(x, y):
        return None
    return y if _neutral_in_sum(x) else x if _neutral_in_sum(y) else None


def _sub_shortcut(x: Node, y: Node) -> Node | None:
    return x if _one_is_constant(x, y) and is_constant(y, 0) else None


neg: ElementwiseOp = ElementwiseOp(
    "neg", np.negative, arity=1, accepts=NUMBERS, doc="-x.",
    rule=lambda node, g: (neg(g),),
    shortcut=lambda x: x.operands[0] if x.op is neg else None,
)
add = ElementwiseOp(
    "add", np.add, arity=2, accepts=NUMBERS, doc="x + y.",
    rule=lambda node, g: (g, g), shortcut=_add_shortcut,
)
sub = ElementwiseOp(
    "sub", np.subtract, arity=2, accepts=NUMBERS, doc="x - y.",
    rule=lambda node, g: (g, neg(g)), shortcut=_sub_shortcut,
)


# -------------------------------------------------------------------------------------- products and quotients


def _mul_shortcut(x: Node, y: Node) -> Node | None:
    if not _one_is_constant(x, y):
        return None
    if x.dtype.is_integer and (is_constant(x, 0) or is_constant(y, 0)):
        return zeros_like(x)  # not for floats: 0 * infinity is NaN
    return y if is_constant(x, 1) else x if is_constant(y, 1) else None


def _mul_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    x, y = node.operands
    return mul(g, y), mul(g, x)


def _div_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    denominator = node.operands[1]
    if constant_value(denominator) or is_positive(denominator):
        return div(g, denominator), ops.neg(mul(div(g, denominator), node))
    singular = is_zero(denominator)
    scaled = div(g, one_where_idle(g, denominator, singular))
    return scaled, neg(mul(scaled, one_where_idle(g, node, singular)))


def _reciprocal_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    x = node.operands[0]
    safe = node if is_positive(x) else one_where_idle(g, node, is_zero(x))
    return (neg(mul(g, mul(safe, safe))),)


def _div_shortcut(x: Node, y: Node) -> Node | None:
    return x if _one_is_constant(x, y) and is_constant(y, 1) else None


mul = ElementwiseOp(
    "mul", np.multiply, arity=2, accepts=NUMBERS, doc="x * y.", rule=_mul_gradient, shortcut=_mul_shortcut,
)
div = ElementwiseOp(
    "div", np.divide, arity=2, accepts=FLOATS, doc="x / y of floats; 1 / 0 is infinite, 0 / 0 is NaN.",
    rule=_div_gradient, shortcut=_div_shortcut,
)
reciprocal = ElementwiseOp(
    "reciprocal", np.reciprocal, arity=1, accepts=FLOATS, doc="1 / x of floats.", rule=_reciprocal_gradient,
)


def _floor_divide(x: Any, y: Any) -> Any:
    return np.where(y == 0, 0, np.floor_divide(x, np.where(y == 0, 1, y)))


def _floor_remainder(x: Any, y: Any) -> Any:
    return np.where(y == 0, 0, np.remainder(x, np.where(y == 0, 1, y)))


def _truncating_divide(x: Any, y: Any) -> Any:
    floored = _floor_divide(x, y)
    inexact = (_floor_remainder(x, y) != 0) & ((x < 0) != (y < 0))
    return floored + inexact.astype(floored.dtype)


floordiv = ElementwiseOp(
    "floordiv", _floor_divide, arity=2, accepts=INTEGERS, shortcut=_div_shortcut,
    doc="floor(x / y) of integers, as Python's //; 0 where y is 0.",
)
mod = ElementwiseOp(
    "mod", _floor_remainder, arity=2, accepts=INTEGERS,
    doc="x - y * floor(x / y) of integers, as Python's %: it has the sign of y; 0 where y is 0.",
)
truncdiv = ElementwiseOp(
    "truncdiv", _truncating_divide, arity=2, accepts=INTEGERS, shortcut=_div_shortcut,
    doc="x / y of integers rounded toward zero, as C's /; 0 where y is 0.",
)


# ------------------------------------------------------------------------------------------------ powers


def _pow_shortcut(x: Node, y: Node) -> Node | None:
    if not _one_is_constant(x, y) or not x.dtype.is_float:
        return None
    exponent = constant_value(y)
    if exponent == 0:
        return constant_like(x, 1)
    return x if exponent == 1 else mul(x, x) if exponent == 2 else reciprocal(x) if exponent == -1 else None


def _pow_gradient(node: Node, g: Node) -> tuple[Node | None, ...]:
    """d/dx = y x^(y-1), 0 where y is 0; d/dy = x^y log x, 0 where x is 0 and y is not negative."""
    x, y = node.operands
    zero, one = zeros_like(g), constant_like(g, 1)
    base = one_where_idle(g, x, is_zero(x))
    exponent = ops.where(is_zero(y), one, y)
    to_base = mul(mul(g, y), pow(base, sub(exponent, one)))
    if constant_value(y) is not None:
        return to_base, None
    flat = ops.bit_and(is_zero(x), ops.less_equal(zero, y))
    logarithm = ops.log(ops.where(flat, one, one_where_idle(g, x, is_not_positive(x))))
    power = ops.where(flat, zero, one_where_idle(g, node, is_not_positive(x)))
    return to_base, mul(g, mul(power, logarithm))


pow = ElementwiseOp(
    "pow", np.power, arity=2, accepts=FLOATS, rule=_pow_gradient, shortcut=_pow_shortcut,
    doc="x to the power y, as C's pow: x^0 is 1 for every x, a negative x with a fractional y gives NaN.",
)


# ------------------------------------------------------------------------------------------------ extremes


def _extreme_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    """The cotangent goes to the operand that won; equal operands get half each."""
    x, y = node.operands
    half, zero = mul(g, constant_like(g, 0.5)), zeros_like(g)
    tie = ops.equal(x, y)
    return tuple(ops.where(tie, half, ops.where(ops.equal(node, operand), g, zero)) for operand in (x, y))


def _same_operand(x: Node, y: Node) -> Node | None:
    return x if x is y else None


def _abs_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    x, zero = node.operands[0], zeros_like(g)
    return (ops.where(ops.less(x, zero), neg(g), ops.where(ops.less(zero, x), g, zero)),)


maximum = ElementwiseOp(
    "maximum", np.maximum, arity=2, accepts=ANY, doc="The larger of x and y; NaN where either is NaN.",
    rule=_extreme_gradient, shortcut=_same_operand,
)
minimum = ElementwiseOp(
    "minimum", np.minimum, arity=2, accepts=ANY, doc="The smaller of x and y; NaN where either is NaN.",
    rule=_extreme_gradient, shortcut=_same_operand,
)
abs = ElementwiseOp(
    "abs", np.abs, arity=1, accepts=NUMBERS, doc="|x|; the least integer wraps to itself. The gradient at 0 is 0.",
    rule=_abs_gradient,
)
