"""Sorting along a dimension, and the largest elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ir
from ir import dtypes
from tinygrad_like.tensor.base import TensorBase

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
        return self._make(ir.argsort(self.node, axis, descending))

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted_: bool = True) -> tuple[Tensor, Tensor]:
        """The ``k`` largest (smallest) elements along ``dim`` in order, and their positions (int32)."""
        del sorted_  # they are in order in any case
        axis = self._axis(dim)
        size = self.shape[axis] if self.ndim else 1
        if not 0 <= k <= size or (k == 0 and not self.ndim):
            raise ValueError(f"topk needs k between 0 and {size}, the size of dimension {dim}; got {k}")
        if not self.ndim:
            return self, self.argsort(dim, largest)
        positions = self._make(ir.argsort(self.node, axis, largest, k))
        return self.gather(axis, positions), positions
