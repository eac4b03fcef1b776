"""Mathematical functions and selections, element by element. Integers are converted to float32 first."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import ir
from ir import dtypes
from ir.dtype import dtype_of_value, promote
from tinygrad_like.tensor.arithmetic import ArithmeticMixin, NodeFunction
from tinygrad_like.tensor.base import TensorBase, broadcast_node, broadcast_shape, cast_node, plain_scalar

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor


def _in_floats(function: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """The method computes on floats of 32 bits or more: a half-precision result is rounded once, at the end."""

    @wraps(function)
    def method(self: Any) -> Tensor:
        x = self._as_float()
        return function(x) if x.dtype.itemsize >= 4 else function(x.cast(dtypes.float32)).cast(x.dtype)

    return method


class FunctionsMixin(ArithmeticMixin):
    """Functions of one element, selections, and tests for special values. Integers are converted to float32 first."""

    __slots__ = ()

    def _float_unary(self, operation: NodeFunction) -> Tensor:
        x = self._as_float()
        return x._make(operation(x.node))

    def _rounding(self, operation: NodeFunction) -> Tensor:
        """Rounding leaves integers as they are."""
        return self._make(operation(self.node)) if self.dtype.is_float else self

    # ------------------------------------------------------------------------------------------- powers, logarithms

    def square(self) -> Tensor:
        """``self * self``."""
        return self.mul(self)

    def sqrt(self) -> Tensor:
        """The square root; NaN below 0."""
        return self._float_unary(ir.sqrt)

    def rsqrt(self) -> Tensor:
        """1 / sqrt."""
        return self._float_unary(ir.rsqrt)

    def reciprocal(self) -> Tensor:
        """1 / self."""
        return self._float_unary(ir.reciprocal)

    def exp(self) -> Tensor:
        """e to the power of each element."""
        return self._float_unary(ir.exp)

    def exp2(self) -> Tensor:
        """2 to the power of each element."""
        return self._float_unary(ir.exp2)

    @_in_floats
    def expm1(self) -> Tensor:
        """exp(x) - 1, as precise near 0 (where it is 2 sinh(x/2) exp(x/2)) as elsewhere."""
        small = self.abs() < 0.5
        half = small.where(self, 0) * 0.5
        return small.where(half.sinh() * half.exp() * 2, self.exp() - 1)

    def log(self) -> Tensor:
        """The natural logarithm; -inf at 0, NaN below."""
        return self._float_unary(ir.log)

    def log2(self) -> Tensor:
        """The logarithm to base 2."""
        return self._float_unary(ir.log2)

    def log10(self) -> Tensor:
        """The logarithm to base 10."""
        return self.log2() * math.log10(2)

    @_in_floats
    def log1p(self) -> Tensor:
        """log(1 + x), precise near 0: what rounding 1 + x loses is added back to first order."""
        u = self + 1
        lost = ((u - 1) - self).detach()
        end = (u == 0) | (u == math.inf)
        return u.log() - end.where(0, lost) / end.where(1, u)

    def logaddexp(self, other: Any) -> Tensor:
        """log(exp(self) + exp(other)) without overflow."""
        first, second, partner = self._as_float()._operands(other)
        a, b = self._make(first), self._make(second, partner)
        larger = a.maximum(b).detach()
        safe = (larger.abs() == math.inf).where(0, larger)
        return ((a - safe).exp() + (b - safe).exp()).log() + safe

    # ------------------------------------------------------------------------------------------- trigonometry

    def sin(self) -> Tensor:
        """The sine of radians."""
        return self._float_unary(ir.sin)

    def cos(self) -> Tensor:
        """The cosine of radians."""
        return self._float_unary(ir.cos)

    def tan(self) -> Tensor:
        """The tangent of radians."""
        return self._float_unary(ir.tan)

    @_in_floats
    def asin(self) -> Tensor:
        """The inverse sine in [-pi/2, pi/2]: atan(x / sqrt((1 - x)(1 + x))); NaN outside of [-1, 1]."""
        return (self / ((1 - self) * (1 + self)).sqrt()).atan()

    @_in_floats
    def acos(self) -> Tensor:
        """The inverse cosine in [0, pi]: 2 atan(sqrt((1 - x) / (1 + x))); NaN outside of [-1, 1]."""
        return ((1 - self) / (1 + self)).sqrt().atan() * 2

    @_in_floats
    def atan(self) -> Tensor:
        """The inverse tangent in [-pi/2, pi/2].

        Above 1 it is pi/2 - atan(1/x); atan(x) = 2 atan(x / (1 + sqrt(1 + x^2))), applied twice, leaves at most
        tan(pi/16), where eleven terms of the series are exact to 1e-17.
        """
        steep = self.abs() > 1
        x = steep.where(1 / steep.where(self, 1), self)
        for _ in range(2):
            x = x / (1 + (1 + x * x).sqrt())
        square = x * x
        series = square * 0 + 1 / 21
        for odd in range(19, 0, -2):
            series = 1 / odd - square * series
        angle = x * series * 4
        return steep.where(self.sign() * (math.pi / 2) - angle, angle)

    @_in_floats
    def sinh(self) -> Tensor:
        """The hyperbolic sine: half of exp(x) - exp(-x); near 0, where that cancels, the first terms of its series."""
        small = self.abs() < 0.5
        x = small.where(self, 0)
        square = x * x
        series = x * (1 + square / 6 * (1 + square / 20 * (1 + square / 42 * (1 + square / 72 * (1 + square / 110)))))
        return small.where(series, _half_exp(self) - _half_exp(-self))

    @_in_floats
    def cosh(self) -> Tensor:
        """The hyperbolic cosine: half of exp(x) + exp(-x)."""
        return _half_exp(self) + _half_exp(-self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
        return self._float_unary(ir.tanh)

    @_in_floats
    def asinh(self) -> Tensor:
        """The inverse hyperbolic sine: that of |x|, log1p(|x| + x^2 / (1 + sqrt(x^2 + 1))), with the sign of x."""
        size = self.abs()
        huge, tiny = size > 1e15, size < 1e-4  # beyond, x^2 might overflow; near 0 two terms of the series are exact
        x = (huge | tiny).where(1, size)
        usual = (x + x * x / (1 + (x * x + 1).sqrt())).log1p()
        outer = huge.where(huge.where(size, 1).log() + math.log(2), usual) * self.sign()
        return tiny.where(self - self * self * self / 6, outer)

    @_in_floats
    def acosh(self) -> Tensor:
        """The inverse hyperbolic cosine: 2 log(sqrt((x + 1) / 2) + sqrt((x - 1) / 2)); NaN below 1."""
        return (((self + 1) * 0.5).sqrt() + ((self - 1) * 0.5).sqrt()).log() * 2

    @_in_floats
    def atanh(self) -> Tensor:
        """The inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond."""
        return (2 * self / (1 - self)).log1p() * 0.5

    def erf(self) -> Tensor:
        """The error function."""
        return self._float_unary(ir.erf)

    # ------------------------------------------------------------------------------------------- rounding, signs

    def floor(self) -> Tensor:
        """The largest whole number not above."""
        return self._rounding(ir.floor)

    def ceil(self) -> Tensor:
        """The smallest whole number not below."""
        return self._rounding(ir.ceil)

    def trunc(self) -> Tensor:
        """Without the fraction."""
        return self._rounding(ir.trunc)

    def round(self) -> Tensor:
        """The nearest whole number, halves to even."""
        return self._rounding(ir.round)

    def abs(self) -> Tensor:
        """The absolute value."""
        return self._make(ir.abs(self.node)) if self.dtype.is_signed else self

    def sign(self) -> Tensor:
        """-1, 0 or 1; NaN stays NaN (as in NumPy)."""
        if self.dtype.is_bool:
            return self
        signed = (self < 0).where(-1, (self > 0).where(1, 0)).cast(self.dtype)
        return self.isnan().where(self, signed) if self.dtype.is_float else signed

    def copysign(self, other: Any) -> Tensor:
        """The size of ``self`` with the sign of ``other``, where -0.0 is negative."""
        first, second, partner = self._as_float()._operands(other)
        magnitude, sign = self._make(first).abs(), self._make(second, partner)
        negative = (sign < 0) | ((sign == 0) & (sign.reciprocal() < 0))
        return negative.where(-magnitude, magnitude)

    # ------------------------------------------------------------------------------------------- special values

    def isnan(self) -> Tensor:
        """Whether each element is NaN."""
        return self.ne(self)

    def isinf(self, detect_positive: bool = True, detect_negative: bool = True) -> Tensor:
        """Whether each element is infinite (of the signs asked for)."""
        if not self.dtype.is_float or not (detect_positive or detect_negative):
            return self._make(ir.constant(False, dtypes.bool, self.shape))
        if detect_positive and detect_negative:
            return self.abs() == math.inf
        return self == (math.inf if detect_positive else -math.inf)

    def isfinite(self) -> Tensor:
        """Whether each element is neither infinite nor NaN."""
        if not self.dtype.is_float:
            return self._make(ir.constant(True, dtypes.bool, self.shape))
        return self.abs() < math.inf

    def isclose(self, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
        """Whether ``|self - other| <= atol + rtol |other|``; equal infinities are close, NaN with ``equal_nan``."""
        other = self._lift(other)
        close = self.isfinite() & other.isfinite() & ((self - other).abs() <= other.abs() * rtol + atol)
        close = close | (self == other)
        return close | (self.isnan() & other.isnan()) if equal_nan else close

    # ------------------------------------------------------------------------------------------- selection

    def where(self, x: Any, y: Any) -> Tensor:
        """``x`` where this condition holds, else ``y``; both may be numbers.

            >>> (Tensor([1, -2, 3]) > 0).where(Tensor([1, 2, 3]), 0).tolist()
            [1, 0, 3]
        """
        condition = cast_node(self.node, dtypes.bool)
        x_tensor, y_tensor = _branches(self, x, y)
        dtype = promote(x_tensor.dtype, y_tensor.dtype)
        shape = broadcast_shape(condition.shape, x_tensor.shape, y_tensor.shape)
        branches = [broadcast_node(cast_node(branch.node, dtype), shape) for branch in (x_tensor, y_tensor)]
        return self._make(ir.where(broadcast_node(condition, shape), *branches), x_tensor, y_tensor)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """``value`` where ``mask`` holds, else this tensor."""
        return mask.where(value, self)

    def clamp(self, min_: Any = None, max_: Any = None) -> Tensor:
        """Elements below ``min_`` become ``min_``, those above ``max_`` become ``max_``; NaN stays.

        The gradient passes where the element was kept.
        """
        if min_ is None and max_ is None:
            raise ValueError("clamp needs min_, max_ or both")
        result: Tensor = self
        if min_ is not None:
            result = (result < min_).where(min_, result)
        if max_ is not None:
            result = (result > max_).where(max_, result)
        return result

    def clip(self, min_: Any = None, max_: Any = None) -> Tensor:
        """Another name of ``clamp``."""
        return self.clamp(min_, max_)

    def lerp(self, end: Any, weight: Any) -> Tensor:
        """``self + (end - self) * weight``."""
        return self + (end - self) * weight


def _branches(condition: TensorBase, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """The branches of ``where`` as tensors; a number takes its dtype from the other branch."""
    if not isinstance(x, TensorBase):
        if isinstance(y, TensorBase):
            return y._lift(x), y
        lifted = condition._lift(y, dtype_of_value(plain_scalar(y)))
        return lifted._lift(x), lifted._lift(y, promote(lifted.dtype, lifted._lift(x).dtype))
    return x, x._lift(y)


def _half_exp(x: Tensor) -> Tensor:
    """exp(x) / 2 without overflow as long as the result has none."""
    root = (x * 0.5).exp()
    return root * 0.5 * root
