"""Tensors from shapes and numbers: constants, ranges, identities, triangles."""

from __future__ import annotations

import ctypes
import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

import ir
from ir import dtypes
from ir.dtype import DType, DTypeLike, dtype_of_value, to_dtype
from tinygrad_like.device import Device
from tinygrad_like.tensor.base import Scalar, TensorBase, broadcast_node, cast_node, plain_scalar, shape_argument

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class CreationMixin(TensorBase):
    """Class methods that make tensors, and ``*_like`` methods that take shape, dtype and device from one."""

    __slots__ = ()

    @classmethod
    def _created(cls, node: ir.Node, device: str | None, requires_grad: bool | None = None) -> Tensor:
        """A tensor that depends on nothing; it stays without a device unless one is asked for.

        One that is to get a gradient must not be one node with an equal tensor.
        """
        node = distinct(node) if requires_grad else node
        tensor = cls.from_node(node, None if device is None else Device.canonicalize(device))
        tensor.requires_grad = requires_grad
        return tensor

    @classmethod
    def full(cls, shape: Any, fill_value: Scalar, dtype: DTypeLike | None = None, device: str | None = None,
             buffer: bool = True, requires_grad: bool | None = None) -> Tensor:
        """``shape`` filled with a number; its dtype is the number's where none is given.

        buffer: whether the tensor is one of its own, with memory, as a parameter or a state needs; False gives a
        constant that takes no memory and is folded into whatever uses it.

            >>> Tensor.full((2, 3), 7).tolist()
            [[7, 7, 7], [7, 7, 7]]
        """
        number = plain_scalar(fill_value)
        chosen = to_dtype(dtype) if dtype is not None else dtype_of_value(number)
        node = ir.constant(number, chosen, shape_argument(shape))
        return cls._created(distinct(node) if buffer else node, device, requires_grad)

    @classmethod
    def const(cls, b: Any, dtype: DTypeLike | None = None) -> Tensor:
        """A number, or a tuple of them as a vector, that takes no memory and is folded into whatever uses it."""
        if not isinstance(b, (tuple, list)):
            return cls.full((), b, dtype=dtype, buffer=False)
        numbers = [plain_scalar(number) for number in b]
        chosen = to_dtype(dtype) if dtype is not None else ir.promote(*map(dtype_of_value, numbers))
        return cls._created(ir.concat([ir.constant(number, chosen, (1,)) for number in numbers], 0), None)

    @classmethod
    def from_blob(cls, ptr: int, shape: Any, dtype: DTypeLike | None = None, **options: Any) -> Tensor:
        """The elements (float32 where no dtype is given) that lie in memory at the address ``ptr``, copied now."""
        chosen, sizes = to_dtype(dtype) if dtype is not None else dtypes.default_float, shape_argument(shape)
        count = math.prod(int(size) for size in sizes) * chosen.itemsize
        data = ctypes.string_at(ptr, count)
        return cls(np.frombuffer(data, np.uint8).copy(), **options).bitcast(chosen).reshape(sizes)

    @classmethod
    def zeros(cls, *shape: Any, **options: Any) -> Tensor:
        """Zeros (float32 where no dtype is given)."""
        return cls.full(shape_argument(*_split(shape)), 0.0, **options)

    @classmethod
    def ones(cls, *shape: Any, **options: Any) -> Tensor:
        """Ones (float32 where no dtype is given)."""
        return cls.full(shape_argument(*_split(shape)), 1.0, **options)

    @classmethod
    def empty(cls, *shape: Any, **options: Any) -> Tensor:
        """Any values: here zeros, so that no run depends on what memory held before."""
        return cls.zeros(*shape, **options)

    def full_like(self, fill_value: Scalar, dtype: DTypeLike | None = None, **options: Any) -> Tensor:
        """This shape, dtype and device, filled with a number."""
        options.setdefault("device", self._device)
        return type(self).full(self.shape, fill_value, dtype=dtype or self.dtype, **options)

    def zeros_like(self, **options: Any) -> Tensor:
        """Zeros of this shape, dtype and device."""
        return self.full_like(0, **options)

    def ones_like(self, **options: Any) -> Tensor:
        """Ones of this shape, dtype and device."""
        return self.full_like(1, **options)

    def empty_like(self, **options: Any) -> Tensor:
        """Any values of this shape, dtype and device (zeros)."""
        return self.full_like(0, **options)

    def const_like(self, value: Scalar, dtype: DTypeLike | None = None) -> Tensor:
        """A constant of this shape (and dtype, where none is given) that takes no memory."""
        return self.full_like(value, dtype=dtype, buffer=False)

    @classmethod
    def arange(cls, start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None,
               device: str | None = None, requires_grad: bool | None = None) -> Tensor:
        """``start, start + step, ...`` up to but without ``stop``; int32 where all three are integers, else float32.

        Integers beyond int32 give int64. Raises OverflowError where ``dtype`` cannot hold the ends.

            >>> Tensor.arange(5, 10, 2).tolist()
            [5, 7, 9]
        """
        if stop is None:
            start, stop = 0, start
        if step == 0:
            raise ValueError("arange needs a step other than 0")
        length = max(0, _ceil_div(stop - start, step))
        chosen = to_dtype(dtype) if dtype is not None else _range_dtype(start, stop, step, length)
        if length == 0:
            return cls._created(ir.constant(0, chosen, (0,)), device, requires_grad)
        last = start + (length - 1) * step
        if not chosen.is_float and not all(chosen.minimum <= end <= chosen.maximum for end in (start, last)):
            raise OverflowError(f"arange({start}, {stop}, {step}) does not fit in {chosen}; give dtype=dtypes.int64")
        return cls._created(_range_node(start, step, length, chosen), device, requires_grad)

    @classmethod
    def linspace(cls, start: float, stop: float, steps: int, dtype: DTypeLike | None = None, **options: Any) -> Tensor:
        """``steps`` numbers evenly spaced from ``start`` to ``stop``, both included."""
        chosen = to_dtype(dtype) if dtype is not None else dtypes.default_float
        if steps < 0:
            raise ValueError(f"linspace needs 0 or more steps, got {steps}")
        if chosen.is_bool:
            raise TypeError("linspace cannot be bool; give a number dtype")
        if steps == 1:
            return cls.full((1,), start, dtype=chosen, buffer=False, **options)
        wide = chosen if chosen.is_float else dtypes.default_float
        spaced = cls.arange(steps, dtype=wide, **options) * ((stop - start) / max(steps - 1, 1)) + start
        return spaced.cast(chosen)

    @classmethod
    def logspace(cls, start: float, stop: float, steps: int, base: float = 10.0, **options: Any) -> Tensor:
        """``base`` to the power of ``steps`` numbers evenly spaced from ``start`` to ``stop``."""
        return base ** cls.linspace(start, stop, steps, **options)

    @classmethod
    def eye(cls, n: int, m: int | None = None, dtype: DTypeLike | None = None, device: str | None = None,
            requires_grad: bool | None = None) -> Tensor:
        """``n`` x ``m`` (``n`` x ``n``) with ones on the diagonal, zeros elsewhere."""
        columns = n if m is None else m
        if n < 0 or columns < 0:
            raise ValueError(f"eye needs sizes of 0 or more, got {n} and {columns}")
        hit = ir.equal(*_row_and_column(n, columns))
        node = cast_node(hit, to_dtype(dtype) if dtype is not None else dtypes.default_float)
        return cls._created(node, device, requires_grad)

    def tril(self, diagonal: int = 0) -> Tensor:
        """The lower triangles of the last two dimensions: elements above the ``diagonal``-th diagonal become 0."""
        return self._triangle(ir.less, diagonal + 1)

    def triu(self, diagonal: int = 0) -> Tensor:
        """The upper triangles of the last two dimensions: elements below the ``diagonal``-th diagonal become 0."""
        return self._triangle(lambda column, row: ir.bit_not(ir.less(column, row)), diagonal)

    @classmethod
    def tril_indices(cls, row: int, col: int, offset: int = 0) -> Tensor:
        """[2, n] (int32): the rows and columns of a ``row`` x ``col`` matrix's lower triangle, row by row."""
        return cls(np.stack(np.tril_indices(row, offset, col)).astype(np.int32))

    @classmethod
    def triu_indices(cls, row: int, col: int, offset: int = 0) -> Tensor:
        """[2, n] (int32): the rows and columns of a ``row`` x ``col`` matrix's upper triangle, row by row."""
        return cls(np.stack(np.triu_indices(row, offset, col)).astype(np.int32))

    def vander(self, n: int | None = None, increasing: bool = False) -> Tensor:
        """[m] -> [m, n] (n = m): the powers of each element, falling from n - 1 to 0 or ``increasing`` from 0."""
        if self.ndim != 1 or (n is not None and n < 0):
            raise ValueError(f"vander needs a vector and 0 or more columns, got shape {self.shape} and n={n}")
        count = int(self.shape[0]) if n is None else n
        powers = [self.const_like(1)]
        for _ in range(count - 1):
            powers.append(powers[-1] * self)
        chosen = powers[:count] if increasing else powers[:count][::-1]
        return chosen[0].stack(*chosen[1:], dim=1) if chosen else type(self).zeros(self.shape[0], 0, dtype=self.dtype)

    def _triangle(self, keep: Any, diagonal: int) -> Tensor:
        """Elements where ``keep(column, row + diagonal)``, else 0."""
        if self.ndim < 2:
            raise ValueError(f"a triangle needs two or more dimensions, got shape {self.shape}")
        row, column = _row_and_column(self.shape[-2], self.shape[-1])
        shifted = ir.add(row, ir.constant(diagonal, row.dtype, row.shape)) if diagonal else row
        mask = broadcast_node(keep(column, shifted), self.shape)
        return self._make(ir.where(mask, self.node, ir.constant(0, self.dtype, self.shape)))

    def meshgrid(self, *others: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
        """Coordinate tensors of the grid over 0-D or 1-D tensors; ``indexing="xy"`` swaps the first two dimensions."""
        if indexing not in ("ij", "xy"):
            raise ValueError(f"indexing must be 'ij' or 'xy', got {indexing!r}")
        tensors = (self, *others)
        if len(tensors) == 1:
            return tensors
        places = list(range(len(tensors)))
        if indexing == "xy":
            places[:2] = [1, 0]
        shape = [0] * len(tensors)
        for place, tensor in zip(places, tensors, strict=True):
            shape[place] = int(tensor.numel())
        result = []
        for place, tensor in zip(places, tensors, strict=True):
            aligned = tuple(size if i == place else 1 for i, size in enumerate(shape))
            result.append(tensor.reshape(aligned).expand(tuple(shape)))
        return tuple(result)


_serial = itertools.count(1)


def distinct(node: ir.Node) -> ir.Node:
    """The value of ``node`` in memory of its own: equal tensors that are made twice are two tensors."""
    with ir.tagged(next(_serial)):
        return ir.contiguous(node)


def _split(shape: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """``zeros()``, ``zeros(2, 3)`` and ``zeros((2, 3))`` as the arguments of ``shape_argument``."""
    return (shape[0], shape[1:]) if shape else ((), ())


def _ceil_div(span: float, step: float) -> int:
    if isinstance(span, int) and isinstance(step, int):
        return -(-span // step)
    return math.ceil(span / step)


def _range_dtype(start: float, stop: float, step: float, length: int) -> DType:
    if any(isinstance(number, float) for number in (start, stop, step)):
        return dtypes.default_float
    ends = (start, start + max(length - 1, 0) * step)
    fits = all(dtypes.default_int.minimum <= end <= dtypes.default_int.maximum for end in ends)
    return dtypes.default_int if fits else dtypes.int64


def _range_node(start: float, step: float, length: int, dtype: DType) -> ir.Node:
    """``start + i * step``; computed in float32 at least, so that a half-precision range is rounded once."""
    work = dtype
    if dtype.is_float and dtype.itemsize < 4:
        work = dtypes.float32
    elif dtype.is_bool:
        work = dtypes.default_int
    node = ir.iota(length, work)
    if step != 1:
        node = ir.mul(node, ir.constant(step, work, (length,)))
    if start != 0:
        node = ir.add(node, ir.constant(start, work, (length,)))
    return cast_node(node, dtype)


def _row_and_column(rows: Any, columns: Any) -> tuple[ir.Node, ir.Node]:
    """The row number and the column number at every place of a matrix."""
    shape = (rows, columns)
    row = broadcast_node(ir.reshape(ir.iota(rows), (rows, 1)), shape)
    return row, broadcast_node(ir.iota(columns), shape)
