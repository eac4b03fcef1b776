"""where: one of two values, chosen element by element."""

from __future__ import annotations

import numpy as np

from ir.node import Node
from ir.op import rejected
from ir.ops.arithmetic import zeros_like
from ir.ops.constant import constant_value
from ir.ops.elementwise import ANY, ElementwiseOp


class Where(ElementwiseOp):
    def check_dtypes(self, operands: tuple[Node, ...]) -> None:
        condition, x, y = operands
        if not condition.dtype.is_bool:
            raise rejected("where", operands, "a bool condition", "compare it with 0: not_equal(condition, 0)")
        if x.dtype is not y.dtype:
            raise rejected("where", operands, "equal dtypes of the two values", "cast one to the dtype of the other")


def _where_gradient(node: Node, g: Node) -> tuple[Node | None, ...]:
    condition, zero = node.operands[0], zeros_like(g)
    return None, where(condition, g, zero), where(condition, zero, g)


def _where_shortcut(condition: Node, x: Node, y: Node) -> Node | None:
    if not (condition.shape == x.shape == y.shape and x.dtype is y.dtype and condition.dtype.is_bool):
        return None
    decided = constant_value(condition)
    return x if x is y or decided is True else y if decided is False else None


where = Where(
    "where", np.where, arity=3, accepts=ANY, rule=_where_gradient, shortcut=_where_shortcut,
    doc="x where the bool condition holds, y elsewhere. The branch not taken is evaluated but never seen, NaN or not.",
)
