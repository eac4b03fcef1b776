"""Sine, cosine and tangent on float32 and float64 lanes, correct for arguments of any size.

x is reduced to r = x - j * pi/2, |r| <= pi/4: by pi/2 in two or three parts while j is small (Cody and Waite), and
otherwise with the bits of 2/pi that matter for the exponent of x, read from a table (Payne and Hanek, "Radian
reduction for trigonometric functions", 1983).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from codegen.llvm.builder import Value, fma, vector
from codegen.llvm.control import choose_rare
from codegen.llvm.float_format import FLOAT64, magnitude, nearest_integer, polynomial, whole
from codegen.llvm.memory import all_lanes, gather

_TWO_OVER_PI = 0.6366197723675814
_HALF_PI = {  # in parts; for float32 after N. Juffa
    "float": (1.57079601e+00, 3.13916473e-07, 5.39030253e-15),
    "double": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33),
}
_LARGE = {"float": 105615.0, "double": 1647099.0}
_SINE_TAIL = {  # sin(r) = r + r^3 * P(r^2); float32 after N. Juffa, float64 from fdlibm
    "float": (2.86567956e-6, -1.98559923e-4, 8.33338592e-3, -1.66666672e-1),
    "double": (1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
               -1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01),
}
_COSINE_TAIL = {  # cos(r) = 1 - r^2/2 + r^4 * P(r^2)
    "float": (2.44677067e-5, -1.38877297e-3, 4.16666567e-2),
    "double": (-1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
               2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02),
}
_FIRST_EXPONENT = 16  # of the smallest argument that needs the table
_LAST_EXPONENT = {"float": 128, "double": 1024}


Finish = Callable[[Value, Value], Value]  # from (r, j) to the function of r + j * pi/2


def sine(x: Value) -> Value:
    """sin(x); NaN at infinity."""
    return x.equals(0.0).select(x, _reduced(x, _sine_at))  # -0.0 is its own sine


def cosine(x: Value) -> Value:
    """cos(x); NaN at infinity."""
    return _reduced(x, lambda r, quadrant: _sine_at(r, quadrant + 1))


def tangent(x: Value) -> Value:
    """tan(x); NaN at infinity."""
    return x.equals(0.0).select(x, _reduced(x, _tangent_at))


def _reduced(x: Value, finish: Finish) -> Value:
    """``finish(r, j)`` of the reduced argument; the table is only read where some lane is too large for the parts."""
    element = x.type.element
    count, quadrant = nearest_integer(x, _TWO_OVER_PI)
    r = x
    for part in _HALF_PI[element]:
        r = fma(count, -part, r)
    is_large = magnitude(x).compare("ugt", _LARGE[element])
    return choose_rare(is_large, finish(r, quadrant), lambda: _large(x, finish))


def _large(x: Value, finish: Finish) -> Value:
    """The same for any finite x through the table; NaN for infinity and NaN."""
    double = x.type.with_element("double")
    wide = x if x.type is double else x.convert("fpext", double)
    r, quadrant = _reduced_by_table(wide, _LAST_EXPONENT[x.type.element])
    if x.type is not double:
        r, quadrant = r.convert("fptrunc", x.type), quadrant.convert("trunc", x.type.integer)
    finite = magnitude(x).compare("olt", float("inf"))
    return finite.select(finish(r, quadrant), x - x)


def _sine_and_cosine(r: Value) -> tuple[Value, Value]:
    """Both, for |r| <= pi/4."""
    square, element = r * r, r.type.element
    sine_ = fma(polynomial(square, _SINE_TAIL[element]) * square, r, r)
    half = square * 0.5
    one_minus = r.constant(1.0) - half
    lost = (one_minus.constant(1.0) - one_minus) - half
    return sine_, one_minus + fma(polynomial(square, _COSINE_TAIL[element]), square * square, lost)


def _sine_at(r: Value, quadrant: Value) -> Value:
    sine_, cosine_ = _sine_and_cosine(r)
    chosen = (quadrant & 1).equals(0).select(sine_, cosine_)
    sign = (quadrant & 2) << (r.type.bits - 2)
    return (chosen.bits() ^ sign).as_float()


def _tangent_at(r: Value, quadrant: Value) -> Value:
    sine_, cosine_ = _sine_and_cosine(r)
    even = (quadrant & 1).equals(0)
    return even.select(sine_, -cosine_) / even.select(cosine_, sine_)


def _reduced_by_table(x: Value, last_exponent: int) -> tuple[Value, Value]:
    """(r, j): x = r + j * pi/2 up to multiples of 2 pi, for |x| >= 2^_FIRST_EXPONENT.

    x = m * 2^e with an integer m of 53 bits. Three doubles of the table hold 2^e * 2/pi modulo 4; products with m are
    kept exactly (as product and its rounding error by fma) until the multiple of 4 has been taken off.
    """
    bits = x.bits()
    exponent = ((bits >> FLOAT64.mantissa) & 0x7FF) - FLOAT64.bias
    row = exponent - _FIRST_EXPONENT
    row = (row < 0).select(row.constant(0), row)
    last = last_exponent - _FIRST_EXPONENT
    row = (row > last).select(row.constant(last), row)
    first, second, third = (_table_column(row, column, last_exponent) for column in range(3))
    sign_and_mantissa = bits & (FLOAT64.mantissa_mask | 1 << 63)
    m = (sign_and_mantissa | (FLOAT64.bias + FLOAT64.mantissa) << FLOAT64.mantissa).as_float()
    product = m * first
    error = fma(m, first, -product)
    high = product - whole(product * 0.25) * 4.0
    middle = m * second
    middle_error = fma(m, second, -middle)
    count = whole(high + error + middle)
    total, lost = _two_sum(high - count, error)
    total, lost_again = _two_sum(total, middle)
    low = lost + lost_again + (middle_error + m * third)
    fraction = total + low
    rest = low - (fraction - total)
    half_pi, half_pi_low, _ = _HALF_PI["double"]
    r = fma(fraction, half_pi, fma(fraction, half_pi_low, rest * half_pi))
    return r, count.convert("fptosi", x.type.integer)


def _two_sum(a: Value, b: Value) -> tuple[Value, Value]:
    """a + b and its rounding error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _table_column(row: Value, column: int, last_exponent: int) -> Value:
    """Column ``column`` of the table's rows, one per lane."""
    name = f"math.two_over_pi.{last_exponent}"
    numbers = [part for exponent in range(_FIRST_EXPONENT, last_exponent + 1) for part in _row(exponent)]
    base = row.builder.module.table(name, vector("double", 1), numbers)
    pointers = row.builder.value(row.type.with_element("ptr"),
                                 f"getelementptr inbounds [3 x double], ptr {base}, {row.typed}, i64 {column}")
    return gather(pointers, "float64", all_lanes(row))


