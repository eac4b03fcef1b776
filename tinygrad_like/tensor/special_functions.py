"""Mathematical functions beyond the elementary ones, with PyTorch's names: error, gamma and angle functions, signs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ir import dtypes
from tinygrad_like.tensor.arithmetic import ArithmeticMixin

if TYPE_CHECKING:
    from tinygrad_like.tensor.tensor import Tensor

# Chebyshev's coefficients of log(erfc(z) / t) + z^2 over t = 2 / (2 + z) in [0, 1], to 1e-17.
_ERFC = (
    -1.3026537197817094, 0.64196979235649026, 0.019476473204185836, -0.0095615147868086316, -0.00094659534448203687,
    0.00036683949785276145, 4.2523324806907772e-5, -2.0278578112534243e-5, -1.6242900046470255e-6,
    1.3036558355805232e-6, 1.5626441722066143e-8, -8.5238095914926543e-8, 6.5290544390988515e-9, 5.0593434955514689e-9,
    -9.9136415649303309e-10, -2.2736512229318359e-10, 9.6467911020155268e-11, 2.3940380830391147e-12,
    -6.8860275264975534e-12, 8.9448792730907257e-13, 3.1309213993429581e-13, -1.1270822361367252e-13,
    3.8109052551892321e-16, 7.106097613609237e-15, -1.5230282014571043e-15, -9.457494571291234e-17,
    1.210237189224279e-16, -2.816663087747177e-17,
)
# Bernoulli's numbers B(2k) / (2k (2k - 1)), k from 1: Stirling's series of log(gamma).
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_SHIFT = 8  # from here on seven terms of Stirling's series are exact to 1e-15


class SpecialFunctionsMixin(ArithmeticMixin):
    """Element by element. Integers are converted to float32 first unless a method says otherwise."""

    __slots__ = ()

    # ------------------------------------------------------------------------------------------- error and gamma

    def erfc(self) -> Tensor:
        """1 - erf(x), with the same relative precision where that is tiny."""
        x = self._as_float()
        value = _complementary_error(x.cast(dtypes.float64)).cast(x.dtype).detach()
        slope = -x.erf()  # erfc's derivatives are those of -erf, which is finite: the difference below is 0
        return value + (slope - slope.detach())

    def lgamma(self) -> Tensor:
        """log|gamma(x)|; infinite at 0, -1, -2, ... Computed in float64 (Stirling's series; Euler's reflection)."""
        x = self._as_float()
        wide = x.cast(dtypes.float64)
        low = wide < 0.5
        result = _log_gamma(low.where(1 - wide, wide))
        whole = (wide <= 0) & (wide == wide.floor())
        sine = ((wide - wide.floor()) * math.pi).sin()
        safe = (low & whole.logical_not()).where(sine, 1.0)
        reflected = math.log(math.pi) - safe.log() - result
        return whole.where(math.inf, low.where(reflected, result)).cast(x.dtype)

    def digamma(self) -> Tensor:
        """The derivative of ``lgamma``: NaN at negative whole numbers, infinite at 0."""
        x = self._as_float()
        wide = x.cast(dtypes.float64)
        low = wide < 0.5
        above = low.where(1 - wide, wide)
        shift, y = 0.0, above
        for _ in range(_SHIFT):
            shift, y = shift + 1 / y, y + 1
        square, series = y * y, 0.0
        for number in range(len(_STIRLING) - 1, -1, -1):
            series = (series + _STIRLING[number] * (2 * number + 1)) / square
        result = y.log() - 0.5 / y - series - shift
        whole = (wide <= 0) & (wide == wide.floor())
        angle = (low & whole.logical_not()).where((wide - wide.floor()) * math.pi, math.pi / 2)
        reflected = result - angle.cos() / angle.sin() * math.pi
        poles = (wide == 0).where(-wide.reciprocal(), math.nan)
        return whole.where(poles, low.where(reflected, result)).cast(x.dtype)

    # ------------------------------------------------------------------------------------------- logarithms

    def logit(self, eps: float | None = None) -> Tensor:
        """log(x / (1 - x)); NaN outside of [0, 1]. eps: x is first clamped to [eps, 1 - eps]."""
        x = self._as_float()
        x = x if eps is None else x.clamp(eps, 1 - eps)
        return (x / (1 - x)).log()

    def xlogy(self, other: Any) -> Tensor:
        """self log(other), 0 where self is 0 (NaN where other is NaN)."""
        first, second, partner = self._as_float()._operands(other)
        x, y = self._make(first), self._make(second, partner)
        nothing = (x == 0) & y.isnan().logical_not()
        return nothing.where(0.0, x * nothing.where(1.0, y).log())

    def logaddexp2(self, other: Any) -> Tensor:
        """log2(2^self + 2^other) without overflow."""
        scale = math.log(2)
        scaled = other * scale if hasattr(other, "ndim") else float(other) * scale
        return (self._as_float() * scale).logaddexp(scaled) * (1 / scale)

    # ------------------------------------------------------------------------------------------- angles and lengths

    def atan2(self, other: Any) -> Tensor:
        """The angle in (-pi, pi] of the point (other, self) from the x axis; the signs of zeros count."""
        first, second, partner = self._as_float()._operands(other)
        y, x = self._make(first), self._make(second, partner)
        flat = (y.abs() <= x.abs())
        none, endless = (x == 0) & (y == 0), (x.abs() == math.inf) & (y.abs() == math.inf)
        usual = (none | endless).logical_not()
        shallow = (flat & usual).where(y, 0.0) / (flat & usual).where(x, 1.0)
        steep = flat.where(0.0, x) / flat.where(1.0, y)
        diagonal = y.const_like(math.pi / 4).copysign(y) * x.signbit().where(-1, 1)
        near = endless.where(diagonal, none.where(y.detach(), shallow.atan()))
        near = x.signbit().where(near + y.const_like(math.pi).copysign(y), near)
        return flat.where(near, y.const_like(math.pi / 2).copysign(y) - steep.atan())

    def hypot(self, other: Any) -> Tensor:
        """sqrt(self^2 + other^2) without overflow; infinite where either is."""
        first, second, partner = self._as_float()._operands(other)
        x, y = self._make(first), self._make(second, partner)
        scale = x.abs().maximum(y.abs()).detach()
        usual = (scale > 0) & (scale < math.inf)
        safe = usual.where(scale, 1.0)
        result = ((x / safe).square() + (y / safe).square()).sqrt() * safe
        return ((x.abs() == math.inf) | (y.abs() == math.inf)).where(math.inf, result)

    def deg2rad(self) -> Tensor:
        """Degrees as radians."""
        return self._as_float() * (math.pi / 180)

    def rad2deg(self) -> Tensor:
        """Radians as degrees."""
        return self._as_float() * (180 / math.pi)

    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), 1 at 0."""
        x = self._as_float() * math.pi
        zero = x == 0
        return zero.where(1 - x * x / 6, x.sin() / zero.where(1.0, x))

    # ------------------------------------------------------------------------------------------- parts and signs

    def frac(self) -> Tensor:
        """The fraction, with the sign of the number."""
        return self - self.trunc()

    def signbit(self) -> Tensor:
        """Whether the sign is negative; -0.0 is, NaN is not."""
        if not self.dtype.is_float:
            return self < 0
        return (self < 0) | ((self == 0) & (self.reciprocal() < 0))

    def heaviside(self, values: Any) -> Tensor:
        """0 below 0 (and for NaN), 1 above, ``values`` at 0. It has no gradient."""
        x, at_zero = self.detach(), values.detach() if hasattr(values, "detach") else values
        return (x == 0).where(at_zero, (x > 0).where(x.const_like(1), x.const_like(0)))

    def nan_to_num(self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
        """NaN replaced by ``nan``, infinities by ``posinf`` and ``neginf`` (the extremes of the dtype by default)."""
        if not self.dtype.is_float:
            return self
        largest = {2: 65504.0, 4: 3.4028234663852886e38, 8: 1.7976931348623157e308}[self.dtype.itemsize]
        largest = 3.3895313892515355e38 if self.dtype is dtypes.bfloat16 else largest
        result = self.isnan().where(nan, self)
        result = (self == math.inf).where(largest if posinf is None else posinf, result)
        return (self == -math.inf).where(-largest if neginf is None else neginf, result)

    # ------------------------------------------------------------------------------------------- two operands

    def fmax(self, other: Any) -> Tensor:
        """The larger of each pair; a number wins against NaN."""
        first, second, partner = self._operands(other)
        a, b = self._make(first), self._make(second, partner)
        return a.isnan().where(b, b.isnan().where(a, a.maximum(b)))

    def fmin(self, other: Any) -> Tensor:
        """The smaller of each pair; a number wins against NaN."""
        first, second, partner = self._operands(other)
        a, b = self._make(first), self._make(second, partner)
        return a.isnan().where(b, b.isnan().where(a, a.minimum(b)))

    def ldexp(self, other: Any) -> Tensor:
        """self * 2^other."""
        power = other.cast(self._as_float().dtype).exp2() if hasattr(other, "exp2") else 2.0 ** other
        return self._as_float() * power

    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        """self + value * tensor1 * tensor2."""
        return self + tensor1 * tensor2 * value

    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        """self + value * tensor1 / tensor2."""
        return self + tensor1 / tensor2 * value

    def remainder(self, other: Any) -> Tensor:
        """``self % other``, with the sign of the divisor (PyTorch's name of ``mod``)."""
        return self.mod(other)

    def floor_divide(self, other: Any) -> Tensor:
        """``self // other``."""
        return self.div(other, rounding_mode="floor")

    def logical_and(self, other: Any) -> Tensor:
        """Whether both are not zero."""
        return self.cast(dtypes.bool) & self._lift(other).cast(dtypes.bool)

    def logical_or(self, other: Any) -> Tensor:
        """Whether one of both is not zero."""
        return self.cast(dtypes.bool) | self._lift(other).cast(dtypes.bool)

    def logical_xor(self, other: Any) -> Tensor:
        """Whether exactly one of both is not zero."""
        return self.cast(dtypes.bool) ^ self._lift(other).cast(dtypes.bool)

    def clamp_min(self, min_: Any) -> Tensor:
        """``clamp`` from below."""
        return self.clamp(min_)

    def clamp_max(self, max_: Any) -> Tensor:
        """``clamp`` from above."""
        return self.clamp(None, max_)


def _complementary_error(x: Tensor) -> Tensor:
    """erfc of float64: t exp(P(t) - z^2) of z = |x|, reflected below 0; z^2 is taken in two exact parts."""
    z = x.abs().minimum(30.0)  # beyond, it is 0
    t = 2 / (2 + z)
    doubled = 4 * t - 2
    b, before = t * 0 + _ERFC[-1], t * 0
    for coefficient in _ERFC[-2:0:-1]:
        b, before = doubled * b - before + coefficient, b
    series = (doubled * b + _ERFC[0]) * 0.5 - before
    head = (z * 1024).floor() * (1 / 1024)
    value = t * (-head * head).exp() * (series - (z - head) * (z + head)).exp()
    return (x < 0).where(2 - value, value)


def _log_gamma(x: Tensor) -> Tensor:
    """log(gamma(x)) of x >= 0.5 in float64, of which ``_SHIFT`` factors are taken out."""
    small = x < _SHIFT
    product, y = 1.0, small.where(x, 1.0)
    for _ in range(_SHIFT):
        product, y = y * product, y + 1
    y = small.where(y, x)
    inverse = 1 / y
    square, series = inverse * inverse, 0.0
    for coefficient in reversed(_STIRLING):
        series = series * square + coefficient
    stirling = (y - 0.5) * y.log() - y + 0.5 * math.log(2 * math.pi) + series * inverse
    endless = x == math.inf
    return endless.where(math.inf, stirling - small.where(product, 1.0).log())
