"""Reading and writing parts of tensors: ``x[...]``, gather, scatter and their relatives, as real indexed access."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

import ir
from ir import Node, dtypes
from tinygrad_like.tensor.base import (
    Scalar,
    TensorBase,
    broadcast_node,
    broadcast_shape,
    cast_node,
    merged_symbols,
    plain_scalar,
)
from tinygrad_like.tensor.subscript import Subscript, adjacent, parse

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class IndexingMixin(TensorBase):
    """Positions outside of a dimension read 0 and write nothing; in ``x[...]`` negative ones count from the end."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Tensor:
        """Ints, slices, None, ``...``, lists and integer tensors, as in NumPy.

        Index tensors are broadcast together and their dimensions take the place of the first of them (the front, where
        they do not follow each other). A number out of range raises IndexError; an element of a tensor that is
        out of range reads 0.

            >>> Tensor([[1, 2], [3, 4]])[[1, 0], -1].tolist()
            [4, 2]
        """
        subscript = parse(index, self.shape, self._index_tensor)
        result = self._part(subscript)
        if subscript.lookups:
            return result._looked_up(subscript.lookups)
        if result is not self and self._in_memory():
            result._origin = (self, subscript)
        return result

    def _part(self, subscript: Subscript) -> Tensor:
        """The box of a subscript, before lookups."""
        node = ir.slice(self.node, subscript.ranges)
        if subscript.flipped:
            node = ir.flip(node, subscript.flipped)
        node = ir.reshape(node, subscript.shape())
        if not subscript.symbols:
            return self._make(node)
        return self.from_node(node, self._device, merged_symbols(self.symbols, subscript.symbols))

    def _index_tensor(self, item: Any) -> Tensor:
        """A list, array or tensor as an index tensor."""
        if isinstance(item, TensorBase):
            return item
        array = np.asarray(item)
        if array.size == 0:
            array = array.astype(np.int32)
        if array.dtype == np.int64 and not isinstance(item, np.ndarray):
            array = array.astype(np.int32)
        return type(self)(array, device=self._device)

    def _looked_up(self, lookups: dict[int, Tensor]) -> Tensor:
        """This tensor with the dimensions that are keys of ``lookups`` indexed by their tensors."""
        axes = list(lookups)
        rows, index = _rows_and_index(self.node, lookups)
        result = ir.gather(rows, index)
        rank, place = len(index.shape), axes[0] if adjacent(axes) else 0
        return self._make(_moved(result, rank, place), *lookups.values())

    def __setitem__(self, index: Any, value: Any) -> None:
        """Writes ``value``, broadcast, to ``self[index]``, or where a bool mask of this shape (or its front) holds.

        A tensor in memory is written in place; tensors that were computed from it before keep their values. Where
        an index tensor names a place twice, the last value stays; elements out of range write nothing.
        """
        mask = self._mask(index)
        lifted = self._lift(value, self.dtype).cast(self.dtype)
        if mask is not None:
            self._store(mask.where(_fitting(lifted, self.shape, index), self))
            return
        subscript = parse(index, self.shape, self._index_tensor)
        if subscript.lookups:
            chosen = _fitting(lifted, self._part(subscript)._looked_up(subscript.lookups).shape, index)
            if chosen.numel() != 0:
                self._store(self._written(subscript, chosen))
        elif lifted.node is not self._part(subscript).node:  # where it is, x[...] += y has assigned to x already
            chosen = _fitting(lifted, subscript.shape(), index)
            if chosen.numel() != 0:
                self._write_box(subscript, chosen)

    def _mask(self, index: Any) -> Tensor | None:
        """The bool mask that ``index`` is, with dimensions of size 1 appended up to this rank."""
        if not isinstance(index, (TensorBase, np.ndarray, list)):
            return None
        mask = self._index_tensor(index)
        if not mask.dtype.is_bool:
            return None
        if mask.shape != self.shape[:mask.ndim]:
            raise IndexError(f"a mask of shape {mask.shape} cannot select from shape {self.shape}")
        return mask.reshape(*mask.shape, *(1,) * (self.ndim - mask.ndim))

    def _write_box(self, subscript: Subscript, value: Tensor) -> None:
        whole = tuple(box.size for box in subscript.boxes)
        node = ir.reshape(value.node, whole)
        if subscript.flipped:
            node = ir.flip(node, subscript.flipped)
        self._store_part(value._make(node), subscript)

    def _written(self, subscript: Subscript, value: Tensor, mode: str = "set") -> Tensor:
        """This tensor with ``value`` scattered to the positions of a subscript with lookups."""
        numbers = ir.reshape(ir.iota(prod(self.shape)), self.shape)  # the flat position of each element
        places = self.from_node(numbers, self._device).__getitem__(_index_of(subscript))
        inside = self.from_node(ir.constant(True, dtypes.bool, self.shape)).__getitem__(_index_of(subscript))
        flat = ir.reshape(self.node, (prod(self.shape),))
        index = ir.where(inside.node, places.node, ir.constant(-1, dtypes.int32, places.shape))
        written = ir.scatter(flat, index, value.node, mode=mode)
        return self._make(ir.reshape(written, self.shape), value, *subscript.lookups.values())

    # ------------------------------------------------------------------------------------------- along one dimension

    def gather(self, dim: int, index: Tensor) -> Tensor:
        """out[i][j][k] = self[i][index[i][j][k]][k] for ``dim`` 1, and so on; the result has the shape of ``index``.

        ``index`` may be smaller than this tensor in other dimensions. An element out of range reads 0.
        """
        axis = self._check_along(dim, index)
        x = self.shrink([None if i == axis else (0, size) for i, size in enumerate(index.shape)])
        picked = ir.gather(_last(x.node, axis), _last(index.node, axis), self.ndim - 1)
        return self._make(_from_last(picked, axis), index)

    def scatter(self, dim: int, index: Tensor, src: Tensor | Scalar, reduce: str | None = None) -> Tensor:
        """This tensor with self[i][index[i][j]] = src[i][j] for ``dim`` 1, and so on; the last of several stays.

        reduce: "add" or "multiply" combines instead. An element of ``index`` out of range writes nothing.
        """
        if reduce not in (None, "add", "multiply"):
            raise ValueError(f"reduce must be None, 'add' or 'multiply', got {reduce!r}; see scatter_reduce for others")
        if not isinstance(src, TensorBase):
            src = type(self).full(index.shape, plain_scalar(src), dtype=self.dtype, buffer=False)
        if reduce is not None:
            return self.scatter_reduce(dim, index, src, "sum" if reduce == "add" else "prod")
        return self._scattered(dim, index, src, "set", self.node)

    def scatter_reduce(self, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool = True) -> Tensor:
        """``src`` combined into the places that ``index`` names: "sum", "prod", "mean", "amax" or "amin".

        include_self: whether the elements of this tensor at these places count too.
        """
        least, greatest = self.dtype.minimum, self.dtype.maximum
        starts: dict[str, Scalar] = {"sum": 0, "mean": 0, "prod": 1, "amax": least, "amin": greatest}
        if reduce not in starts:
            raise ValueError(f"reduce must be one of {', '.join(starts)}, got {reduce!r}")
        start = self.node
        if not include_self:
            touched = self._hits(dim, index) > 0
            start = ir.where(touched.node, ir.constant(starts[reduce], self.dtype, self.shape), self.node)
        if reduce == "prod":
            return self._make(ir.mul(start, self._products(dim, index, src)), index, src)
        if reduce != "mean":
            return self._scattered(dim, index, src, {"sum": "add", "amax": "max", "amin": "min"}[reduce], start)
        total = self._scattered(dim, index, src, "add", start)
        count = self._hits(dim, index)
        count = count + 1 if include_self else count.maximum(1)
        return total / count if self.dtype.is_float else total.div(count, rounding_mode="floor").cast(self.dtype)

    def _scattered(self, dim: int, index: Tensor, src: Tensor, mode: str, start: Node) -> Tensor:
        axis = self._check_along(dim, index)
        if src.dtype is not self.dtype:
            raise TypeError(f"scatter needs src of dtype {self.dtype}, got {src.dtype}; cast it first")
        if src.ndim != self.ndim or any(s < i for s, i in zip(src.shape, index.shape, strict=True)):
            raise ValueError(f"scatter needs src at least as large as index, got {src.shape} and {index.shape}")
        src = src.shrink([(0, size) for size in index.shape])
        # Lines of self that index does not reach are scattered to as well, from positions that are out of range.
        missing = [(0, 0) if i == axis else (0, size - covered)
                   for i, (size, covered) in enumerate(zip(self.shape, index.shape, strict=True))]
        places = _last(ir.pad(index.node, missing, -1), axis)
        updates = _last(ir.pad(src.node, missing, 0), axis)
        result = ir.scatter(_last(start, axis), places, updates, self.ndim - 1, mode)
        return self._make(_from_last(result, axis), index, src)

    def _hits(self, dim: int, index: Tensor) -> Tensor:
        """How many elements of ``index`` name each place."""
        zeros = type(self).zeros(self.shape, dtype=dtypes.int32, buffer=False)
        ones = type(self).ones(index.shape, dtype=dtypes.int32, buffer=False)
        return zeros._scattered(dim, index, ones, "add", zeros.node)

    def _products(self, dim: int, index: Tensor, src: Tensor) -> Node:
        """The product of the elements of ``src`` that go to each place: over all of them, 1 for those that do not."""
        axis = self._check_along(dim, index)
        src = src.shrink([(0, size) for size in index.shape])
        missing = [(0, 0) if i == axis else (0, size - covered)
                   for i, (size, covered) in enumerate(zip(self.shape, index.shape, strict=True))]
        places, factors = _last(ir.pad(index.node, missing, -1), axis), _last(ir.pad(src.node, missing, 1), axis)
        length = self.shape[axis]
        shape = (*places.shape, length)
        numbers = broadcast_node(cast_node(ir.iota(length), places.dtype), shape)
        hit = ir.equal(ir.expand(ir.reshape(places, (*places.shape, 1)), shape), numbers)
        factor = ir.expand(ir.reshape(factors, (*factors.shape, 1)), shape)
        product = ir.reduce("prod", ir.where(hit, factor, ir.constant(1, factor.dtype, shape)), (len(shape) - 2,))
        return _from_last(product, axis)

    def _check_along(self, dim: int, index: Tensor) -> int:
        axis = self._axis(dim)
        if not index.dtype.is_integer:
            raise TypeError(f"the index must be of integers, got {index.dtype}")
        if index.ndim != self.ndim or any(index.shape[i] > self.shape[i] for i in range(self.ndim) if i != axis):
            raise ValueError(f"an index of shape {index.shape} does not fit shape {self.shape}: it needs the same "
                             f"number of dimensions, none but dimension {dim} larger")
        return axis

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The slices along ``dim`` that a 1-D ``index`` names."""
        return self[(slice(None),) * self._axis(dim) + (index,)]

    def take(self, index: Tensor) -> Tensor:
        """Elements of the flattened tensor at ``index``."""
        return self.flatten()[index]

    def one_hot(self, num_classes: int) -> Tensor:
        """Integers as rows (int32) with a 1 at their position, of zeros where there is no such class."""
        if not self.dtype.is_integer:
            raise TypeError(f"one_hot needs integers, got {self.dtype}")
        if num_classes < 0:
            raise ValueError(f"one_hot needs 0 or more classes, got {num_classes}")
        numbers = type(self).arange(num_classes).cast(self.dtype)
        return self.unsqueeze(-1).eq(numbers).cast(dtypes.int32)

    # ------------------------------------------------------------------------------------------- masks

    def masked_select(self, mask: Tensor, size: int | None = None, fill_value: Scalar = 0) -> Tensor:
        """The elements where ``mask`` holds, as a 1-D tensor.

        Without ``size`` the mask is computed and counted, for a tensor must know its shape: not inside ``jit``. With it
        the result has ``size`` elements: the first ones, filled up with ``fill_value``.
        """
        if not mask.dtype.is_bool:
            raise TypeError(f"masked_select needs a bool mask, got {mask.dtype}")
        flat, chosen = self.flatten(), mask._broadcast_to(self.shape).flatten()
        if size is None:
            return flat[np.flatnonzero(chosen.numpy()).astype(np.int32)]
        rank = chosen.cumsum() - 1
        start = type(self).full((size,), fill_value, dtype=self.dtype, buffer=False)
        places = chosen.where(rank, -1)
        return start.scatter(0, places, flat)

    def nonzero(self, size: int | None = None, fill_value: int = 0) -> Tensor:
        """The positions of the elements that are not zero, one row each (see ``masked_select`` for ``size``)."""
        mask = self.ne(0)
        if size is None:
            found = np.argwhere(mask.numpy()).astype(np.int32)
            return type(self)(found, device=self._device)
        flat = type(self).arange(prod(self.shape)).masked_select(mask.flatten(), size, -1)
        columns, rest = [], flat
        for length in reversed(self.shape):
            columns.append((flat < 0).where(fill_value, rest % length))
            rest = rest // length
        return columns[0].stack(*columns[1:], dim=-1).flip(-1)


def _fitting(value: Tensor, shape: Any, index: Any) -> Tensor:
    """``value`` broadcast to the part that is written; the error names both shapes."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value.squeeze(0)
    try:
        return value._broadcast_to(shape)
    except ValueError:
        raise ValueError(f"cannot write shape {value.shape} to the part of shape {shape} that {_described(index)} names"
                         ) from None


