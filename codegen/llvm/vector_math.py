"""Exponentials, logarithms, tanh and erf on float32 and float64 lanes, scalar or vector, as straight-line code.

LLVM's own intrinsics become one libm call per lane, thirteen times slower. Largest errors, measured over dense samples
of all magnitudes (tests/codegen/test_llvm_vector_math.py), in units in the last place:

    ========  =======  =======
    function  float32  float64
    ========  =======  =======
    exp       1.1      1
    exp2      1        1
    log       1        1
    log2      1        1
    tanh      2        2.5
    erf       1.1      1.2
    sin, cos  1.5      1.5
    tan       3        3
    pow       0.51     1
    ========  =======  =======

Infinities, NaN, signed zeros and denormals are handled as IEEE 754 and C's Annex F ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegen.llvm.builder import Value, fma
from codegen.llvm.float_format import (
    at_most,
    clamp,
    format_of,
    magnitude,
    nearest_integer,
    polynomial,
    split_exponent,
    times_power_of_two,
    with_sign_of,
)
from codegen.llvm.power import power
from codegen.llvm.trigonometry import cosine, sine, tangent

LOG2_E = 1.4426950408889634


def call(name: str, operands: Sequence[Value]) -> Value:
    """Calls the function ``name`` of this table on float32 or float64 values; the module gets its definition once."""
    build, inline = _FUNCTIONS[name]
    first = operands[0]
    symbol = f"math.{name}.{first.type.suffix}"
    first.builder.module.helper(symbol, first.type, [first.type] * len(operands), build, inline)
    return first.builder.call(symbol, first.type, operands)


# ----------------------------------------------------------------------------------------------- exponentials

# Minimax (Remez) polynomials: (e^r - 1 - r) / r^2 on |r| <= ln(2)/2 and (2^r - 1) / r on |r| <= 1/2.
_EXP_TAIL = {
    "float": (0.0013950701104477048, 0.008368954062461853, 0.04166620224714279, 0.166665181517601, 0.5),
    "double": (2.0926915215829804e-09, 2.5112348405211147e-08, 2.7557233474700764e-07, 2.755723392989177e-06,
               2.4801587373568192e-05, 0.00019841269897361168, 0.0013888888888858558, 0.00833333333331662,
               0.04166666666666673, 0.16666666666666685, 0.5),
}
_EXP2_TAIL = {
    "float": (0.00015476593398489058, 0.0013400502502918243, 0.00961800292134285, 0.05550327152013779,
              0.24022650718688965, 0.6931471824645996),
    "double": (2.5742061422646057e-11, 4.4567107222749594e-10, 7.054888065516408e-09, 1.0178050982060378e-07,
               1.3215486833562827e-06, 1.5252733856734179e-05, 0.00015403530393340471, 0.0013333558146389976,
               0.009618129107628496, 0.0555041086648217, 0.24022650695910072, 0.6931471805599453),
}


def _exp_minus_one_reduced(x: Value) -> tuple[Value, Value, Value]:
    """(q, n, n) with e^x = (1 + q) * 2^n and |q| below 0.42, n as a float and as an integer; where e^x is finite."""
    format_ = format_of(x)
    whole, exponent = nearest_integer(x, LOG2_E)
    rest = fma(whole, -format_.ln2_low, fma(whole, -format_.ln2_high, x))
    tail = polynomial(rest, _EXP_TAIL[x.type.element])
    return fma(rest * rest, tail, rest), whole, exponent


def exp(x: Value) -> Value:
    """e^x."""
    q, whole, exponent = _exp_minus_one_reduced(clamp(x, *format_of(x).exp_range))
    return times_power_of_two(q + 1.0, whole, exponent)


def exp2(x: Value) -> Value:
    """2^x."""
    bounded = clamp(x, *format_of(x).exp2_range)
    whole, exponent = nearest_integer(bounded, 1.0)
    rest = bounded - whole
    return times_power_of_two(fma(polynomial(rest, _EXP2_TAIL[x.type.element]), rest, 1.0), whole, exponent)


def tanh(x: Value) -> Value:
    """(e^2a - 1) / (e^2a - 1 + 2) for a = |x|, with the sign of x; without cancellation near 0."""
    format_ = format_of(x)
    limit = 9.1 if x.type.element == "float" else 19.1
    q, _, exponent = _exp_minus_one_reduced(at_most(magnitude(x), limit) * 2.0)
    scale = ((exponent + format_.bias) << format_.mantissa).as_float()
    minus_one = fma(scale, q, scale - 1.0)
    denominator = minus_one + 2.0
    lost = minus_one - (denominator - 2.0)
    quotient = minus_one / denominator
    corrected = fma(quotient, lost * -0.5, quotient)  # near 0, where the denominator is about 2
    return with_sign_of((minus_one < 0.75).select(corrected, quotient), x)


# ------------------------------------------------------------------------------------------------- logarithms

_LOG_TAIL_FLOAT = (  # (log(1 + r) - r + r^2/2) / r^3 for 1 + r in [sqrt(1/2), sqrt(2)); Cephes, S. Moshier
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
_LOG_TAIL_DOUBLE = (  # 2 atanh(s) = 2 s + s R(s^2); fdlibm, Sun Microsystems 1993
    1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01, 2.222219843214978396e-01,
    2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01)


def _log_mantissa(mantissa: Value) -> tuple[Value, Value]:
    """(r, t) with log(mantissa) = r + t, where r = mantissa - 1 is exact and t is small."""
    r = mantissa - 1.0
    half_square = r * r * 0.5
    if mantissa.type.element == "float":
        return r, fma(polynomial(r, _LOG_TAIL_FLOAT) * r, r * r, -half_square)
    s = r / (r + 2.0)
    z = s * s
    tail = z * polynomial(z, _LOG_TAIL_DOUBLE)
    return r, fma(s, half_square + tail, -half_square)


def _at_edges_of_log(x: Value, result: Value) -> Value:
    """-infinity at 0, NaN below, infinity at infinity, NaN at NaN."""
    infinite = x.constant(float("inf"))
    result = x.equals(infinite).select(infinite, result)
    result = x.equals(0.0).select(x.constant(float("-inf")), result)
    return x.compare("ult", 0.0).select(x.constant(float("nan")), result)


def log(x: Value) -> Value:
    """The natural logarithm."""
    format_ = format_of(x)
    mantissa, exponent = split_exponent(x)
    r, tail = _log_mantissa(mantissa)
    low = fma(exponent, format_.ln2_low, tail)
    return _at_edges_of_log(x, fma(exponent, format_.ln2_high, r + low))


_LOG2_E_PARTS = {"float": (1.44140625, 0.00128879079), "double": (1.4426950216293335, 1.9259629911266175e-08)}


def log2(x: Value) -> Value:
    """The logarithm to base 2; exact at powers of two."""
    mantissa, exponent = split_exponent(x)
    r, tail = _log_mantissa(mantissa)
    high, low = _LOG2_E_PARTS[x.type.element]
    small = fma(r, low, fma(tail, low, tail * high))
    result = exponent + fma(r, high, small)
    return _at_edges_of_log(x, result)


# --------------------------------------------------------------------------------------------- error function

_ERF_SMALL = {  # erf(x) = x + x * P(x^2)
    "float": (-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1),
    "double": (6.177719376727585e-11, -1.1502349985003234e-09, 1.4692958325397642e-08, -1.635518218080685e-07,
               1.6461451956865466e-06, -1.4925622788343036e-05, 0.00012055332224479837, -0.0008548327010242709,
               0.005223977625306138, -0.026866170645124008, 0.11283791670955111, -0.37612638903183754,
               0.12837916709551259),
}
_ERF_LARGE_FLOAT = (  # erf(t) = 1 - exp(-t + t * Q(t)); after N. Juffa
    -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1)
_ERFCX_CENTRE = 6.0**0.5
_ERFCX = (  # exp(t^2) * erfc(t) as a polynomial in (t - c) / (t + c), minimax on 1 <= t <= 6
    -4.042805419886738e-09, -3.978308092285651e-08, -3.206095019167497e-08, 1.5637242590842439e-07,
    3.5467796273196163e-07, -2.6325783810351635e-07, -2.0221282534793715e-06, -9.639512047600334e-07,
    9.586189273327288e-06, 1.3404605772994091e-05, -4.670592434264686e-05, -0.00010325151669544881,
    0.0002949769860086956, 0.0006855383005740803, -0.0028574623124307747, -0.0022689267526361276,
    0.036308131499924845, -0.12145140284029053, 0.25166683742194224, -0.37687425386567325, 0.2146263390698206)


def erf(x: Value) -> Value:
    """2/sqrt(pi) times the integral of exp(-t^2) from 0 to x: a polynomial near 0, beyond it 1 - erfc(|x|)."""
    single = x.type.element == "float"
    size = magnitude(x)
    large = _erf_large_float(at_most(size, 4.1)) if single else _erf_large_double(at_most(size, 6.0))
    small = fma(polynomial(x * x, _ERF_SMALL[x.type.element]), x, x)
    return (size > (0.927734375 if single else 1.0)).select(with_sign_of(large, x), small)


def _erf_large_float(t: Value) -> Value:
    return t.constant(1.0) - exp(fma(polynomial(t, _ERF_LARGE_FLOAT), t, -t))


def _erf_large_double(t: Value) -> Value:
    scaled = polynomial((t - _ERFCX_CENTRE) / (t + _ERFCX_CENTRE), _ERFCX)
    return t.constant(1.0) - exp(-(t * t)) * scaled


_FUNCTIONS: dict[str, tuple[Callable[..., Value], bool]] = {  # the builder, and whether callers inline it
    "exp": (exp, True),
    "exp2": (exp2, True),
    "log": (log, True),
    "log2": (log2, True),
    "tanh": (tanh, True),
    "erf": (erf, True),
    "sin": (sine, False),
    "cos": (cosine, False),
    "tan": (tangent, False),
    "pow": (power, False),
}
