"""float32 and float64 as vector mathematics sees them: the numbers that its algorithms are parametrised by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.llvm.builder import Number, Value, fma


@dataclass(frozen=True)
class Format:
    """One binary floating-point format.

    mantissa: explicit bits. bias: of the exponent. magic: 1.5 * 2^mantissa; adding it leaves a number rounded to an
    integer in the low bits. ln2_high, ln2_low: ln 2 in two parts, the first with trailing zeros so that its product
    with an exponent is exact. least_normal: the smallest number that is not denormal.
    exp_range: beyond these arguments e^x is 0 or infinite, and likewise exp2_range.
    """

    mantissa: int
    bias: int
    magic: float
    ln2_high: float
    ln2_low: float
    least_normal: float
    exp_range: tuple[float, float]
    exp2_range: tuple[float, float]

    @property
    def one_bits(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def mantissa_mask(self) -> int:
        return (1 << self.mantissa) - 1


FLOAT32 = Format(23, 127, 12582912.0, 0.693145751953125, 1.428606765330187e-06, 2.0**-126,
                 (-104.0, 89.0), (-151.0, 129.0))
FLOAT64 = Format(52, 1023, 6755399441055744.0, 6.93147180369123816490e-01, 1.90821492927058770002e-10, 2.0**-1022,
                 (-746.0, 710.0), (-1076.0, 1025.0))


def format_of(x: Value) -> Format:
    """The format of a float or double value."""
    return FLOAT64 if x.type.element == "double" else FLOAT32


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's scheme, the highest power first."""
    result = x.constant(coefficients[0])
    for coefficient in coefficients[1:]:
        result = fma(result, x, coefficient)
    return result


def magnitude(x: Value) -> Value:
    """|x|."""
    return x.builder.intrinsic("fabs", x.type, [x])


def with_sign_of(x: Value, sign: Value) -> Value:
    return x.builder.intrinsic("copysign", x.type, [x, sign])


def whole(x: Value) -> Value:
    """The nearest whole number, ties to even."""
    return x.builder.intrinsic("roundeven", x.type, [x])


def nearest_integer(x: Value, factor: float) -> tuple[Value, Value]:
    """x * factor rounded to a whole number below 2^(mantissa - 1), as a float (never -0.0) and as an integer."""
    magic = format_of(x).magic
    shifted = fma(x, factor, magic)
    return shifted - magic, shifted.bits() - x.constant(magic).bits()


def clamp(x: Value, low: Number, high: Number) -> Value:
    """x in [low, high]; NaN stays NaN. Compare and select is one instruction, LLVM's minnum is three."""
    raised = (x < low).select(x.constant(low), x)
    return (raised > high).select(raised.constant(high), raised)


def at_most(x: Value, high: Number) -> Value:
    """min(x, high); NaN stays NaN."""
    return (x > high).select(x.constant(high), x)


def times_power_of_two(x: Value, whole: Value, exponent: Value) -> Value:
    """x * 2^exponent for an integer exponent down to twice the least one, which is given as a float too: AVX-512 has
    an instruction for it; else in two steps, so that a denormal result is rounded once and an overflow is infinite."""
    if x.builder.module.vector_bits == 512 and x.type.lanes * x.type.bits == 512:
        return _scaled(x, whole)
    format_ = format_of(x)
    first = exponent.binary("ashr", 1)
    second = exponent - first
    return x * power_of_two(first, format_) * power_of_two(second, format_)


def _scaled(x: Value, whole: Value) -> Value:
    """x * 2^whole by AVX-512's instruction, rounded once."""
    builder, suffix = x.builder, "pd" if x.type.element == "double" else "ps"
    name, mask = f"llvm.x86.avx512.mask.scalef.{suffix}.512", f"i{x.type.lanes}"
    builder.module.declare(name, x.type.text, [x.type.text] * 3 + [mask, "i32"])
    return builder.value(x.type, f"call {x.type.text} @{name}({x.typed}, {whole.typed}, {x.type.text} zeroinitializer, "
                                 f"{mask} -1, i32 4)")


def power_of_two(exponent: Value, format_: Format) -> Value:
    """2^exponent for the exponents of normal numbers, as a float."""
    return ((exponent + format_.bias) << format_.mantissa).as_float()


def split_exponent(x: Value) -> tuple[Value, Value]:
    """(m, e) with x = m * 2^e, m in [sqrt(1/2), sqrt(2)), e as a float; for positive finite x, denormals included."""
    format_ = format_of(x)
    denormal = x < format_.least_normal
    scaled = denormal.select(x * 2.0 ** (format_.mantissa + 1), x)
    shift = denormal.select(x.constant(-float(format_.mantissa + 1)), x.constant(0.0))
    half_root = x.constant(0.5**0.5)
    bits = scaled.bits()
    exponent = (bits - half_root.bits()).binary("ashr", format_.mantissa)
    mantissa = (bits - (exponent << format_.mantissa)).as_float()
    return mantissa, exponent.convert("sitofp", x.type) + shift
