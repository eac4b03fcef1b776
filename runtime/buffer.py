"""Buffers: typed, shaped memory on a device, the leaves and the results of graphs.

    >>> buffer = Buffer(get_device("REFERENCE"), dtypes.float32, (2, 3))
    >>> buffer.write(np.ones((2, 3), np.float32))
    >>> realize([ir.mul(buffer_node(buffer), buffer_node(buffer))])[0].numpy()
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Any
from weakref import ref

import numpy as np

import ir
from ir.dtype import DType, bfloat16_to_float32, dtype_of_numpy, dtypes, float32_to_bfloat16
from ir.node import Location, Node, Shape
from ir.symbolic import Dimension
from runtime.counters import counters
from runtime.device import Allocation, Array, Device
from runtime.errors import BufferUseError


def largest(shape: Shape) -> tuple[int, ...]:
    """``shape`` with every bounded dimension at its largest: what memory is laid out by."""
    return tuple(ir.upper_bound(size) for size in shape)


@lru_cache(maxsize=4096)
def storage_bytes(dtype: DType, shape: Shape) -> int:
    """The bytes of a row-major value of that type, by the largest size of each dimension."""
    return prod(largest(shape)) * dtype.itemsize


_NO_SYMBOLS: Mapping[str, int] = MappingProxyType({})


class Buffer:
    """Row-major memory for ``shape`` elements of ``dtype`` on ``device``; uninitialised until written.

    A bounded dimension takes its largest size; ``symbols`` holds the values at which the contents were computed, and
    ``numpy()`` returns that part. Memory is released with the object, or by ``free()``.
    """

    __slots__ = ("__weakref__", "_allocation", "_node", "device", "dtype", "shape", "symbols")

    def __init__(self, device: Device, dtype: DType, shape: Shape, symbols: Mapping[str, int] | None = None) -> None:
        self._allocation: Allocation | None = None  # __del__ also runs where allocation fails
        self._node: ref[Node] | None = None
        self.device, self.dtype, self.shape = device, dtype, tuple(shape)
        self.symbols = symbols or _NO_SYMBOLS
        self._allocation = device.allocate(storage_bytes(dtype, self.shape))
        counters.allocated(self._allocation.nbytes)

    @property
    def nbytes(self) -> int:
        """The bytes of the elements (an allocation may be rounded up)."""
        return storage_bytes(self.dtype, self.shape)

    @property
    def allocation(self) -> Allocation:
        """The device memory; raises BufferUseError once it was freed."""
        if self._allocation is None:
            raise BufferUseError(f"{self!r} was freed and cannot be used; keep a reference to it instead of freeing it")
        return self._allocation

    @property
    def is_freed(self) -> bool:
        return self._allocation is None

    def free(self) -> None:
        """Releases the memory now; every later use raises. Freeing twice is allowed."""
        allocation = self._allocation
        if allocation is not None:
            self._allocation = None
            counters.released(allocation.nbytes)
            self.device.release(allocation)

    __del__ = free

    def write(self, data: Any) -> Buffer:
        """Copies a host array of this shape and dtype in; strides and byte order may be any. Returns the buffer.

        bfloat16 takes float32 (rounded to nearest even) or its bits as uint16.
        """
        array = np.asarray(data)
        if array.shape != largest(self.shape):
            raise BufferUseError(f"cannot write an array of shape {array.shape} into {self!r}: the shapes must be "
                                 "equal")
        self.device.copy_in(self.allocation, np.ascontiguousarray(self._encoded(array)))
        return self

    def _encoded(self, array: Array) -> Array:
        """``array`` as the bits in memory; the dtype must match but for byte order."""
        native = array.dtype.newbyteorder("=")
        if self.dtype is dtypes.bfloat16:
            if native == np.uint16:
                return array.astype(np.uint16, copy=False)
            if native == np.float32:
                return np.asarray(float32_to_bfloat16(array))
        elif native == self.dtype.numpy:
            return array.astype(native, copy=False)
        raise BufferUseError(f"cannot write an array of dtype {array.dtype} into {self!r}: "
                             f"convert it with .astype({_accepted(self.dtype)!r}) first")

    def bits(self) -> Array:
        """A copy of the whole memory as a host array in its stored form (bfloat16 as uint16)."""
        array = np.empty(largest(self.shape), self.dtype.numpy)
        self.device.copy_out(self.allocation, array)
        return array

    def numpy(self) -> Array:
        """A copy of the contents as a host array; bfloat16 as the float32 of equal value."""
        array = self.bits()
        if any(isinstance(size, Dimension) for size in self.shape):
            array = array[tuple(slice(self._extent(size)) for size in self.shape)].copy()
        return np.asarray(bfloat16_to_float32(array)) if self.dtype is dtypes.bfloat16 else array

    def _extent(self, size: int | Dimension) -> int:
        return size.evaluate(self.symbols) if isinstance(size, Dimension) else size

    def __repr__(self) -> str:
        return f"<Buffer {self.device.name} {self.dtype.name}{list(self.shape)}>"


def buffer_node(buffer: Buffer, location: Location | None = None) -> Node:
    """The graph node that stands for ``buffer``: one and the same as long as it is alive.

    location: where it comes from; by default the user's line.
    """
    node = buffer._node() if buffer._node is not None else None
    if node is None:
        node = ir.buffer(buffer, buffer.dtype, buffer.shape, location)
        buffer._node = ref(node)
    return node


def buffer_of(array: Array, device: Device, dtype: DType | None = None) -> Buffer:
    """A new buffer with the contents of a host array (``dtype``: for bfloat16, which NumPy does not have)."""
    chosen = dtype or dtype_of_numpy(array.dtype)
    return Buffer(device, chosen, array.shape).write(array)


def _accepted(dtype: DType) -> str:
    return "float32" if dtype is dtypes.bfloat16 else str(dtype.numpy)
