"""Running sums, products and extremes along a dimension: scans, one step per element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import ir
from ir import Node, dtypes
from ir.node import Shape
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
        shape = _without(x.shape, position)
        total, row = ir.parameter(0, x.dtype, shape), ir.parameter(1, x.dtype, shape)
        combined = combine(total, row)
        scan = ir.scan(ir.Body((total, row), (combined, combined)), (ir.constant(start, x.dtype, shape),), (x,),
                       axis=position)
        return self._make(ir.project(scan, 1))

    def _running_extreme(self, axis: int, better: Combine, start: float) -> tuple[Tensor, Tensor]:
        position, x = self._axis(axis), self.node
        if not self.ndim or ir.product(self.shape) == 0:
            return self._make(x), self._make(ir.constant(0, dtypes.int32, self.shape))
        shape = _without(x.shape, position)
        best, place = ir.parameter(0, x.dtype, shape), ir.parameter(1, dtypes.int32, shape)
        row, number = ir.parameter(2, x.dtype, shape), ir.parameter(3, dtypes.int32, shape)
        wins = ir.bit_or(better(row, best), ir.bit_and(ir.not_equal(row, row), ir.equal(best, best)))
        new = (ir.where(wins, row, best), ir.where(wins, number, place))
        starts = (ir.constant(start, x.dtype, shape), ir.constant(0, dtypes.int32, shape))
        scan = ir.scan(ir.Body((best, place, row, number), (*new, *new)), starts, (x, _numbers(x.shape, position)),
                       axis=position)
        return self._make(ir.project(scan, 2)), self._make(ir.project(scan, 3))


def _without(shape: Shape, axis: int) -> Shape:
    """The shape of one slice along ``axis``."""
    return shape[:axis] + shape[axis + 1:]


def _numbers(shape: Shape, axis: int) -> Node:
    """The position of each element along ``axis``, as int32."""
    counted = ir.reshape(ir.iota(shape[axis]), [size if i == axis else 1 for i, size in enumerate(shape)])
    return ir.expand(counted, shape)
