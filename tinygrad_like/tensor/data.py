"""Values in and out of tensors, devices, and dtypes by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import ir
from ir import Node, dtypes
from ir.dtype import DType, DTypeLike, dtype_of_numpy, dtype_of_value, to_dtype
from runtime import Buffer, buffer_node
from runtime.device import get_device
from tinygrad_like.device import Device
from tinygrad_like.tensor import live, realization
from tinygrad_like.tensor.base import Scalar, TensorBase

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

_UNSIGNED = {1: dtypes.uint8, 2: dtypes.uint16, 4: dtypes.uint32, 8: dtypes.uint64}

class DataMixin(TensorBase):
    """Reading a value runs the program that computes it; it keeps the tensor's history for ``backward``."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- reading

    def realize(self, *others: Tensor) -> Tensor:
        """Computes this tensor and ``others``, in one program, and returns it.

        Afterwards each is a value in memory without a history: ``backward`` stops there. Inside a function that ``jit``
        traces nothing happens, for the whole function becomes one program.
        """
        realization.realize([self, *others])
        return self

    def numpy(self) -> np.ndarray[Any, Any]:
        """The elements as a NumPy array of their own (bfloat16 as float32)."""
        if live.current_trace() is None and 0 in self.shape:
            return np.empty(self.shape, self.dtype.held)
        return realization.value(self).numpy()

    def item(self) -> Scalar:
        """The only element as a Python number."""
        if ir.product(self.shape) != 1:
            raise ValueError(f"item() needs exactly one element, this tensor has shape {self.shape}")
        return self.numpy().reshape(()).item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; of a tensor without dimensions the number."""
        return self.numpy().tolist()

    def data(self) -> memoryview:
        """The elements as a memoryview."""
        return self.numpy().data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        raise TypeError("whether a tensor is true is not defined: compare .item() instead, or use .any() or .all()")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a tensor without dimensions has no length")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("a tensor without dimensions cannot be iterated over")
        return (self[number] for number in range(len(self)))  # type: ignore[index]

    # ------------------------------------------------------------------------------------------- copies, devices

    @property
    def device(self) -> str:
        """The name of the device on which the value lies or will be computed."""
        return self._device or Device.DEFAULT

    def contiguous(self) -> Tensor:
        """The same value, in memory of its own when it is computed."""
        return self if live.is_buffer(self.node) else self._make(ir.contiguous(self.node))

    def contiguous_backward(self) -> Tensor:
        """The tensor itself: which gradients are stored is codegen's decision."""
        return self

    def clone(self, device: str | None = None) -> Tensor:
        """A copy with memory of its own."""
        copy = self.to(device) if device is not None else self._make(_copied(self.node))
        copy = copy if copy is not self else self._make(_copied(self.node))
        copy.is_param, copy.requires_grad = self.is_param, self.requires_grad
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """``copy.deepcopy(model)`` gives the copy memory of its own; gradients stay behind."""
        return self.clone().realize()

    def to(self, device: str | None) -> Tensor:
        """The value on another device: computed here, then copied there."""
        name = Device.canonicalize(device)
        if name == self._device:
            return self
        if self._device is None:
            return self.from_node(self.node, name, self.symbols)
        moved = Buffer(get_device(name), self.dtype, self.shape)
        moved.write(realization.value(self).bits())
        return self.from_node(buffer_node(moved), name)

    def to_(self, device: str | None) -> Tensor:
        """Moves this tensor to another device."""
        moved = self.to(device)
        self.node, self._device, self._value = moved.node, moved._device, None
        return self

    # ------------------------------------------------------------------------------------------- dtypes

    def bitcast(self, dtype: DTypeLike) -> Tensor:
        """The same bits read as another dtype; the last dimension grows or shrinks where its size differs.

            >>> Tensor([1, 256]).bitcast("uint8").tolist()
            [1, 0, 0, 0, 0, 1, 0, 0]
        """
        if self.dtype.is_bool:  # a bit in a byte of its own
            return self.cast(dtypes.uint8).bitcast(dtype)
        target, size = to_dtype(dtype), self.dtype.itemsize
        if target.itemsize == size:
            return self if target is self.dtype else self._make(ir.bitcast(self.node, target))
        if not self.ndim or (target.itemsize > size and int(self.shape[-1]) * size % target.itemsize):
            raise TypeError(f"bitcast of {self.dtype}{list(self.shape)} to {target}: the bytes of the last dimension "
                            f"are no multiple of {target.itemsize}")
        return (self._narrower if target.itemsize < size else self._wider)(target)

    def _narrower(self, target: DType) -> Tensor:
        """Each element as several of a smaller dtype, the lowest bits first."""
        count = self.dtype.itemsize // target.itemsize
        wide = self.bitcast(_UNSIGNED[self.dtype.itemsize]).unsqueeze(-1)
        places = self.from_node(ir.iota(count)) * target.bits
        parts = (wide >> places.cast(wide.dtype)).cast(_UNSIGNED[target.itemsize])
        return parts.bitcast(target).reshape(*self.shape[:-1], self.shape[-1] * count)

    def _wider(self, target: DType) -> Tensor:
        """Several elements as one of a larger dtype, the first in the lowest bits."""
        count = target.itemsize // self.dtype.itemsize
        wide = _UNSIGNED[target.itemsize]
        parts = self.bitcast(_UNSIGNED[self.dtype.itemsize]).reshape(*self.shape[:-1], -1, count).cast(wide)
        places = (self.from_node(ir.iota(count)) * self.dtype.bits).cast(wide)
        return (parts << places).sum(-1, dtype=wide).bitcast(target)

    def float(self) -> Tensor:
        """As float32."""
        return self.cast(dtypes.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.cast(dtypes.float64)

    def half(self) -> Tensor:
        """As float16."""
        return self.cast(dtypes.float16)

    def bfloat16(self) -> Tensor:
        """As bfloat16."""
        return self.cast(dtypes.bfloat16)

    def int(self) -> Tensor:
        """As int32."""
        return self.cast(dtypes.int32)

    def long(self) -> Tensor:
        """As int64."""
        return self.cast(dtypes.int64)

    def short(self) -> Tensor:
        """As int16."""
        return self.cast(dtypes.int16)

    def bool(self) -> Tensor:
        """Whether each element is not 0."""
        return self.cast(dtypes.bool)


def _copied(node: Node) -> Node:
    return ir.contiguous(node) if node.op.name != "contiguous" else ir.contiguous(node.operands[0])


# ----------------------------------------------------------------------------------------------- writing


def node_of(data: Any, dtype: DType | None, device: str) -> tuple[Node, str | None]:
    """The node of what ``Tensor(data)`` was given, and its device: None for a number, which takes no memory."""
    if isinstance(data, (bool, int, float)):
        return ir.constant(data, dtype or dtype_of_value(data)), None
    if isinstance(data, np.generic):
        return ir.constant(data.item(), dtype or dtype_of_numpy(data.dtype)), None
    array = _array_of(data, dtype)
    return _stored(array, dtype or dtype_of_numpy(array.dtype), device), device


def _stored(array: np.ndarray[Any, Any], dtype: DType, device: str) -> Node:
    buffer = Buffer(get_device(device), dtype, array.shape)
    if array.size:
        buffer.write(np.asarray(array).astype(dtype.held, copy=False))
    return buffer_node(buffer)


def _array_of(data: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """A host array from what users pass; lists of numbers become bool, int32 (int64 if need be) or float32."""
    if isinstance(data, np.ndarray):
        return data
    if isinstance(data, (bytes, bytearray, memoryview)):
        return np.frombuffer(data, np.uint8)
    if isinstance(data, Path):
        return np.fromfile(data, np.uint8)
    if isinstance(data, (list, tuple)):
        return _array_of_list(data, dtype)
    if hasattr(data, "__array__"):
        return np.asarray(data)
    raise TypeError(f"cannot make a Tensor of {type(data).__name__} {data!r}: expected a number, nested lists, "
                    "a NumPy array, bytes or a path")


def _array_of_list(data: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    plain = _without_tensors(data)
    try:
        array = np.array(plain)
    except ValueError as error:
        raise ValueError("cannot make a Tensor of nested lists of unequal lengths") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"cannot make a Tensor of a list with elements of type {array.dtype}: expected numbers")
    if array.size == 0:
        return array.astype(dtypes.default_float.numpy)
    if dtype is not None:
        return array
    if array.dtype.kind == "f":
        return array.astype(dtypes.default_float.numpy)
    narrow = dtypes.default_int
    fits = array.dtype.kind == "i" and narrow.minimum <= array.min() and array.max() <= narrow.maximum
    return array.astype(narrow.numpy) if fits else array


def _without_tensors(data: Any) -> Any:
    """Nested lists with the tensors in them read."""
    if isinstance(data, TensorBase):
        return data.tolist()
    return [_without_tensors(item) for item in data] if isinstance(data, (list, tuple)) else data
