"""slice: a regular part of each axis."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, NamedTuple

from ir import ops
from ir.node import Node, Shape, TensorType, make_node
from ir.op import Op, as_size, rejected
from ir.ops.constant import constant, constant_value
from ir.symbolic import Dimension

Range = tuple["int | Dimension", "int | Dimension", int]


class SliceAttributes(NamedTuple):
    ranges: tuple[Range, ...]


class Slice(Op):
    """``slice(x, ((start, stop, step), ...))``: the elements start, start + step, ... below stop; step >= 1.

    0 <= start <= stop <= length, for each axis. Bounds may be symbolic where the step is 1.

        >>> slice(x, ((0, 2, 1), (1, 8, 3)))                # x: float32[2, 9]
        <slice float32[2, 3]>

    Gradient: zeros around and between; slices that tile an axis have one concat for a gradient (``ir.gradient``).
    """

    name = "slice"
    view = True
    Attributes = SliceAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        check_ranges("slice", operands, x.shape, attributes.ranges)
        return TensorType(x.dtype, range_shape(attributes.ranges))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        return (unslice(cotangent, node.operands[0].shape, node.attributes.ranges),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        return operands[0][tuple(builtins.slice(*bounds) for bounds in node.attributes.ranges)]


SLICE = Slice()


def check_ranges(operation: str, operands: Sequence[Node], shape: Shape, ranges: Sequence[Range]) -> None:
    """Raises GraphError unless there is one range within each dimension of ``shape``."""
    if len(ranges) != len(shape):
        raise rejected(operation, operands, f"{len(shape)} ranges, one for each axis", f"given {ranges}")
    for n, (start, stop, step) in zip(shape, ranges, strict=True):
        if not (isinstance(step, int) and step >= 1 and start >= 0 and start <= stop and stop <= n):
            raise rejected(operation, operands, f"0 <= start <= stop <= {n} and step >= 1",
                           f"given ({start}, {stop}, {step}); flip reverses an axis")


def range_shape(ranges: Sequence[Range]) -> Shape:
    """How many elements each range selects."""
    return tuple(stop - start if step == 1 else (stop - start + step - 1) // step for start, stop, step in ranges)


def slice(x: Node, ranges: Sequence[Sequence[int | Dimension]]) -> Node:
    """The part of ``x`` at start, start + step, ... below stop of each axis. Slices of slices are one."""
    triples: tuple[Any, ...] = tuple(tuple(as_size(bound) for bound in bounds) for bounds in ranges)
    node = make_node(SLICE, (x,), SliceAttributes(triples))
    if node.shape == x.shape:
        return x
    value = constant_value(x)
    if value is not None:
        return constant(value, x.dtype, node.shape)
    if x.op is SLICE:
        return slice(x.operands[0], [_composed(*pair) for pair in zip(x.attributes.ranges, triples, strict=True)])
    return node


def _composed(outer: Range, inner: Range) -> Range:
    """The range of ``inner`` taken within ``outer``."""
    (first, _, stride), (start, stop, step) = outer, inner
    begin = first + start * stride
    if stride * step == 1:
        return begin, first + stop, 1
    (count,) = range_shape([inner])
    return (begin, begin + (count - 1) * (stride * step) + 1, stride * step) if count > 0 else (first, first, 1)


def unslice(part: Node, shape: Shape, ranges: Sequence[Range]) -> Node:
    """The transpose of slice: ``part`` at its place in zeros of ``shape``. A step is an axis that is merged again."""
    for axis, (_, _, step) in enumerate(ranges):
        if step > 1:
            part = _spaced(part, axis, step)
    widths = [(start, n - start - size) for (start, _, _), n, size in zip(ranges, shape, part.shape, strict=True)]
    return ops.pad(part, widths)


def _spaced(part: Node, axis: int, step: int) -> Node:
    """The elements along ``axis`` with step - 1 zeros between them."""
    count, before, after = part.shape[axis], part.shape[:axis], part.shape[axis + 1:]
    if count == 0:
        return part
    apart = ops.pad(ops.reshape(part, (*before, count, 1, *after)),
                    [(0, 0)] * (axis + 1) + [(0, step - 1)] + [(0, 0)] * len(after))
    merged = ops.reshape(apart, (*before, count * step, *after))
    whole = [(0, n, 1) for n in merged.shape]
    whole[axis] = (0, (count - 1) * step + 1, 1)
    return slice(merged, whole)
