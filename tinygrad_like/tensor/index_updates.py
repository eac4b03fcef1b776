"""Parts of a tensor replaced or added to, as a new tensor, under PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ir
from tinygrad_like.tensor.base import Scalar, TensorBase, broadcast_node, broadcast_shape, plain_scalar
from tinygrad_like.tensor.subscript import parse

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class IndexUpdatesMixin(TensorBase):
    """``index`` is a 1-D tensor of positions along ``dim``; a position out of range writes nothing."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- slices by number

    def index_add(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
        """The slices of ``source``, times ``alpha``, added to those that ``index`` names."""
        return self._indexed(dim, index, source if alpha == 1 else source * alpha, "add")

    def index_copy(self, dim: int, index: Tensor, source: Tensor) -> Tensor:
        """The slices of ``source`` in place of those that ``index`` names; the last of several stays."""
        return self._indexed(dim, index, source, "set")

    def index_fill(self, dim: int, index: Tensor, value: Scalar) -> Tensor:
        """The number ``value`` in the slices that ``index`` names."""
        axis = self._axis(dim)
        shape = self.shape[:axis] + index.shape + self.shape[axis + 1:]
        filled = self.from_node(ir.constant(plain_scalar(value), self.dtype, shape))
        return self._indexed(axis, index, filled, "set")

    def index_reduce(self, dim: int, index: Tensor, source: Tensor, reduce: str, *,
                     include_self: bool = True) -> Tensor:
        """The slices of ``source`` combined into those that ``index`` names: "prod", "mean", "amax" or "amin"."""
        axis = self._axis(dim)
        self._check_slices(axis, index, source)
        line = tuple(index.shape[0] if i == axis else 1 for i in range(source.ndim))
        return self.scatter_reduce(axis, index.reshape(line).expand(source.shape), source, reduce, include_self)

    def _indexed(self, dim: int, index: Tensor, source: Tensor, mode: str) -> Tensor:
        axis = self._axis(dim)
        self._check_slices(axis, index, source)
        start, updates = self.movedim(axis, 0), source.movedim(axis, 0)
        written = start._make(ir.scatter(start.node, index.node, updates.node, 0, mode), index, source)
        return written.movedim(0, axis)

    def _check_slices(self, axis: int, index: Tensor, source: Tensor) -> None:
        expected = self.shape[:axis] + index.shape + self.shape[axis + 1:]
        if index.ndim != 1 or not index.dtype.is_integer:
            raise ValueError(f"the index must be integers in one dimension, got {index.dtype} of shape {index.shape}")
        if not self.ndim or source.shape != expected or source.dtype is not self.dtype:
            raise ValueError(f"slices of {self.dtype}{list(self.shape)} named by {index.shape[0]} positions of "
                             f"dimension {axis} are {self.dtype}{list(expected)}, got {source.dtype}"
                             f"{list(source.shape)}")

    # ------------------------------------------------------------------------------------------- elements by number

    def scatter_add(self, dim: int, index: Tensor, src: Tensor) -> Tensor:
        """self[i][index[i][j]] += src[i][j] for ``dim`` 1, and so on."""
        return self.scatter_reduce(dim, index, src, "sum")

    def take_along_dim(self, indices: Tensor, dim: int | None = None) -> Tensor:
        """``gather`` with this tensor and ``indices`` broadcast to each other; without ``dim`` of the flattened tensor.

            >>> x = Tensor([[3, 1, 2]])
            >>> x.take_along_dim(x.argsort(1), 1).tolist()
            [[1, 2, 3]]
        """
        if dim is None:
            return self.flatten().gather(0, indices.flatten())
        if indices.ndim != self.ndim:
            raise ValueError(f"take_along_dim needs as many dimensions of indices as of {self.shape}, got "
                             f"{indices.shape}")
        axis = self._axis(dim)
        one = [1 if i == axis else size for i, size in enumerate(self.shape)]
        other = [1 if i == axis else size for i, size in enumerate(indices.shape)]
        shape = broadcast_shape(tuple(one), tuple(other))
        source = self._broadcast_to(tuple(self.shape[i] if i == axis else n for i, n in enumerate(shape)))
        places = indices._broadcast_to(tuple(indices.shape[i] if i == axis else n for i, n in enumerate(shape)))
        return source.gather(axis, (places < 0).where(places + self.shape[axis], places))

    def index_put(self, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
        """``values`` (broadcast) at ``self[indices]``, in a new tensor; accumulate: added, also where places repeat."""
        values = self._lift(values, self.dtype).cast(self.dtype)
        subscript = parse(tuple(indices), self.shape, self._index_tensor)
        if not subscript.lookups:
            raise ValueError("index_put needs a tuple of integer tensors")
        shape = self._part(subscript)._looked_up(subscript.lookups).shape
        return self._written(subscript, values._broadcast_to(shape), "add" if accumulate else "set")

    def put(self, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
        """Elements of the flattened tensor replaced by (accumulate: increased by) those of ``source``."""
        flat = self.flatten().index_put((index.flatten(),), source.flatten(), accumulate)
        return flat.reshape(self.shape)

    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """The elements of ``source``, in order, at the places where ``mask`` holds."""
        chosen = mask._broadcast_to(self.shape).flatten()
        rank = (chosen.cumsum() - 1).maximum(0)
        return chosen.where(source.flatten()[rank], self.flatten()).reshape(self.shape)

    # ------------------------------------------------------------------------------------------- parts

    def select_scatter(self, src: Tensor, dim: int, index: int) -> Tensor:
        """``src`` in place of ``self.select(dim, index)``."""
        return self._with_part((slice(None),) * self._axis(dim) + (index,), src)

    def slice_scatter(self, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
                      step: int = 1) -> Tensor:
        """``src`` in place of the elements ``start:end:step`` of ``dim``."""
        return self._with_part((slice(None),) * self._axis(dim) + (slice(start, end, step),), src)

    def diagonal_scatter(self, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """``src`` in place of ``self.diagonal(offset, dim1, dim2)``."""
        first, second = self._axis(dim1), self._axis(dim2)
        rows, columns = int(self.shape[first]), int(self.shape[second])
        expected = self.diagonal(offset, dim1, dim2).shape
        if src.shape != expected:
            raise ValueError(f"the diagonal of shape {self.shape} has shape {expected}, got {src.shape}")
        row = self.from_node(broadcast_node(ir.reshape(ir.iota(rows), (rows, 1)), (rows, columns)))
        column = self.from_node(broadcast_node(ir.iota(columns), (rows, columns)))
        along = row if offset >= 0 else column  # its element number on the diagonal
        spread = src[..., along]
        moved = self.movedim((first, second), (-2, -1))
        return (row + offset == column).where(spread, moved).movedim((-2, -1), (first, second))

    def _with_part(self, index: tuple[Any, ...], value: Tensor) -> Tensor:
        expected = self[index].shape
        if value.shape != expected:
            raise ValueError(f"the part of shape {self.shape} has shape {expected}, got {value.shape}")
        result = self.clone()
        result[index] = value
        return result
