"""flip: axes read from their ends."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ir.node import Node, TensorType, make_node
from ir.op import Op, rejected
from ir.ops.constant import constant_value


class FlipAttributes(NamedTuple):
    axes: tuple[int, ...]


class Flip(Op):
    """``flip(x, axes)``: element i of a flipped axis of length n is element n - 1 - i of x."""

    name = "flip"
    view = True
    Attributes = FlipAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        axes = attributes.axes
        if list(axes) != sorted(set(axes)) or (axes and not 0 <= axes[0] <= axes[-1] < len(x.shape)):
            raise rejected("flip", operands, f"distinct axes in [0, {len(x.shape)}) in rising order", f"given {axes}")
        return x.type

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (flip(cotangent, node.attributes.axes),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return np.flip(operands[0], node.attributes.axes)


FLIP = Flip()


def flip(x: Node, axes: Sequence[int]) -> Node:
    """``x`` with the order of elements along ``axes`` reversed. Flips of flips are one; length 1 needs none."""
    node = make_node(FLIP, (x,), FlipAttributes(tuple(sorted(index(axis) for axis in axes))))
    needed = [axis for axis in node.attributes.axes if x.shape[axis] != 1]
    if not needed or constant_value(x) is not None:
        return x
    if x.op is FLIP:
        return flip(x.operands[0], sorted({*needed} ^ {*x.attributes.axes}))
    return node if len(needed) == len(node.attributes.axes) else flip(x, needed)
