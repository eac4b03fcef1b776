"""skew, the transpose of a window of stride 1, and fold, the transpose of any window."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np

from ir import ops
from ir.node import Node, TensorType, make_node
from ir.op import Op, as_size, rejected
from ir.ops.constant import constant, constant_value
from ir.symbolic import Dimension


class SkewAttributes(NamedTuple):
    output_axis: int
    tap_axis: int
    length: int | Dimension
    dilation: int
    offset: int


class Skew(Op):
    """``skew(x, output_axis, tap_axis, length, dilation, offset)``: each tap shifted by its own distance.

    out[.., i, .., k, ..] = x[.., i + offset - dilation * k, .., k, ..], and 0 outside of x; i runs along the output
    axis, which becomes ``length`` long, k along the tap axis. dilation may be negative: the transpose of a skew is
    the skew with -dilation and -offset.

        >>> skew(x, 0, 1, length=6, dilation=1, offset=0)   # x: float32[4, 3]
        <skew float32[6, 3]>
    """

    name = "skew"
    view = True
    Attributes = SkewAttributes

    def infer(self, operands: tuple[Node, ...], attributes: Any) -> TensorType:
        (x,) = operands
        output_axis, tap_axis, length, _, _ = attributes
        rank = len(x.shape)
        if not (0 <= output_axis < rank and 0 <= tap_axis < rank and output_axis != tap_axis and length >= 0):
            raise rejected("skew", operands, f"two distinct axes in [0, {rank}) and a length of at least 0",
                           f"given {attributes}")
        return TensorType(x.dtype, (*x.shape[:output_axis], length, *x.shape[output_axis + 1:]))

    def gradient(self, node: Node, cotangent: Node) -> tuple[Node | None, ...]:
        output_axis, tap_axis, _, dilation, offset = node.attributes
        length = node.operands[0].shape[output_axis]
        return (skew(cotangent, output_axis, tap_axis, length, -dilation, -offset),)

    def evaluate(self, node: Node, operands: Sequence[Any]) -> Any:
        output_axis, tap_axis, length, dilation, offset = node.attributes
        source = np.moveaxis(operands[0], (output_axis, tap_axis), (0, 1))
        extent, taps = source.shape[:2]
        position = np.arange(length)[:, None] + offset - dilation * np.arange(taps)
        inside = (position >= 0) & (position < extent)
        result = np.zeros((length, taps, *source.shape[2:]), source.dtype)
        rows, columns = np.nonzero(inside)
        result[rows, columns] = source[position[rows, columns], columns]
        return np.moveaxis(result, (0, 1), (output_axis, tap_axis))


SKEW = Skew()


def skew(x: Node, output_axis: int, tap_axis: int, length: int | Dimension, dilation: int, offset: int) -> Node:
    """``x`` with tap k shifted by dilation * k - offset along the output axis: see ``Skew``."""
    attributes = SkewAttributes(index(output_axis), index(tap_axis), as_size(length), index(dilation), index(offset))
    node = make_node(SKEW, (x,), attributes)
    return constant(0, x.dtype, node.shape) if constant_value(x) == 0 else node


def fold(windows: Node, axis: int, length: int | Dimension, stride: int, dilation: int, before: int) -> Node:
    """The transpose of ``window``: [.., o, k, ..] -> [.., length, ..], overlapping elements added.

    out[i] = the sum of windows[o, k] over stride * o + dilation * k == i + before.
    """
    if stride == 1:
        return ops.reduce("sum", skew(windows, axis, axis + 1, length, dilation, before), [axis + 1])
    if dilation != 1:
        windows = _spread_taps(windows, axis + 1, dilation)
    return _fold_by_phase(windows, axis, length, stride, before)


def _spread_taps(windows: Node, axis: int, dilation: int) -> Node:
    """Windows whose taps are ``dilation`` apart as denser windows with zeros between."""
    shape = list(windows.shape)
    shape[axis] = dilation * (windows.shape[axis] - 1) + 1
    ranges = [(0, n, dilation if i == axis else 1) for i, n in enumerate(shape)]
    return ops.unslice(windows, tuple(shape), ranges)


def _fold_by_phase(windows: Node, axis: int, length: int | Dimension, stride: int, before: int) -> Node:
    """The fold for dilation 1 with i = stride * j + phase: a tap of phase p only reaches outputs of phase p.

    Zero taps in front align the phases of taps and outputs; then every phase is a fold of stride 1.
    """
    front = -before % stride
    groups = -(-(windows.shape[axis + 1] + front) // stride)
    back = groups * stride - windows.shape[axis + 1] - front
    rest = len(windows.shape) - axis - 2
    aligned = ops.pad(windows, [(0, 0)] * (axis + 1) + [(front, back)] + [(0, 0)] * rest)
    outer, count, inner = windows.shape[:axis], windows.shape[axis], windows.shape[axis + 2:]
    phased = ops.reshape(aligned, (*outer, count, groups, stride, *inner))
    steps = -(-length // stride)
    offset = (before + front) // stride
    folded = ops.reduce("sum", skew(phased, axis, axis + 1, steps, 1, offset), [axis + 1])
    merged = ops.reshape(folded, (*outer, steps * stride, *inner))
    return ops.slice(merged, [(0, length if i == axis else n, 1) for i, n in enumerate(merged.shape)])
