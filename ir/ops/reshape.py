"""reshape: the same elements in the same row-major order, in another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir.node import Node, Shape, TensorType, make_node
from ir.op import Op, as_shape, rejected
from ir.ops.constant import constant, constant_value
from ir.symbolic import Dimension, same_product


class ReshapeAttributes(NamedTuple):
    shape: Shape


class Reshape(Op):
    """``reshape(x, shape)``: as many elements as before; symbolic dimensions may move but must multiply to the same.

        >>> reshape(x, (6, 4))                              # x: float32[2, 3, 4]
        <reshape float32[6, 4]>
    """

    name = "reshape"
    view = True
    Attributes = ReshapeAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        if not same_product(x.shape, attributes.shape):
            raise rejected("reshape", operands, f"as many elements as {list(attributes.shape)} has")
        return TensorType(x.dtype, attributes.shape)

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (reshape(cotangent, node.operands[0].shape),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return np.reshape(operands[0], node.shape)


RESHAPE = Reshape()


def reshape(x: Node, shape: Sequence[int | Dimension]) -> Node:
    """``x`` in another shape of as many elements, row-major. Reshapes of reshapes are one."""
    shape = as_shape(shape)
    if x.shape == shape:
        return x
    node = make_node(RESHAPE, (x,), ReshapeAttributes(shape))
    value = constant_value(x)
    if value is not None:
        return constant(value, x.dtype, shape)
    return reshape(x.operands[0], shape) if x.op is RESHAPE else node
