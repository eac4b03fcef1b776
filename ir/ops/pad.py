"""pad: elements of one value before and after, along each axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.dtype import Scalar
from ir.node import Node, TensorType, make_node
from ir.op import Op, as_size, rejected
from ir.ops.constant import constant, constant_value
from ir.symbolic import Dimension

Widths = tuple["int | Dimension", "int | Dimension"]


class PadAttributes(NamedTuple):
    widths: tuple[Widths, ...]
    fill: Scalar


class Pad(Op):
    """``pad(x, ((before, after), ...), fill=0)``: widths of at least 0, one pair for each axis (slice removes).

        >>> pad(x, ((0, 0), (1, 2)))                        # x: float32[2, 3]
        <pad float32[2, 6]>
    """

    name = "pad"
    view = True
    Attributes = PadAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        widths = attributes.widths
        if len(widths) != len(x.shape) or not all(before >= 0 and after >= 0 for before, after in widths):
            raise rejected("pad", operands, f"{len(x.shape)} pairs of widths of at least 0", f"given {widths}")
        return TensorType(x.dtype, tuple(n + before + after for n, (before, after) in
                                         zip(x.shape, widths, strict=True)))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        sizes = node.operands[0].shape
        inside = [(before, before + n, 1) for n, (before, _) in zip(sizes, node.attributes.widths, strict=True)]
        return (ops.slice(cotangent, inside),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return np.pad(operands[0], node.attributes.widths, constant_values=node.attributes.fill)


PAD = Pad()


def pad(x: Node, widths: Sequence[Sequence[int | Dimension]], fill: Scalar = 0) -> Node:
    """``x`` with ``before`` and ``after`` elements of ``fill`` around each axis. Pads of pads with one fill are one."""
    pairs = tuple((as_size(before), as_size(after)) for before, after in widths)
    node = make_node(PAD, (x,), PadAttributes(pairs, x.dtype.constant(fill)))
    if all(before == 0 and after == 0 for before, after in pairs):
        return x
    fill = node.attributes.fill
    value = constant_value(x)
    if value is not None and (value is fill or value == fill):
        return constant(value, x.dtype, node.shape)
    if x.op is PAD and (x.attributes.fill is fill or x.attributes.fill == fill):
        inner = x.attributes.widths
        return pad(x.operands[0], [(b + c, a + d) for (b, a), (c, d) in zip(pairs, inner, strict=True)], fill)
    return node