def _described(index: Any) -> str:
    return "the mask" if isinstance(index, TensorBase) and index.dtype.is_bool else "the index"


def _index_of(subscript: Subscript) -> tuple[Any, ...]:
    """An equal index without the new dimensions: one item per dimension."""
    items: list[Any] = []
    lookup_of = {subscript.layout[place]: tensor for place, tensor in subscript.lookups.items()}
    for entry in _positions(subscript):
        if entry is None:
            items.append(None)
            continue
        box = subscript.boxes[entry]
        if entry in lookup_of:
            items.append(lookup_of[entry])
        elif box.dropped:
            items.append(box.start)
        elif box.flipped:
            items.append(slice(box.stop - 1, box.start - 1 if box.start > 0 else None, -box.step))
        else:
            items.append(slice(box.start, box.stop, box.step))
    return tuple(items)


def _positions(subscript: Subscript) -> list[int | None]:
    """The layout with the dropped dimensions back in their places."""
    result: list[int | None] = []
    following = 0
    for entry in subscript.layout:
        while entry is not None and following < entry:
            result.append(following)
            following += 1
        result.append(entry)
        following += entry is not None
    return result + list(range(following, len(subscript.boxes)))


def _rows_and_index(x: Node, lookups: dict[int, Tensor]) -> tuple[Node, Node]:
    """``x`` with the indexed dimensions in front, merged into one, and the index of its rows; -1 where out of range."""
    axes = list(lookups)
    order = axes + [i for i in range(len(x.shape)) if i not in lookups]
    moved = ir.permute(x, order) if order != list(range(len(order))) else x
    shape = broadcast_shape(*(tensor.shape for tensor in lookups.values()))
    total: Node | None = None
    inside: Node | None = None
    wide = dtypes.int64 if prod(x.shape[axis] for axis in axes) > dtypes.int32.maximum else None
    for axis, tensor in lookups.items():
        size = x.shape[axis]
        index, valid = _from_front(tensor, size, wide, shape)
        inside = valid if inside is None else ir.bit_and(inside, valid)
        if total is None:
            total = index
        else:
            total, index = _same_dtype(total, index)
            total = ir.add(ir.mul(total, ir.constant(size, total.dtype, shape)), index)
    assert total is not None and inside is not None
    if len(axes) == 1:
        return moved, total
    merged = ir.reshape(moved, (ir.product(moved.shape[:len(axes)]), *moved.shape[len(axes):]))
    return merged, ir.where(inside, total, ir.constant(-1, total.dtype, shape))


