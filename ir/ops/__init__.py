# ruff: noqa: I001  (imports are grouped by subject)
"""The operations: one file a subject, one declaration an op.

``OPS`` holds every op by name and ``ELEMENTWISE`` the elementwise ones, which are their own builders. The op files
name each other's builders through this package (``ops.pad``) where a gradient needs them: slice is the transpose of
pad, and pad of slice.
"""

from __future__ import annotations

from ir.op import Body, Op
from ir.ops.constant import CONSTANT, constant, constant_like, constant_value
from ir.ops.source import BUFFER, IOTA, PARAMETER, buffer, fresh_parameter, iota, is_fresh, parameter
from ir.ops.elementwise import ELEMENTWISE, ElementwiseOp
from ir.ops.arithmetic import (
    abs, add, div, floordiv, maximum, minimum, mod, mul, neg, pow, reciprocal, sub, truncdiv,
)
from ir.ops.bitwise import bit_and, bit_not, bit_or, bit_xor, shift_left, shift_right
from ir.ops.cast import BITCAST, CAST, bitcast, cast
from ir.ops.comparison import equal, less, less_equal, not_equal
from ir.ops.random_bits import random_bits
from ir.ops.rounding import ceil, floor, round, trunc
from ir.ops.select import where
from ir.ops.transcendental import cos, erf, exp, exp2, log, log2, rsqrt, sin, sqrt, tan, tanh
from ir.ops.reduce import REDUCE, identity, reduce
from ir.ops.reshape import RESHAPE, reshape
from ir.ops.permute import PERMUTE, permute
from ir.ops.expand import EXPAND, expand
from ir.ops.pad import PAD, pad
from ir.ops.slice import SLICE, range_shape, slice, unslice
from ir.ops.dimension import dimension_value
from ir.ops.flip import FLIP, flip
from ir.ops.concat import CONCAT, concat
from ir.ops.skew import SKEW, fold, skew
from ir.ops.window import WINDOW, window
from ir.ops.argsort import ARGSORT, argsort
from ir.ops.gather import GATHER, gather
from ir.ops.scatter import SCATTER, scatter
from ir.ops.marker import CONTIGUOUS, STOP_GRADIENT, contiguous, stop_gradient
from ir.ops.assign import ASSIGN, assign
from ir.ops.body import PROJECT, project, results_of
from ir.ops.scan import SCAN, scan
from ir.ops.call import CALL, call

OPS: dict[str, Op] = {
    **ELEMENTWISE,
    **{str(op.name): op for op in (
        CONSTANT, BUFFER, PARAMETER, IOTA, CAST, BITCAST, REDUCE, RESHAPE, PERMUTE, EXPAND, PAD, SLICE, FLIP, CONCAT,
        WINDOW, SKEW, ARGSORT, GATHER, SCATTER, SCAN, CALL, PROJECT, ASSIGN, CONTIGUOUS, STOP_GRADIENT,
    )},
}

__all__ = [
    "ARGSORT", "ASSIGN", "BITCAST", "BUFFER", "CALL", "CAST", "CONCAT", "CONSTANT", "CONTIGUOUS", "ELEMENTWISE",
    "EXPAND", "FLIP", "GATHER", "IOTA", "OPS", "PAD", "PARAMETER", "PERMUTE", "PROJECT", "REDUCE", "RESHAPE", "SCAN",
    "SCATTER", "SKEW", "SLICE", "STOP_GRADIENT", "WINDOW", "Body", "ElementwiseOp", "abs", "add", "argsort", "assign",
    "bit_and", "bit_not", "bit_or", "bit_xor", "bitcast", "buffer", "call", "cast", "ceil", "concat", "constant",
    "constant_like", "constant_value", "contiguous", "cos", "dimension_value", "div", "equal", "erf", "exp", "exp2",
    "expand", "flip", "floor", "floordiv", "fold", "fresh_parameter", "gather", "identity", "iota", "is_fresh", "less",
    "less_equal", "log", "log2", "maximum", "minimum", "mod", "mul", "neg", "not_equal", "pad", "parameter", "permute",
    "pow", "project", "random_bits", "range_shape", "reciprocal", "reduce", "reshape", "results_of", "round", "rsqrt",
    "scan", "scatter", "shift_left", "shift_right", "sin", "skew", "slice", "sqrt", "stop_gradient", "sub", "tan",
    "tanh", "trunc", "truncdiv", "unslice", "where", "window",
]
