"""assign: a new version of a buffer, whole or in part, written in place."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.dtype import dtypes
from ir.node import Node, TensorType, make_node
from ir.op import Op, as_size, rejected
from ir.ops.constant import constant, constant_like
from ir.ops.slice import Range, check_ranges, range_shape
from ir.ops.source import BUFFER


class AssignAttributes(NamedTuple):
    region: tuple[Range, ...] | None


class Assign(Op):
    """``assign(target, value, region=None)``: the version of the buffer after ``value`` is written to it.

    target: a buffer or an earlier assign to it. region: (start, stop, step) for each axis where only a part is written;
    ``value`` has the shape of that part. Whoever reads the target node still sees the old version, whoever reads
    this node the new one; the write itself happens in the buffer's memory.

        >>> assign(cache, row, ((position, position + 1, 1), (0, 64, 1)))     # cache: float32[128, 64]
        <assign float32[128, 64]>
    """

    name = "assign"
    pure = False
    Attributes = AssignAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        target, value = operands
        if target.op is not BUFFER and target.op is not ASSIGN:
            raise rejected("assign", operands, "a buffer, or an earlier assign to one, as the target",
                           f"the target is a {target.op.name}")
        shape = target.shape
        if attributes.region is not None:
            check_ranges("assign", operands, shape, attributes.region)
            shape = range_shape(attributes.region)
        if value.dtype is not target.dtype or value.shape != shape:
            raise rejected("assign", operands, f"a value {target.dtype.name}{list(shape)}", "cast or expand it first")
        return target.type

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        value, region = node.operands[1], node.attributes.region
        if region is None:
            return None, cotangent
        written = ops.unslice(constant(True, dtypes.bool, value.shape), node.shape, region)
        return ops.where(written, constant_like(cotangent, 0), cotangent), ops.slice(cotangent, region)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        result = np.array(operands[0])
        region = node.attributes.region or [(None, None, None)] * result.ndim
        result[tuple(builtins.slice(*bounds) for bounds in region)] = operands[1]
        return result


ASSIGN = Assign()


def assign(target: Node, value: Node, region: Sequence[Range] | None = None) -> Node:
    """The buffer ``target`` with ``value`` written to it, or to the part ``region`` of it."""
    part = None if region is None else tuple((as_size(start), as_size(stop), step) for start, stop, step in region)
    return make_node(ASSIGN, (target, value), AssignAttributes(part))
