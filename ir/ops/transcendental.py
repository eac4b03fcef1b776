"""Roots, exponentials, logarithms, trigonometric functions and erf, of floats.

Where the derivative is infinite (sqrt and log at 0), a cotangent of zero still contributes zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ir import ops
from ir.node import Node
from ir.ops.arithmetic import div, is_not_positive, mul, neg, one_where_idle, sub
from ir.ops.constant import constant_like
from ir.ops.elementwise import FLOATS, ElementwiseOp
from ir.ops.sign import is_positive


def _scaled(x: Node, factor: float) -> Node:
    return mul(x, constant_like(x, factor))


def _safe(cotangent: Node, value: Node, x: Node) -> Node:
    """``value``, or 1 where the argument ``x`` is not positive and the cotangent is 0."""
    return value if is_positive(x) else one_where_idle(cotangent, value, is_not_positive(x))


def _sqrt_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    return (div(_scaled(g, 0.5), _safe(g, node, node.operands[0])),)


def _rsqrt_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    safe = _safe(g, node, node.operands[0])
    return (mul(_scaled(g, -0.5), mul(safe, mul(safe, safe))),)


def _log_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    x = node.operands[0]
    return (div(g, _safe(g, x, x)),)


def _log2_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    x = node.operands[0]
    return (div(_scaled(g, 1 / math.log(2)), _safe(g, x, x)),)


def _tanh_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    return (mul(g, sub(constant_like(g, 1), mul(node, node))),)


def _erf_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    x = node.operands[0]
    return (mul(_scaled(g, 2 / math.sqrt(math.pi)), exp(neg(mul(x, x)))),)


def _tan_gradient(node: Node, g: Node) -> tuple[Node, ...]:
    return (mul(g, ops.add(constant_like(g, 1), mul(node, node))),)


def _rsqrt(x: Any) -> Any:
    return 1 / np.sqrt(x)


def _erf(x: Any) -> Any:
    return np.frompyfunc(math.erf, 1, 1)(x.astype(np.float64)).astype(x.dtype) if x.ndim else x.dtype.type(math.erf(x))


sqrt = ElementwiseOp("sqrt", np.sqrt, arity=1, accepts=FLOATS, doc="The square root; NaN below 0.",
                     rule=_sqrt_gradient)
rsqrt = ElementwiseOp("rsqrt", _rsqrt, arity=1, accepts=FLOATS, doc="1 / sqrt(x).", rule=_rsqrt_gradient)
exp = ElementwiseOp("exp", np.exp, arity=1, accepts=FLOATS, doc="e to the power x.",
                    rule=lambda node, g: (mul(g, node),))
exp2 = ElementwiseOp("exp2", np.exp2, arity=1, accepts=FLOATS, doc="2 to the power x.",
                     rule=lambda node, g: (_scaled(mul(g, node), math.log(2)),))
log = ElementwiseOp("log", np.log, arity=1, accepts=FLOATS, doc="The natural logarithm: -infinity at 0, NaN below.",
                    rule=_log_gradient)
log2 = ElementwiseOp("log2", np.log2, arity=1, accepts=FLOATS, doc="The logarithm to base 2.", rule=_log2_gradient)
sin = ElementwiseOp("sin", np.sin, arity=1, accepts=FLOATS, doc="The sine of radians.",
                    rule=lambda node, g: (mul(g, cos(node.operands[0])),))
cos: ElementwiseOp = ElementwiseOp("cos", np.cos, arity=1, accepts=FLOATS, doc="The cosine of radians.",
                    rule=lambda node, g: (neg(mul(g, sin(node.operands[0]))),))
tan = ElementwiseOp("tan", np.tan, arity=1, accepts=FLOATS, doc="The tangent of radians.", rule=_tan_gradient)
tanh = ElementwiseOp("tanh", np.tanh, arity=1, accepts=FLOATS, doc="The hyperbolic tangent.", rule=_tanh_gradient)
erf = ElementwiseOp("erf", _erf, arity=1, accepts=FLOATS, rule=_erf_gradient,
                    doc="The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.")
