"""expand: axes of length 1 repeated; what broadcasting is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.node import Node, Shape, TensorType, make_node
from ir.op import Op, as_shape, concrete, rejected
from ir.ops.constant import constant, constant_value
from ir.symbolic import Dimension


class ExpandAttributes(NamedTuple):
    shape: Shape


class Expand(Op):
    """``expand(x, shape)``: the same rank; an axis of length 1 may become any length, all others stay.

        >>> expand(x, (2, 3))                               # x: float32[2, 1]
        <expand float32[2, 3]>
    """

    name = "expand"
    view = True
    Attributes = ExpandAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        shape = attributes.shape
        if len(shape) != len(x.shape) or any(old not in (1, new) for old, new in zip(x.shape, shape, strict=True)):
            raise rejected("expand", operands, f"a shape that becomes {list(shape)} by repeating axes of length 1",
                           "insert axes of length 1 with reshape first")
        return TensorType(x.dtype, shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        x = node.operands[0]
        repeated = [axis for axis, (old, new) in enumerate(zip(x.shape, node.shape, strict=True)) if old != new]
        return (ops.reshape(ops.reduce("sum", cotangent, repeated), x.shape),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return np.broadcast_to(operands[0], concrete(node))


EXPAND = Expand()


def expand(x: Node, shape: Sequence[int | Dimension]) -> Node:
    """``x`` with its axes of length 1 repeated up to ``shape``. Expansions of expansions are one."""
    shape = as_shape(shape)
    if x.shape == shape:
        return x
    node = make_node(EXPAND, (x,), ExpandAttributes(shape))
    value = constant_value(x)
    if value is not None:
        return constant(value, x.dtype, shape)
    return expand(x.operands[0], shape) if x.op is EXPAND else node
