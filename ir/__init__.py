# ruff: noqa: I001  (imports are grouped by subject)
"""The graph: what a program computes, as immutable nodes; see ``ir.node``, ``ir.op`` and ``ir.ops``.

    >>> import numpy as np, ir
    >>> x = ir.parameter(0, ir.dtypes.float32, (2, 3))
    >>> total = ir.reduce("sum", ir.mul(x, x), (0, 1))
    >>> (slope,) = ir.gradient([total], [ir.constant(1, ir.dtypes.float32)], [x])
    >>> ir.evaluate([total], {x: np.ones((2, 3))})
    [array(6., dtype=float32)]
"""

from __future__ import annotations

from ir import ops
from ir.dtype import (
    DType, DTypeLike, Scalar, bfloat16_to_float32, dtype_named, dtype_of_numpy, dtype_of_value, dtypes,
    float32_to_bfloat16, promote, round_to_bfloat16, to_dtype,
)
from ir.symbolic import (
    BoundDimension, BoundVariable, Dimension, SymbolicError, Variable, evaluate_dimension, is_symbolic, lower_bound,
    product, same_product, upper_bound, variables_of,
)
from ir.node import Location, Node, Shape, TensorType, live_node_count, located, make_node, remake_node, tagged
from ir.op import GraphError, NoAttributes, Op, describe
from ir.ops import *  # noqa: F403
from ir.graph import is_symbolic_graph, specialize, substitute, topological_order
from ir.interpret import Plan, evaluate
from ir.autodiff import gradient, jvp, sum_of
from ir.inline import inline_calls
from ir.text_printer import buffers_by_name, format_graph, format_type
from ir.text_parser import Graph, TextError, parse_graph
from ir.verify import VerificationError, verify
from ir.draw import DrawingError, draw, to_dot
from ir.rewrite import Capture, Match, RewriteError, Rewriter, Rule, rule
from ir.simplify import simplify

__all__ = [
    "BoundDimension", "BoundVariable", "DType", "DTypeLike", "Dimension", "DrawingError", "Graph", "GraphError",
    "Location", "NoAttributes", "Node", "Op", "Plan", "Scalar", "Shape", "SymbolicError", "TensorType", "TextError",
    "Variable", "VerificationError", "bfloat16_to_float32", "buffers_by_name", "describe", "draw", "dtype_named",
    "dtype_of_numpy", "dtype_of_value", "dtypes", "evaluate", "evaluate_dimension", "float32_to_bfloat16",
    "format_graph", "format_type", "gradient", "inline_calls", "is_symbolic", "is_symbolic_graph", "jvp",
    "live_node_count", "located", "lower_bound", "make_node", "parse_graph", "product", "promote", "remake_node",
    "round_to_bfloat16", "same_product", "specialize", "substitute", "sum_of", "tagged", "to_dot", "to_dtype",
    "topological_order", "upper_bound", "variables_of", "verify",
]
__all__ += ["Capture", "Match", "RewriteError", "Rewriter", "Rule", "rule", "simplify"]
__all__ += ops.__all__
