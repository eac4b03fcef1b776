"""Views: the same elements in another shape or order. Nothing is copied; codegen folds views into index expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ir
from tinygrad_like.tensor.base import Shape, Size, TensorBase, shape_argument

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class MovementMixin(TensorBase):
    """Reshaping, reordering, repeating, cutting and joining."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- shape

    def reshape(self, shape: Any, *rest: Any) -> Tensor:
        """The same elements in row-major order in another shape; one size may be -1, None keeps a size.

            >>> Tensor.arange(6).reshape(2, -1).shape
            (2, 3)
        """
        wanted = shape_argument(shape, rest)
        sizes = tuple(self.shape[i] if size is None else size for i, size in enumerate(wanted))
        unknown = [i for i, size in enumerate(sizes) if isinstance(size, int) and size < 0]
        if len(unknown) > 1 or any(sizes[i] != -1 for i in unknown):
            raise ValueError(f"cannot reshape {self.shape} to {wanted}: at most one size may be -1, none less")
        if unknown:
            sizes = _with_inferred(self.shape, sizes, unknown[0])
        if not ir.same_product(self.shape, sizes):
            raise ValueError(f"cannot reshape {self.shape} to {wanted}: {self.numel()} elements do not fill that shape")
        return self if sizes == self.shape else self._make(ir.reshape(self.node, sizes))

    def view(self, shape: Any, *rest: Any) -> Tensor:
        """Another name of ``reshape``."""
        return self.reshape(shape, *rest)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Dimensions ``start_dim`` to ``end_dim`` (included) merged into one."""
        first, last = self._axis(start_dim), self._axis(end_dim)
        if first > last:
            raise ValueError(f"cannot flatten from dimension {start_dim} to {end_dim} of shape {self.shape}")
        return self.reshape((*self.shape[:first], ir.product(self.shape[first:last + 1]), *self.shape[last + 1:]))

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Tensor:
        """One dimension split into several; one size may be -1."""
        axis = self._axis(dim)
        sizes = tuple(sizes)
        if -1 in sizes:
            sizes = _with_inferred((self.shape[axis],), sizes, sizes.index(-1))
        return self.reshape((*self.shape[:axis], *sizes, *self.shape[axis + 1:]))

    def squeeze(self, dim: int | None = None) -> Tensor:
        """Without dimension ``dim`` where its size is 1; without every dimension of size 1 where none is named."""
        if dim is None:
            return self.reshape(tuple(size for size in self.shape if size != 1))
        axis = self._axis(dim)
        if not self.ndim or self.shape[axis] != 1:
            return self
        return self.reshape(self.shape[:axis] + self.shape[axis + 1:])

    def unsqueeze(self, dim: int) -> Tensor:
        """With a dimension of size 1 inserted before position ``dim``."""
        axis = self._axis(dim, extra=1)
        return self.reshape((*self.shape[:axis], 1, *self.shape[axis:]))

    def expand(self, shape: Any, *rest: Any) -> Tensor:
        """Dimensions of size 1 repeated to ``shape`` without copying; -1 or None keeps a size."""
        wanted = shape_argument(shape, rest)
        missing = len(wanted) - self.ndim
        if missing < 0:
            raise ValueError(f"cannot expand {self.shape} to {wanted}: that has fewer dimensions")
        aligned = (1,) * missing + self.shape
        sizes = zip(aligned, wanted, strict=True)
        return self._broadcast_to(tuple(old if new in (-1, None) else new for old, new in sizes))

    # ------------------------------------------------------------------------------------------- order

    def permute(self, order: Any, *rest: Any) -> Tensor:
        """The dimensions in another order: dimension i of the result is dimension ``order[i]``."""
        given = (order, *rest) if rest or isinstance(order, int) else tuple(order)
        axes = tuple(self._axis(axis) for axis in given)
        if sorted(axes) != list(range(self.ndim)):
            raise ValueError(f"{given} is no order of the {self.ndim} dimensions of shape {self.shape}")
        if axes == tuple(range(self.ndim)):
            return self
        return self._make(ir.permute(self.node, axes))

    def transpose(self, dim0: int = 1, dim1: int = 0) -> Tensor:
        """Two dimensions exchanged."""
        order = list(range(self.ndim))
        first, second = self._axis(dim0), self._axis(dim1)
        order[first], order[second] = order[second], order[first]
        return self.permute(order)

    @property
    def T(self) -> Tensor:  # noqa: N802  # everybody's name
        """The transpose of a matrix."""
        return self.transpose()

    def flip(self, axis: Any, *rest: int) -> Tensor:
        """The order along the given dimensions reversed."""
        given = (axis, *rest) if rest or isinstance(axis, int) else tuple(axis)
        axes = self._axes(given)
        return self._make(ir.flip(self.node, axes)) if axes else self

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
        """Elements moved forward by ``shifts`` along ``dims``; those that leave at the end return at the front."""
        if dims is None:
            if not isinstance(shifts, int):
                raise ValueError(f"roll by {shifts!r} needs dims, one per shift")
            return self.flatten().roll(shifts, 0).reshape(self.shape)
        amounts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
        axes = (dims,) if isinstance(dims, int) else tuple(dims)
        if len(amounts) != len(axes):
            raise ValueError(f"roll needs one shift per dimension, got shifts={shifts!r} and dims={dims!r}")
        result: Tensor = self
        for amount, dim in zip(amounts, axes, strict=True):
            axis = self._axis(dim)
            size = int(self.shape[axis]) or 1
            if amount % size:
                cut = size - amount % size
                result = result._cut(axis, cut, size).cat(result._cut(axis, 0, cut), dim=axis)
        return result

    # ------------------------------------------------------------------------------------------- cutting

    def shrink(self, arg: Sequence[tuple[Size, Size] | None]) -> Tensor:
        """The box from ``start`` to ``stop`` of each dimension; None keeps a dimension whole."""
        if len(arg) != self.ndim:
            raise ValueError(f"shrink needs one (start, stop) or None per dimension of {self.shape}, got {arg!r}")
        region = []
        for bounds, size in zip(arg, self.shape, strict=True):
            start, stop = (0, size) if bounds is None else bounds
            if not 0 <= start <= stop <= size:
                raise ValueError(f"cannot shrink a dimension of size {size} to ({start}, {stop}) of {tuple(arg)}: "
                                 "expected 0 <= start <= stop <= size")
            region.append((start, stop, 1))
        if all(start == 0 and stop == size for (start, stop, _), size in zip(region, self.shape, strict=True)):
            return self
        return self._make(ir.slice(self.node, tuple(region)))

    def shrink_to(self, shape: Any, *rest: Any) -> Tensor:
        """The first elements of each dimension; None keeps a dimension whole."""
        return self.shrink([None if size is None else (0, size) for size in shape_argument(shape, rest)])

    def _cut(self, axis: int, start: Size, stop: Size) -> Tensor:
        """Elements ``start`` to ``stop`` of one dimension."""
        return self.shrink([(start, stop) if i == axis else None for i in range(self.ndim)])

    def split(self, sizes: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        """Pieces along ``dim``: of the given size (the last may be smaller), or of each of the given sizes."""
        axis = self._axis(dim)
        total = int(self.shape[axis])
        if isinstance(sizes, int):
            if sizes < 1 and total:
                raise ValueError(f"split needs a size of 1 or more, got {sizes}")
            sizes = [min(sizes, total - start) for start in range(0, total, sizes)] if total else [0]
        if sum(sizes) != total:
            raise ValueError(f"split sizes {list(sizes)} add up to {sum(sizes)}, but dimension {dim} has size {total}")
        ends = [sum(sizes[:i + 1]) for i in range(len(sizes))]
        return tuple(self._cut(axis, end - size, end) for size, end in zip(sizes, ends, strict=True))

    def chunk(self, chunks: int, dim: int = 0) -> list[Tensor]:
        """At most ``chunks`` pieces of equal size along ``dim`` (the last may be smaller)."""
        if chunks < 1:
            raise ValueError(f"chunk needs 1 or more chunks, got {chunks}")
        total = int(self.shape[self._axis(dim)])
        return list(self.split(-(-total // chunks) if total else [0] * chunks, dim))

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """The elements where index ``dim2`` is index ``dim1`` plus ``offset``, as a new last dimension."""
        first, second = self._axis(dim1), self._axis(dim2)
        if first == second:
            raise ValueError(f"diagonal needs two different dimensions, got {dim1} and {dim2}")
        rest = [i for i in range(self.ndim) if i not in (first, second)]
        x = self.permute(*rest, first, second) if rest else self.permute(first, second)
        rows, columns = int(x.shape[-2]), int(x.shape[-1])
        length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
        if not length:
            return x.reshape(*x.shape[:-2], rows * columns).shrink_to(*x.shape[:-2], 0)
        # Out of a row-major matrix the diagonal takes every (columns + 1)-th element.
        start = offset if offset >= 0 else -offset * columns
        flat = x.reshape(*x.shape[:-2], rows * columns)
        whole = tuple((0, size, 1) for size in flat.shape[:-1])
        stop = start + (length - 1) * (columns + 1) + 1
        return self._make(ir.slice(flat.node, (*whole, (start, stop, columns + 1))))

    def diag(self, diagonal: int = 0) -> Tensor:
        """The square matrix with this vector on its ``diagonal``-th diagonal; of a matrix that diagonal."""
        if self.ndim == 2:
            return self.diagonal(diagonal)
        if self.ndim != 1:
            raise ValueError(f"diag needs one or two dimensions, got shape {self.shape}")
        return self.diag_embed(diagonal)

    def unfold(self, dim: int, size: int, step: int) -> Tensor:
        """All windows of ``size`` at every ``step``-th position of ``dim``; the window is a new last dimension."""
        axis = self._axis(dim)
        length = int(self.shape[axis])
        if not 0 <= size <= length or step < 1:
            raise ValueError(f"unfold needs 0 <= size <= {length} and step >= 1, got size={size}, step={step}")
        windows = self._make(ir.window(self.node, axis, size, step, 1, 0, 0, 0))
        order = [i for i in range(windows.ndim) if i != axis + 1]
        return windows.permute(*order, axis + 1)

    # ------------------------------------------------------------------------------------------- joining

    def cat(self, *others: Tensor, dim: int = 0) -> Tensor:
        """Tensors joined along an existing dimension; ``Tensor.cat(a, b, dim=1)`` is the same as ``a.cat(b, dim=1)``.

        All other sizes must be equal; dtypes are promoted.
        """
        tensors = _listed(self, others)
        first = tensors[0]
        axis = first._axis(dim)
        shape = first.shape[:axis] + first.shape[axis + 1:]
        for tensor in tensors[1:]:
            if tensor.ndim != first.ndim or tensor.shape[:axis] + tensor.shape[axis + 1:] != shape:
                raise ValueError(f"cannot join {' and '.join(str(t.shape) for t in tensors)} along dimension {dim}: "
                                 "all other sizes must be equal")
        if len(tensors) == 1:
            return first
        dtype = ir.promote(*(tensor.dtype for tensor in tensors))
        nodes = [tensor.cast(dtype).node for tensor in tensors]
        return first._make(ir.concat(nodes, axis), *tensors[1:])

    def stack(self, *others: Tensor, dim: int = 0) -> Tensor:
        """Tensors of one shape joined along a new dimension."""
        tensors = _listed(self, others)
        first = tensors[0]
        axis = first._axis(dim, extra=1)
        if any(tensor.shape != first.shape for tensor in tensors):
            raise ValueError(f"stack needs equal shapes, got {' and '.join(str(t.shape) for t in tensors)}")
        lifted = [tensor.unsqueeze(axis) for tensor in tensors]
        return lifted[0].cat(*lifted[1:], dim=axis)

    def repeat(self, repeats: Any, *rest: int) -> Tensor:
        """The whole tensor repeated along each dimension; further repeats in front add dimensions."""
        counts = shape_argument(repeats, rest)
        if len(counts) < self.ndim:
            raise ValueError(f"repeat needs one count per dimension of {self.shape}, got {counts}")
        base: Shape = (1,) * (len(counts) - self.ndim) + self.shape
        spread = tuple(size for pair in zip((1,) * len(base), base, strict=True) for size in pair)
        repeated = tuple(size for pair in zip(counts, base, strict=True) for size in pair)
        return self.reshape(spread).expand(repeated).reshape(tuple(c * s for c, s in zip(counts, base, strict=True)))

    def repeat_interleave(self, repeats: int, dim: int | None = None) -> Tensor:
        """Each element repeated along ``dim`` (of the flattened tensor where none is named)."""
        if dim is None:
            return self.flatten().repeat_interleave(repeats, 0)
        axis = self._axis(dim)
        before, size, after = self.shape[:axis], self.shape[axis], self.shape[axis + 1:]
        spread = self.reshape(*before, size, 1, *after).expand(*before, size, repeats, *after)
        return spread.reshape(*before, size * repeats, *after)


def _with_inferred(shape: Shape, sizes: Shape, position: int) -> Shape:
    """``sizes`` with the one at ``position`` chosen so that the number of elements stays."""
    known = ir.product(size for i, size in enumerate(sizes) if i != position)
    total = ir.product(shape)
    if known == 0 or (isinstance(known, int) and isinstance(total, int) and total % known):
        raise ValueError(f"cannot reshape {shape} to {sizes}: no size in place of -1 gives {total} elements")
    return (*sizes[:position], total // known, *sizes[position + 1:])


def _listed(first: Any, others: tuple[Any, ...]) -> list[Any]:
    """The tensors of ``cat(a, b)``, ``a.cat(b)``, ``a.cat([b, c])`` and ``Tensor.cat([a, b])``."""
    given = [first, *others]
    return [tensor for item in given for tensor in (item if isinstance(item, (list, tuple)) else [item])]
