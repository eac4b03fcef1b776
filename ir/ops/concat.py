"""concat: operands one after another along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.node import Node, TensorType, make_node
from ir.op import GraphError, Op, rejected


class ConcatAttributes(NamedTuple):
    axis: int


class Concat(Op):
    """``concat(operands, axis)``: equal dtypes, and equal shapes but for ``axis``, whose lengths add.

        >>> concat([x, y], 1)                               # x: float32[2, 3], y: float32[2, 5]
        <concat float32[2, 8]>
    """

    name = "concat"
    view = True
    Attributes = ConcatAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        if not operands:
            raise GraphError("concat(): expected at least one operand")
        axis, first = attributes.axis, operands[0]
        if not 0 <= axis < len(first.shape):
            raise rejected("concat", operands, f"an axis in [0, {len(first.shape)})", f"given {axis}")
        around = first.shape[:axis], first.shape[axis + 1:]
        for other in operands[1:]:
            if (other.shape[:axis], other.shape[axis + 1:]) != around or len(other.shape) != len(first.shape):
                raise rejected("concat", operands, f"shapes that are equal but for axis {axis}")
            if other.dtype is not first.dtype:
                raise rejected("concat", operands, "equal dtypes", "cast the operands to one dtype first")
        return TensorType(first.dtype, (*around[0], sum(x.shape[axis] for x in operands), *around[1]))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        axis = node.attributes.axis
        whole = [(0, n, 1) for n in node.shape]
        parts: list[Node] = []
        start: Any = 0
        for operand in node.operands:
            stop = start + operand.shape[axis]
            parts.append(ops.slice(cotangent, [*whole[:axis], (start, stop, 1), *whole[axis + 1:]]))
            start = stop
        return tuple(parts)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return np.concatenate(operands, node.attributes.axis)


CONCAT = Concat()


def concat(operands: Sequence[Node], axis: int) -> Node:
    """The operands one after another along ``axis`` (negative: from the end). Empty operands vanish."""
    operands = tuple(operands)
    if axis < 0 and operands:
        axis += len(operands[0].shape)
    node = make_node(CONCAT, operands, ConcatAttributes(axis))
    needed = [x for x in operands if x.shape[axis] != 0]
    if len(needed) <= 1:
        return needed[0] if needed else operands[0]
    return node if len(needed) == len(operands) else concat(needed, axis)
