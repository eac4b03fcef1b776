"""The graph: what a program computes, as immutable nodes; see ``ir.node``, ``ir.op`` and ``ir.ops``.

    >>> import numpy as np, ir
    >>> x = ir.parameter(0, ir.dtypes.float32, (2, 3))
    >>> total = ir.reduce("sum", ir.mul(x, x), (0, 1))
    >>> (slope,) = ir.gradient([total], [ir.constant(1, ir.dtypes.float32)], [x])
    >>> ir.evaluate([total], {x: np.ones((2, 3))})
    [array(6., dtype=float32)]
"""

from __future__ import annotations

from ir.dtype import (
    DType, DTypeLike, Scalar, bfloat16_to_float32, dtype_named, dtype_of_numpy, dtype_of_value, dtypes,
    float32_to_bfloat16, promote, round_to_bfloat16, to_dtype,
)
from ir.symbolic import (
    BoundVariable, Dimension, SymbolicError, Variable, evaluate_dimension, is_symbolic, lower_bound, product,
    same_product, upper_bound, variables_of,
)
from ir.node import Location, Node, Shape, TensorType, live_node_count, located, make_node, remake_node, tagged
from ir.op import GraphError, NoAttributes, Op, describe
from ir.ops import (
    ELEMENTWISE, OPS, Body, ElementwiseOp, abs, add, assign, bit_and, bit_not, bit_or, bit_xor, bitcast, buffer, call,
    cast, ceil, concat, constant, constant_like, constant_value, contiguous, cos, div, equal, erf, exp, exp2, expand,
    flip, floor, floordiv, fold, fresh_parameter, gather, identity, iota, less, less_equal, log, log2, maximum, minimum,
    mod, mul, neg, not_equal, pad, parameter, permute, pow, project, random_bits, range_shape, reciprocal, reduce,
    reshape, results_of, round, rsqrt, scan, scatter, shift_left, shift_right, sin, skew, slice, sqrt, stop_gradient,
    sub, tan, tanh, trunc, truncdiv, unslice, where, window,
)
from ir.graph import is_symbolic_graph, specialize, substitute, topological_order
from ir.interpret import Plan, evaluate
from ir.autodiff import gradient, sum_of
