"""Arithmetic, comparisons and bits, element by element, with broadcasting and promotion."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ir
from ir import Node, dtypes
from tinygrad_like.tensor.base import Scalar, TensorBase, cast_node, plain_scalar

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

NodeFunction = Callable[..., Node]


class ArithmeticMixin(TensorBase):
    """The arithmetic, comparison and bit operators. Python numbers are weak: they do not widen a tensor's dtype."""

    __slots__ = ()

    def _binary(self, operation: NodeFunction, other: Any, reverse: bool = False) -> Tensor:
        first, second, partner = self._operands(other, reverse)
        return self._make(operation(first, second), partner)

    def _logical(self, logical: NodeFunction, numeric: NodeFunction, other: Any, reverse: bool) -> Tensor:
        """An operation that means another one on bool."""
        first, second, partner = self._operands(other, reverse)
        return self._make((logical if first.dtype.is_bool else numeric)(first, second), partner)

    # ------------------------------------------------------------------------------------------- arithmetic

    def add(self, x: Any, reverse: bool = False) -> Tensor:
        """``self + x``; of bools the logical or."""
        return self._logical(ir.bit_or, ir.add, x, reverse)

    def sub(self, x: Any, reverse: bool = False) -> Tensor:
        """``self - x``."""
        first, second, partner = self._operands(x, reverse)
        if first.dtype.is_bool:
            raise TypeError("bool tensors cannot be subtracted; use ^ or .logical_not(), or cast to int first")
        return self._make(ir.sub(first, second), partner)

    def mul(self, x: Any, reverse: bool = False) -> Tensor:
        """``self * x``; of bools the logical and."""
        return self._logical(ir.bit_and, ir.mul, x, reverse)

    def div(self, x: Any, reverse: bool = False, rounding_mode: str | None = None) -> Tensor:
        """``self / x``: integers divide to float32. rounding_mode "floor" is ``//``; "trunc" rounds toward zero.

        An integer divided by the integer 0 with rounding gives 0.
        """
        first, second, partner = self._operands(x, reverse)
        if rounding_mode not in (None, "floor", "trunc"):
            raise ValueError(f"rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}")
        if rounding_mode is not None and first.dtype.is_integer:
            return self._make((ir.floordiv if rounding_mode == "floor" else ir.truncdiv)(first, second), partner)
        if not first.dtype.is_float:
            first, second = cast_node(first, dtypes.default_float), cast_node(second, dtypes.default_float)
        quotient = ir.div(first, second)
        if rounding_mode is not None:
            quotient = (ir.floor if rounding_mode == "floor" else ir.trunc)(quotient)
        return self._make(quotient, partner)

    def mod(self, x: Any, reverse: bool = False) -> Tensor:
        """``self % x`` with the sign of the divisor, as in Python."""
        first, second, partner = self._operands(x, reverse)
        if first.dtype.is_integer:
            return self._make(ir.mod(first, second), partner)
        return self._make(_remainder(ir.floor, first, second), partner)

    def fmod(self, x: Any) -> Tensor:
        """The remainder with the sign of the dividend, as in C."""
        first, second, partner = self._operands(x)
        if first.dtype.is_integer:
            return self._make(ir.sub(first, ir.mul(ir.truncdiv(first, second), second)), partner)
        return self._make(_remainder(ir.trunc, first, second), partner)

    def pow(self, x: Any, reverse: bool = False) -> Tensor:
        """``self ** x``. Small whole exponents become products; an integer to a negative power is refused."""
        if not reverse and not isinstance(x, TensorBase):
            return self._constant_power(plain_scalar(x))
        first, second, partner = self._operands(x, reverse)
        if first.dtype.is_bool:
            first, second = cast_node(first, dtypes.default_int), cast_node(second, dtypes.default_int)
        return self._make((ir.pow if first.dtype.is_float else _integer_power)(first, second), partner)

    def _constant_power(self, exponent: Scalar) -> Tensor:
        whole = isinstance(exponent, int)
        if not self.dtype.is_float and whole and exponent < 0:
            raise ValueError(f"an integer tensor cannot be raised to the power {exponent}; use .float() first")
        first, second, _ = self._operands(exponent)
        if exponent in (0.5, -0.5):
            return self._make((ir.sqrt if exponent == 0.5 else ir.rsqrt)(first))
        if exponent == -1:
            return self._make(ir.reciprocal(first))
        if exponent == 0:
            return self._make(ir.constant(1, first.dtype, first.shape))
        if float(exponent).is_integer() and 1 <= exponent <= (4 if first.dtype.is_float else math.inf):
            return self._make(_static_power(first, int(exponent)))
        return self._make(ir.pow(first, second))

    def neg(self) -> Tensor:
        """``-self``; of bool the logical not."""
        return self._make(ir.bit_not(self.node) if self.dtype.is_bool else ir.neg(self.node))

    # ------------------------------------------------------------------------------------------- comparisons

    def eq(self, x: Any) -> Tensor:
        """``self == x`` element by element, as bool."""
        return self._binary(ir.equal, x)

    def ne(self, x: Any) -> Tensor:
        """``self != x``."""
        return self._binary(ir.not_equal, x)

    def lt(self, x: Any) -> Tensor:
        """``self < x``."""
        return self._binary(ir.less, x)

    def le(self, x: Any) -> Tensor:
        """``self <= x``."""
        return self._binary(ir.less_equal, x)

    def gt(self, x: Any) -> Tensor:
        """``self > x``."""
        return self._binary(ir.less, x, reverse=True)

    def ge(self, x: Any) -> Tensor:
        """``self >= x``."""
        return self._binary(ir.less_equal, x, reverse=True)

    def maximum(self, x: Any) -> Tensor:
        """The larger of each pair; NaN wins. Equal operands share the gradient."""
        return self._logical(ir.bit_or, ir.maximum, x, False)

    def minimum(self, x: Any) -> Tensor:
        """The smaller of each pair; NaN wins. Equal operands share the gradient."""
        return self._logical(ir.bit_and, ir.minimum, x, False)

    # ------------------------------------------------------------------------------------------- bits

    def _bits(self, operation: NodeFunction, x: Any, reverse: bool, sign: str) -> Tensor:
        first, second, partner = self._operands(x, reverse)
        if first.dtype.is_float:
            raise TypeError(f"{sign} needs integer or bool operands, got {self.dtype} and "
                            f"{partner.dtype if isinstance(x, TensorBase) else type(x).__name__}; cast first")
        return self._make(operation(first, second), partner)

    def bitwise_and(self, x: Any, reverse: bool = False) -> Tensor:
        """``self & x`` of integers or bools."""
        return self._bits(ir.bit_and, x, reverse, "&")

    def bitwise_or(self, x: Any, reverse: bool = False) -> Tensor:
        """``self | x`` of integers or bools."""
        return self._bits(ir.bit_or, x, reverse, "|")

    def bitwise_xor(self, x: Any, reverse: bool = False) -> Tensor:
        """``self ^ x`` of integers or bools."""
        return self._bits(ir.bit_xor, x, reverse, "^")

    def bitwise_not(self) -> Tensor:
        """``~self`` of integers or bools."""
        if self.dtype.is_float:
            raise TypeError(f"~ needs an integer or bool tensor, got {self.dtype}; cast first")
        return self._make(ir.bit_not(self.node))

    def lshift(self, x: Any, reverse: bool = False) -> Tensor:
        """``self << x`` of integers."""
        return self._bits(ir.shift_left, x, reverse, "<<")

    def rshift(self, x: Any, reverse: bool = False) -> Tensor:
        """``self >> x`` of integers (arithmetic where they are signed)."""
        return self._bits(ir.shift_right, x, reverse, ">>")

    def logical_not(self) -> Tensor:
        """Whether each element is zero."""
        return self._make(ir.bit_not(cast_node(self.node, dtypes.bool)))

    # ------------------------------------------------------------------------------------------- operators

    def __neg__(self) -> Tensor:
        return self.neg()

    def __invert__(self) -> Tensor:
        return self.bitwise_not()

    def __abs__(self) -> Tensor:
        return self.abs()

    def __add__(self, x: Any) -> Tensor:
        return self.add(x)

    def __radd__(self, x: Any) -> Tensor:
        return self.add(x, True)

    def __sub__(self, x: Any) -> Tensor:
        return self.sub(x)

    def __rsub__(self, x: Any) -> Tensor:
        return self.sub(x, True)

    def __mul__(self, x: Any) -> Tensor:
        return self.mul(x)

    def __rmul__(self, x: Any) -> Tensor:
        return self.mul(x, True)

    def __truediv__(self, x: Any) -> Tensor:
        return self.div(x)

    def __rtruediv__(self, x: Any) -> Tensor:
        return self.div(x, True)

    def __floordiv__(self, x: Any) -> Tensor:
        return self.div(x, rounding_mode="floor")

    def __rfloordiv__(self, x: Any) -> Tensor:
        return self.div(x, True, rounding_mode="floor")

    def __mod__(self, x: Any) -> Tensor:
        return self.mod(x)

    def __rmod__(self, x: Any) -> Tensor:
        return self.mod(x, True)

    def __pow__(self, x: Any) -> Tensor:
        return self.pow(x)

    def __rpow__(self, x: Any) -> Tensor:
        return self.pow(x, True)

    def __and__(self, x: Any) -> Tensor:
        return self.bitwise_and(x)

    def __rand__(self, x: Any) -> Tensor:
        return self.bitwise_and(x, True)

    def __or__(self, x: Any) -> Tensor:
        return self.bitwise_or(x)

    def __ror__(self, x: Any) -> Tensor:
        return self.bitwise_or(x, True)

    def __xor__(self, x: Any) -> Tensor:
        return self.bitwise_xor(x)

    def __rxor__(self, x: Any) -> Tensor:
        return self.bitwise_xor(x, True)

    def __lshift__(self, x: Any) -> Tensor:
        return self.lshift(x)

    def __rlshift__(self, x: Any) -> Tensor:
        return self.lshift(x, True)

    def __rshift__(self, x: Any) -> Tensor:
        return self.rshift(x)

    def __rrshift__(self, x: Any) -> Tensor:
        return self.rshift(x, True)

    def __lt__(self, x: Any) -> Tensor:
        return self.lt(x)

    def __le__(self, x: Any) -> Tensor:
        return self.le(x)

    def __gt__(self, x: Any) -> Tensor:
        return self.gt(x)

    def __ge__(self, x: Any) -> Tensor:
        return self.ge(x)

    def __eq__(self, x: Any) -> Tensor:
        return self.eq(x)

    def __ne__(self, x: Any) -> Tensor:
        return self.ne(x)

    def __hash__(self) -> int:
        return id(self)


def _remainder(rounding: NodeFunction, first: Node, second: Node) -> Node:
    """``first - rounding(first / second) * second`` for floats."""
    return ir.sub(first, ir.mul(rounding(ir.div(first, second)), second))


def _static_power(x: Node, exponent: int) -> Node:
    """A product of ``exponent`` >= 1 factors, by squaring."""
    result: Node | None = None
    while True:
        if exponent & 1:
            result = x if result is None else ir.mul(result, x)
        exponent >>= 1
        if not exponent:
            return result
        x = ir.mul(x, x)


def _integer_power(x: Node, exponent: Node) -> Node:
    """``x ** exponent`` of integers by squaring, one step per bit; wraps as products do. 0 or less gives 1."""
    one = ir.constant(1, x.dtype, x.shape)
    exponent = ir.maximum(exponent, ir.constant(0, exponent.dtype, exponent.shape))
    result = one
    for bit in range(exponent.dtype.bits - (exponent.dtype.kind == "int")):
        chosen = ir.bit_and(exponent, ir.constant(1 << bit, exponent.dtype, exponent.shape))
        result = ir.mul(result, ir.where(cast_node(chosen, dtypes.bool), x, one))
        x = ir.mul(x, x)
    return result
