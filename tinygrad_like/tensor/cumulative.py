"""Running sums, products and extremes along a dimension: scans, one step per element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import ir
from ir import Node, dtypes
from tinygrad_like.tensor.base import TensorBase, cast_node
from tinygrad_like.tensor.reduction import accumulation_dtype

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

Combine = Callable[[Node, Node], Node]


class CumulativeMixin(TensorBase):
    """Each result has the shape of the tensor; element i combines elements 0 to i."""

    __slots__ = ()

    def cumsum(self, axis: int = 0) -> Tensor:
        """Running sums; integers and bool count in 32 bits or more.

            >>> Tensor([1, 2, 3]).cumsum().tolist()
            [1, 3, 6]
        """
        return self._running(axis, ir.add, 0, cast_node(self.node, accumulation_dtype(self.dtype)))

    def cumprod(self, axis: int) -> Tensor:
        """Running products."""
        return self._running(axis, ir.mul, 1, self.node)

    def cummax(self, axis: int = 0) -> tuple[Tensor, Tensor]:
        """Running maxima, and the position (int32) of the first element that has each; NaN wins."""
        return self._running_extreme(axis, lambda row, best: ir.less(best, row), self.dtype.minimum)

    def cummin(self, axis: int = 0) -> tuple[Tensor, Tensor]:
        """Running minima, and the position (int32) of the first element that has each; NaN wins."""
        return self._running_extreme(axis, ir.less, self.dtype.maximum)

    def logcumsumexp(self, axis: int = 0) -> Tensor:
        """log(cumsum(exp(x))) without overflow."""
        x = self._as_float()

        def combine(total: Node, row: Node) -> Node:
            return self.from_node(total).logaddexp(self.from_node(row)).node

        return x._running(axis, combine, -math.inf, x.node)

    # ------------------------------------------------------------------------------------------- scans

    def _running(self, axis: int, combine: Combine, start: float, x: Node) -> Tensor:
        position = self._axis(axis)
        if not self.ndim or ir.product(self.shape) == 0:
            return self._make(x)
        rows = _leading(x, position)
        total, row = ir.parameter(0, rows.dtype, rows.shape[1:]), ir.parameter(1, rows.dtype, rows.shape[1:])
        combined = combine(total, row)
        first = ir.constant(start, rows.dtype, total.shape)
        scan = ir.scan(ir.Body((total, row), (combined, combined)), (first,), (rows,))
        return self._make(_returned(ir.project(scan, 1), position))

    def _running_extreme(self, axis: int, better: Combine, start: float) -> tuple[Tensor, Tensor]:
        position = self._axis(axis)
        if not self.ndim or ir.product(self.shape) == 0:
            return self._make(self.node), self._make(ir.constant(0, dtypes.int32, self.shape))
        rows = _leading(self.node, position)
        shape = rows.shape[1:]
        best, place = ir.parameter(0, rows.dtype, shape), ir.parameter(1, dtypes.int32, shape)
        row, number = ir.parameter(2, rows.dtype, shape), ir.parameter(3, dtypes.int32, ())
        wins = ir.bit_or(better(row, best), ir.bit_and(ir.not_equal(row, row), ir.equal(best, best)))
        here = ir.expand(ir.reshape(number, (1,) * len(shape)), shape) if shape else number
        new = (ir.where(wins, row, best), ir.where(wins, here, place))
        starts = (ir.constant(start, rows.dtype, shape), ir.constant(0, dtypes.int32, shape))
        scan = ir.scan(ir.Body((best, place, row, number), (*new, *new)), starts, (rows, ir.iota(rows.shape[0])))
        values, places = ir.project(scan, 2), ir.project(scan, 3)
        return self._make(_returned(values, position)), self._make(_returned(places, position))


def _leading(x: Node, axis: int) -> Node:
    """``x`` with dimension ``axis`` moved to the front."""
    if axis == 0:
        return x
    return ir.permute(x, (axis, *(i for i in range(len(x.shape)) if i != axis)))


def _returned(x: Node, axis: int) -> Node:
    """``x`` with the leading dimension moved to ``axis``: the inverse of ``_leading``."""
    if axis == 0:
        return x
    return ir.permute(x, (*range(1, axis + 1), 0, *range(axis + 1, len(x.shape))))
