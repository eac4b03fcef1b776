"""x to the power y on float32 and float64 lanes: exp2(y * log2(x)).

The result is as many times less accurate than the logarithm as y * log2(x) is large (up to 1024). float32 is therefore
computed in float64, which makes it almost correctly rounded, and float64 with the logarithm in two doubles.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.llvm.builder import Value, fma
from codegen.llvm.float_format import (
    clamp,
    magnitude,
    nearest_integer,
    polynomial,
    split_exponent,
    times_power_of_two,
)

_LOG2_E = (1.4426950408889634, 2.0355273740931033e-17)
_TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
_ATANH_TAIL = (  # (2 atanh(s) / s - 2 - 2/3 z) / z^2 as a polynomial in z = s^2, minimax on z <= 0.0295
    0.10763882007188176, 0.10456158882736749, 0.11766821020389795, 0.13333296341558548, 0.15384615763777737,
    0.18181818179637793, 0.222222222222285, 0.28571428571428564, 0.4)
_EXP2_TAIL = (  # (2^r - 1) / r, minimax on |r| <= 1/2
    2.5742061422646057e-11, 4.4567107222749594e-10, 7.054888065516408e-09, 1.0178050982060378e-07,
    1.3215486833562827e-06, 1.5252733856734179e-05, 0.00015403530393340471, 0.0013333558146389976,
    0.009618129107628496, 0.0555041086648217, 0.24022650695910072, 0.6931471805599453)
_EXP2_TAIL_SHORT = (  # the same to 2^-34, enough for float32
    1.5315165484605303e-05, 0.00015467348003122424, 0.0013333429892781804, 0.009618036235344206, 0.05550410963583404,
    0.24022651079871607, 0.6931471805414086)

Pair = tuple[Value, Value]  # the unevaluated sum of a number and a much smaller one


def power(x: Value, y: Value) -> Value:
    """x^y as C's pow: x^0 and 1^y are 1 (also for NaN), a negative x needs a whole y, else NaN."""
    if x.type.element == "double":
        size = magnitude(x)
        product, rest = _times(y, _log2_pair(size))
        return _with_special_cases(x, y, _exp2(product, rest, _EXP2_TAIL))
    double = x.type.with_element("double")
    wide_x, wide_y = x.convert("fpext", double), y.convert("fpext", double)
    product = wide_y * _log2(magnitude(wide_x))
    result = _exp2(product, product.constant(0.0), _EXP2_TAIL_SHORT)
    return _with_special_cases(wide_x, wide_y, result).convert("fptrunc", x.type)


def _with_special_cases(x: Value, y: Value, result: Value) -> Value:
    """The sign of a negative x, and what C's Annex F says of 0, 1, infinity and NaN; ``result`` is |x|^y."""
    result = magnitude(x).equals(1.0).select(x.constant(1.0), result)
    truncated = x.builder.intrinsic("trunc", y.type, [y])
    half = y * 0.5
    y_is_whole = truncated.equals(y)
    y_is_odd = y_is_whole & x.builder.intrinsic("trunc", y.type, [half]).compare("une", half)
    negative = x.bits().compare("slt", 0)
    result = (negative & y_is_odd).select(-result, result)
    undefined = (x < 0.0) & ~y_is_whole & (x > float("-inf"))
    result = undefined.select(x.constant(float("nan")), result)
    result = (x.is_nan() | y.is_nan()).select(x.constant(float("nan")), result)
    return (x.equals(1.0) | y.equals(0.0)).select(x.constant(1.0), result)


def _log2(x: Value) -> Value:
    """log2(x) to about 2^-39 of itself; -infinity at 0 and infinity at infinity."""
    mantissa, exponent = split_exponent(x)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    series = fma(z, fma(z, polynomial(z, _ATANH_TAIL[4:]), _TWO_THIRDS[0]), 2.0)
    result = fma(s * series, _LOG2_E[0], exponent)
    infinite = x.constant(float("inf"))
    return x.equals(0.0).select(-infinite, x.equals(infinite).select(infinite, result))


def _log2_pair(x: Value) -> Pair:
    """log2(x) to about 2^-62 of itself; (-infinity, 0) at 0 and (infinity, 0) at infinity."""
    mantissa, exponent = split_exponent(x)
    logarithm, low = _times_pair(_log_mantissa(mantissa), _LOG2_E)
    high, lost = _fast_two_sum(exponent, logarithm)
    exact = exponent.equals(0.0)
    high, low = exact.select(logarithm, high), exact.select(low, lost + low)
    infinite = x.constant(float("inf"))
    zero, endless = x.equals(0.0), x.equals(infinite)
    high = zero.select(x.constant(float("-inf")), endless.select(infinite, high))
    return high, (zero | endless).select(x.constant(0.0), low)


def _log_mantissa(mantissa: Value) -> Pair:
    """log(m) = 2 atanh(s) with s = (m - 1) / (m + 1), for m in [sqrt(1/2), sqrt(2))."""
    below, above = mantissa - 1.0, mantissa + 1.0
    above_low = mantissa - (above - 1.0)
    s = below / above
    s_low = (fma(-s, above, below) - s * above_low) / above
    z = s * s
    z_low = fma(s, s, -z) + s * s_low * 2.0
    tail = z * polynomial(z, _ATANH_TAIL)
    factor, factor_low = _fast_two_sum(z.constant(_TWO_THIRDS[0]), tail)
    factor_low = factor_low + _TWO_THIRDS[1]
    cube = z * factor
    cube_low = fma(z, factor, -cube) + (z * factor_low + z_low * factor)
    correction = s * cube
    correction_low = fma(s, cube, -correction) + (s * cube_low + s_low * cube)
    high, lost = _fast_two_sum(s * 2.0, correction)
    return high, lost + (correction_low + s_low * 2.0)


def _times(y: Value, pair: Pair) -> Pair:
    """y * pair; the low part is 0 where it cannot matter, and would be too large or NaN: 2^product overflows."""
    high, low = pair
    product = y * high
    lost = fma(y, high, -product) + y * low
    return product, magnitude(product).compare("olt", 2000.0).select(lost, 0.0)


def _times_pair(pair: Pair, constant: tuple[float, float]) -> Pair:
    high, low = pair
    product = high * constant[0]
    lost = fma(high, constant[0], -product) + fma(high, constant[1], low * constant[0])
    return _fast_two_sum(product, lost)


def _fast_two_sum(a: Value, b: Value) -> Pair:
    """a + b and its rounding error, for |a| >= |b| (Dekker)."""
    total = a + b
    return total, b - (total - a)


def _exp2(high: Value, low: Value, tail: Sequence[float]) -> Value:
    """2^(high + low)."""
    bounded = clamp(high, -1100.0, 1100.0)
    count, exponent = nearest_integer(bounded, 1.0)
    rest = (bounded - count) + low
    return times_power_of_two(fma(polynomial(rest, tail), rest, 1.0), count, exponent)
