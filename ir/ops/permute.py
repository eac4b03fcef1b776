"""permute: the axes in another order."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ir.node import Node, TensorType, make_node
from ir.op import Op, rejected
from ir.ops.constant import constant, constant_value


class PermuteAttributes(NamedTuple):
    order: tuple[int, ...]


class Permute(Op):
    """``permute(x, order)``: axis i of the result is axis ``order[i]`` of x.

        >>> permute(x, (2, 0, 1))                           # x: float32[2, 3, 4]
        <permute float32[4, 2, 3]>
    """

    name = "permute"
    view = True
    Attributes = PermuteAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        order = attributes.order
        if sorted(order) != list(range(len(x.shape))):
            raise rejected("permute", operands, f"each axis in [0, {len(x.shape)}) once", f"given {order}")
        return TensorType(x.dtype, tuple(x.shape[axis] for axis in order))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (permute(cotangent, inverse(node.attributes.order)),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return np.transpose(operands[0], node.attributes.order)


PERMUTE = Permute()


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The order that undoes ``order``."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def permute(x: Node, order: Sequence[int]) -> Node:
    """``x`` with its axes in another order. Permutations of permutations are one."""
    order = tuple(index(axis) for axis in order)
    if order == tuple(range(len(x.shape))):
        return x
    node = make_node(PERMUTE, (x,), PermuteAttributes(order))
    value = constant_value(x)
    if value is not None:
        return constant(value, x.dtype, node.shape)
    if x.op is PERMUTE:
        return permute(x.operands[0], [x.attributes.order[axis] for axis in order])
    return node
