"""window: the sliding windows of an axis, as a view; convolution and pooling read through it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.dtype import Scalar
from ir.node import Node, TensorType, make_node
from ir.op import Op, rejected
from ir.ops.constant import constant, constant_value
from ir.ops.skew import fold


class WindowAttributes(NamedTuple):
    axis: int
    size: int
    stride: int
    dilation: int
    before: int
    after: int
    fill: Scalar


class Window(Op):
    """``window(x, axis, size, stride, dilation, before, after, fill)``: [.., n, ..] -> [.., o, size, ..].

    out[.., o, k, ..] = x[.., stride * o + dilation * k - before, ..], and ``fill`` outside of x. The padding belongs to
    the window, so that no padded copy exists and the gradient stays in terms of views. o counts the windows that fit:
    floor((before + n + after - dilation (size - 1) - 1) / stride) + 1.

        >>> window(x, axis=1, size=3, stride=2)             # x: float32[2, 9]
        <window float32[2, 4, 3]>

    Gradient: ``fold``, a sum of a skew; with a stride the axis is split into its phases, so that no div or mod appears.
    """

    name = "window"
    view = True
    Attributes = WindowAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        axis, size, stride, dilation, before, after, _ = attributes
        if not 0 <= axis < len(x.shape):
            raise rejected("window", operands, f"an axis in [0, {len(x.shape)})", f"given {axis}")
        if size < 1 or stride < 1 or dilation < 1 or before < 0 or after < 0:
            raise rejected("window", operands, "size, stride and dilation of at least 1, padding of at least 0",
                           f"given {attributes}")
        free = x.shape[axis] + (before + after - dilation * (size - 1) - 1)
        if not free >= 0:
            raise rejected("window", operands, f"at least {dilation * (size - 1) + 1} elements along axis {axis}, "
                           "padding included", "pad more or use a smaller window")
        count = free + 1 if stride == 1 else free // stride + 1
        return TensorType(x.dtype, (*x.shape[:axis], count, size, *x.shape[axis + 1:]))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        axis, _, stride, dilation, before, _, _ = node.attributes
        return (fold(cotangent, axis, node.operands[0].shape[axis], stride, dilation, before),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        axis, size, stride, dilation, before, after, fill = node.attributes
        widths = [(0, 0)] * np.ndim(operands[0])
        widths[axis] = (before, after)
        padded = np.pad(operands[0], widths, constant_values=fill)
        position = stride * np.arange(node.shape[axis])[:, None] + dilation * np.arange(size)
        return np.take(padded, position, axis=axis)


WINDOW = Window()


def window(x: Node, axis: int, size: int, stride: int = 1, dilation: int = 1, before: int = 0, after: int = 0,
           fill: Scalar = 0) -> Node:
    """The windows of ``size`` elements along ``axis``: see ``Window``. A window of one element is a slice of a pad."""
    attributes = WindowAttributes(index(axis), index(size), index(stride), index(dilation), index(before), index(after),
                                  x.dtype.constant(fill))
    node = make_node(WINDOW, (x,), attributes)
    value, fill = constant_value(x), attributes.fill
    if value is not None and (before == after == 0 or value is fill or value == fill):
        return constant(value, x.dtype, node.shape)
    if size == 1 and before == after == 0:
        ranges = [(0, n, stride if i == axis else 1) for i, n in enumerate(x.shape)]
        return ops.reshape(ops.slice(x, ranges), node.shape)
    return node
