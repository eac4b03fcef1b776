"""Sorting by counting: the place of an element is the number of elements that come before it.

That takes n^2 comparisons, which never meet in memory, and one scatter. It is meant for rows of up to some thousands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ir
from ir import Node, dtypes
from tinygrad_like.tensor.base import TensorBase, broadcast_node, cast_node

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class SortingMixin(TensorBase):
    """Order is stable: equal elements stay in their order. NaN counts as larger than everything, as in PyTorch."""

    __slots__ = ()

    def sort(self, dim: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
        """The elements in order along ``dim``, and the positions (int32) where they were.

            >>> values, positions = Tensor([3, 1, 2]).sort()
            >>> values.tolist(), positions.tolist()
            ([1, 2, 3], [1, 2, 0])
        """
        positions = self.argsort(dim, descending)
        return (self.gather(dim, positions) if self.ndim else self), positions

    def argsort(self, dim: int = -1, descending: bool = False) -> Tensor:
        """The positions (int32) of the elements in order: ``x.gather(dim, x.argsort(dim))`` is sorted."""
        axis = self._axis(dim)
        if not self.ndim:
            return self._make(ir.constant(0, dtypes.int32, ()))
        order = [*(i for i in range(self.ndim) if i != axis), axis]
        rows = self.permute(order).detach()
        numbers = self.from_node(broadcast_node(ir.iota(rows.shape[-1]), rows.shape))
        places = rows._make(_count_before(rows.node, descending))
        found = numbers.scatter(-1, places, numbers)
        return found.permute([order.index(i) for i in range(self.ndim)])

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted_: bool = True) -> tuple[Tensor, Tensor]:
        """The ``k`` largest (smallest) elements along ``dim`` in order, and their positions (int32)."""
        del sorted_  # they are in order in any case
        axis = self._axis(dim)
        if not 0 <= k <= self.shape[axis]:
            raise ValueError(f"topk needs k between 0 and {self.shape[axis]}, the size of dimension {dim}; got {k}")
        positions = self.argsort(axis, descending=largest)._cut(axis, 0, k)
        return self.gather(axis, positions), positions


def _count_before(rows: Node, descending: bool) -> Node:
    """For each element of the last dimension, how many elements of its row come before it when the row is in order."""
    shape = (*rows.shape, rows.shape[-1])  # [.., i, j]: does element j come before element i?
    one = ir.expand(ir.reshape(rows, (*rows.shape, 1)), shape)
    other = ir.expand(ir.reshape(rows, (*rows.shape[:-1], 1, rows.shape[-1])), shape)
    first, second = (one, other) if descending else (other, one)
    ahead, same = ir.less(first, second), ir.equal(first, second)
    if rows.dtype.is_float:
        first_is_nan, second_is_nan = ir.not_equal(first, first), ir.not_equal(second, second)
        ahead = ir.bit_or(ahead, ir.bit_and(second_is_nan, ir.bit_not(first_is_nan)))
        same = ir.bit_or(same, ir.bit_and(first_is_nan, second_is_nan))
    length = rows.shape[-1]
    row, column = (ir.expand(ir.reshape(ir.iota(length), (1,) * (len(shape) - 2) + pair), shape)
                   for pair in ((length, 1), (1, length)))
    before = ir.bit_or(ahead, ir.bit_and(same, ir.less(column, row)))
    return ir.reduce("sum", cast_node(before, dtypes.int32), (len(shape) - 1,))
