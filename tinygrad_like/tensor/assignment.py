"""Writing to tensors: ``assign``, ``+=`` and what ``x[...] = y`` rests on.

A tensor in memory is written in place, as a new version of its buffer: whoever computed from it before keeps the old
values. A tensor that is not in memory yet simply becomes the new expression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ir
from tinygrad_like.tensor import live
from tinygrad_like.tensor.base import TensorBase, common_device, merged_symbols
from tinygrad_like.tensor.subscript import Subscript

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


class AssignmentMixin(TensorBase):
    """In-place operations. Each returns the tensor itself."""

    __slots__ = ()

    def assign(self, x: Any) -> Tensor:
        """Makes ``x``, broadcast to this shape, the value of this tensor; dtypes must be equal (numbers are converted).

        A part ``y[2:4]`` that is assigned to right after it was taken writes to y.

            >>> x = Tensor([1.0, 2.0]).realize()
            >>> doubled = x * 2
            >>> x.assign(Tensor([5.0, 6.0])).tolist(), doubled.tolist()
            ([5.0, 6.0], [2.0, 4.0])
        """
        if x is self:
            return self
        value = x if isinstance(x, TensorBase) else self._value_of(x)
        if value.dtype is not self.dtype:
            raise TypeError(f"cannot assign {value.dtype} to a tensor of {self.dtype}; use .cast(...) first")
        if value.shape != self.shape:
            value = value._broadcast_to(self.shape)
        self._store(value)
        return self

    def replace(self, x: Tensor) -> Tensor:
        """Makes this tensor stand for the value of ``x`` without writing to its memory; shapes must be equal."""
        if x.shape != self.shape:
            raise ValueError(f"cannot replace a tensor of shape {self.shape} by one of shape {x.shape}")
        trace = live.current_trace()
        if trace is not None:
            trace.before_store(self)
        self.node = self.from_result(x.node).node
        self._device, self._value, self.symbols = x._device, None, x.symbols
        return self

    def _value_of(self, x: Any) -> TensorBase:
        """A number, list or array as a tensor of this dtype and device."""
        return type(self)(x, device=self._device, dtype=self.dtype)

    def _in_memory(self) -> bool:
        return live.is_buffer(self.node) or self.node.op is ir.ASSIGN

    def _store(self, value: TensorBase) -> None:
        """``value``, of this shape and dtype, becomes the value of this tensor, in place where that is in memory."""
        trace = live.current_trace()
        if trace is not None:
            trace.before_store(self)
        if self._origin is not None:
            self._store_to_origin(value)
        elif self._in_memory():
            common_device(self._device, value._device)
            self.node = ir.assign(self.node, value.node)
        else:
            self.node = value.node
            self._device = self._device or value._device
        self._value, self.symbols = None, merged_symbols(self.symbols, value.symbols)

    def _store_part(self, value: TensorBase, subscript: Subscript) -> None:
        """``value`` becomes the box of ``subscript`` (flipped already, and without dropped dimensions)."""
        trace = live.current_trace()
        if trace is not None:
            trace.before_store(self)
        if self._in_memory():
            common_device(self._device, value._device)
            self.node = ir.assign(self.node, value.node, subscript.ranges)
        else:
            inside = ir.unslice(ir.constant(True, ir.dtypes.bool, value.shape), self.shape, subscript.ranges)
            self.node = ir.where(inside, ir.unslice(value.node, self.shape, subscript.ranges), self.node)
            self._device = self._device or value._device
        self._value = None
        self.symbols = merged_symbols(merged_symbols(self.symbols, value.symbols), subscript.symbols)

    def _store_to_origin(self, value: TensorBase) -> None:
        """This tensor is a part of another: that one is written, and this becomes the part of the result."""
        assert self._origin is not None
        base, subscript = self._origin
        base._write_box(subscript, value)
        part = base._part(subscript)
        self.node, self._origin = part.node, None

    # ------------------------------------------------------------------------------------------- operators

    def __iadd__(self, x: Any) -> Tensor:
        return self.assign(self.add(x))

    def __isub__(self, x: Any) -> Tensor:
        return self.assign(self.sub(x))

    def __imul__(self, x: Any) -> Tensor:
        return self.assign(self.mul(x))

    def __itruediv__(self, x: Any) -> Tensor:
        return self.assign(self.div(x))

    def __ifloordiv__(self, x: Any) -> Tensor:
        return self.assign(self.div(x, rounding_mode="floor"))

    def __imod__(self, x: Any) -> Tensor:
        return self.assign(self.mod(x))

    def __ipow__(self, x: Any) -> Tensor:
        return self.assign(self.pow(x))

    def __iand__(self, x: Any) -> Tensor:
        return self.assign(self.bitwise_and(x))

    def __ior__(self, x: Any) -> Tensor:
        return self.assign(self.bitwise_or(x))

    def __ixor__(self, x: Any) -> Tensor:
        return self.assign(self.bitwise_xor(x))

    def __ilshift__(self, x: Any) -> Tensor:
        return self.assign(self.lshift(x))

    def __irshift__(self, x: Any) -> Tensor:
        return self.assign(self.rshift(x))

    def __imatmul__(self, x: Any) -> Tensor:
        return self.assign(self.matmul(x))