def _same_dtype(first: Node, second: Node) -> tuple[Node, Node]:
    dtype = ir.promote(first.dtype, second.dtype)
    return cast_node(first, dtype), cast_node(second, dtype)


def _from_front(tensor: Tensor, size: Any, wide: Any, shape: Any) -> tuple[Node, Node]:
    """An index counted from the front (negative ones count from the end), and whether it lies in [0, size)."""
    narrow = dtypes.int32 if tensor.dtype.itemsize < 4 else tensor.dtype
    node = cast_node(tensor.node, wide or narrow)
    zero, length = ir.constant(0, node.dtype, node.shape), ir.constant(size, node.dtype, node.shape)
    if node.dtype.is_signed and not _never_negative(node):
        node = ir.where(ir.less(node, zero), ir.add(node, length), node)
    valid = ir.bit_and(ir.less_equal(zero, node), ir.less(node, length))
    return broadcast_node(node, shape), broadcast_node(valid, shape)


def _never_negative(node: Node) -> bool:
    return node.op.name == "iota"


def _moved(result: Node, rank: int, place: int) -> Node:
    """The first ``rank`` dimensions moved behind the ``place`` dimensions that follow them."""
    if place == 0:
        return result
    order = [*range(rank, rank + place), *range(rank), *range(rank + place, len(result.shape))]
    return ir.permute(result, order)


def _last(x: Node, axis: int) -> Node:
    """``x`` with dimension ``axis`` moved to the end."""
    if axis == len(x.shape) - 1:
        return x
    return ir.permute(x, [*(i for i in range(len(x.shape)) if i != axis), axis])


def _from_last(x: Node, axis: int) -> Node:
    """The inverse of ``_last``."""
    last = len(x.shape) - 1
    return x if axis == last else ir.permute(x, [*range(axis), last, *range(axis, last)])