@cache
def _row(exponent: int) -> tuple[float, float, float]:
    """2^(exponent - 52) * 2/pi modulo 4 as a sum of three doubles."""
    fraction_bits = 256
    shifted = _two_over_pi_bits() >> (_TABLE_BITS - fraction_bits - (exponent - FLOAT64.mantissa))
    rest = shifted & ((4 << fraction_bits) - 1)
    parts = []
    for _ in range(3):
        part = rest / (1 << fraction_bits)  # Python divides integers with correct rounding
        parts.append(part)
        rest -= _scaled(part, fraction_bits)
    return parts[0], parts[1], parts[2]


_TABLE_BITS = 1400


def _scaled(part: float, bits: int) -> int:
    """part * 2^bits as an integer (exact)."""
    numerator, denominator = part.as_integer_ratio()
    return (numerator << bits) // denominator


@lru_cache(maxsize=1)
def _two_over_pi_bits() -> int:
    """floor(2/pi * 2^_TABLE_BITS), with pi by Machin's formula."""
    guard = _TABLE_BITS + 32

    def arctangent_of_inverse(n: int) -> int:
        term = (1 << guard) // n
        total, divisor, sign = 0, 1, 1
        while term:
            total += sign * (term // divisor)
            term //= n * n
            divisor, sign = divisor + 2, -sign
        return total

    pi = 4 * (4 * arctangent_of_inverse(5) - arctangent_of_inverse(239))
    return (2 << (guard + _TABLE_BITS)) // pi
