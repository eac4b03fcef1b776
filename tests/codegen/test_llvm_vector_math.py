"""The accuracy of exponentials, logarithms, trigonometry, erf and pow, in units in the last place (ulp).

float32 is compared with float64; float64 with the x87's 64-bit mantissas, and with mpmath where those are not enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from llvm_harness import HOST, elementwise, operation, run_elementwise

from codegen.llvm import assembly
from ir.dtype import DType, dtypes

SIZE = 1 << 14
WIDE = np.longdouble
needs_long_double = pytest.mark.skipif(np.finfo(WIDE).nmant < 63, reason="long double is no wider than double here")
BOUNDS = {  # ulp in float32 and float64, as vector_math states them
    "exp": (1.1, 1.0), "exp2": (1.0, 1.0), "log": (1.0, 1.0), "log2": (1.0, 1.0), "tanh": (2.0, 2.5),
    "sin": (1.5, 1.5), "cos": (1.5, 1.5), "tan": (3.0, 3.0), "erf": (1.1, 1.2),
}
FORMATS = [pytest.param(dtypes.float32, id="float32"),
           pytest.param(dtypes.float64, id="float64", marks=needs_long_double)]


def call(name: str, dtype: DType, *arrays: np.ndarray, lanes: int = 0) -> np.ndarray:
    width = lanes or HOST.lanes(dtype.itemsize)
    return run_elementwise(operation(name), arrays, [dtype] * len(arrays), dtype, width)


def error_in_ulps(actual: np.ndarray, exact: np.ndarray) -> float:
    """The largest |actual - exact| in units of the last place of the exact result; infinite where one is not finite."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(actual.dtype)
        unit = np.maximum(np.spacing(np.abs(rounded)), np.finfo(actual.dtype).smallest_subnormal).astype(WIDE)
        error = np.abs(actual.astype(WIDE) - exact) / unit
    same = (actual == rounded) & ~np.isfinite(rounded) | np.isnan(actual) & np.isnan(rounded)
    return float(np.where(same, 0, np.where(np.isfinite(error), error, np.inf)).max())


def spread(dtype: DType, rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    return rng.uniform(low, high, SIZE).astype(dtype.numpy)


def all_magnitudes(dtype: DType, rng: np.random.Generator) -> np.ndarray:
    """Random bits: every exponent, denormals, infinities and NaN."""
    unsigned = {4: np.uint32, 8: np.uint64}[dtype.itemsize]
    return rng.integers(0, np.iinfo(unsigned).max, SIZE, unsigned, endpoint=True).view(dtype.numpy)


RANGES = [(-1, 1), (0.5, 2), (-20, 20), (-130, 130), (-800, 800), (-1e5, 1e5)]


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ["exp", "exp2", "log", "log2", "tanh"])
def test_exponentials_and_logarithms(name: str, dtype: DType, rng: np.random.Generator) -> None:
    reference: Callable[..., np.ndarray] = getattr(np, name)
    bound = BOUNDS[name][dtype.itemsize // 8]
    for x in [spread(dtype, rng, *limits) for limits in RANGES] + [all_magnitudes(dtype, rng)]:
        with np.errstate(all="ignore"):
            exact = reference(x.astype(WIDE))
        assert error_in_ulps(call(name, dtype, x), exact) <= bound


STRIDE = 2039  # a prime: two million of the 2^32 bit patterns, some of every exponent and of every length of mantissa


@pytest.mark.parametrize("name", ["exp", "exp2", "log", "log2", "tanh"])
def test_the_whole_range_of_float32(name: str) -> None:
    """Also denormal arguments and results, infinities and NaN, against float64."""
    x = np.arange(0, 1 << 32, STRIDE, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = np.concatenate([x, np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 88.72284, -103.97208], np.float32)])
    x = np.concatenate([x, np.ones(-len(x) % 16, np.float32)])
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x.astype(np.float64))
    worst = error_in_ulps(call(name, dtypes.float32, x), exact)
    assert worst <= BOUNDS[name][0] <= 2


def test_erf_float32(rng: np.random.Generator) -> None:
    x = np.concatenate([spread(dtypes.float32, rng, -5, 5), spread(dtypes.float32, rng, -1, 1)])
    exact = np.array([math.erf(value) for value in x], WIDE)
    assert error_in_ulps(call("erf", dtypes.float32, x), exact) <= BOUNDS["erf"][0]


@needs_long_double
def test_erf_float64(rng: np.random.Generator) -> None:
    mpmath = pytest.importorskip("mpmath", reason="erf in float64 is compared with mpmath")
    x = rng.uniform(-6.5, 6.5, 1024)
    with mpmath.workprec(120):
        exact = np.array([WIDE(mpmath.nstr(mpmath.erf(mpmath.mpf(float(value))), 25)) for value in x])
    assert error_in_ulps(call("erf", dtypes.float64, x), exact) <= BOUNDS["erf"][1]


# ------------------------------------------------------------------------------------------------- trigonometry


def pi_to(bits: int) -> int:
    """floor(pi * 2^bits), by Machin's formula."""
    def arctangent(n: int) -> int:
        power = total = (1 << (bits + 16)) // n
        k, sign = 3, -1
        while power:
            power //= n * n
            total += sign * (power // k)
            k, sign = k + 2, -sign
        return total
    return 4 * (4 * arctangent(5) - arctangent(239)) >> 16


PI = Fraction(pi_to(1400), 1 << 1400)


def exactly(name: str, x: np.ndarray) -> np.ndarray:
    """sin, cos or tan in long double, of arguments that were reduced exactly to |r| <= pi/4."""
    results = []
    for value in x:
        exact = Fraction(float(value))
        count = round(exact / (PI / 2))
        rest = exact - count * PI / 2
        high = float(rest)
        r = WIDE(high) + WIDE(float(rest - Fraction(high)))
        sine, cosine = [(np.sin(r), np.cos(r)), (np.cos(r), -np.sin(r)), (-np.sin(r), -np.cos(r)),
                        (-np.cos(r), np.sin(r))][count % 4]
        results.append({"sin": sine, "cos": cosine, "tan": sine / cosine}[name])
    return np.array(results, WIDE)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_trigonometry_of_any_size(name: str, dtype: DType, rng: np.random.Generator) -> None:
    bound = BOUNDS[name][dtype.itemsize // 8]
    limit = float(np.finfo(dtype.numpy).maxexp)
    for x in [spread(dtype, rng, -4, 4)[:2048], spread(dtype, rng, -1e5, 1e5)[:2048],
              (spread(dtype, rng, -1, 1) * 2.0 ** rng.uniform(10, limit - 1, SIZE))[:2048].astype(dtype.numpy)]:
        assert error_in_ulps(call(name, dtype, x), exactly(name, x)) <= bound


def test_sine_near_multiples_of_pi() -> None:
    """Where a reduction that is too short loses everything, also for 2^120 * pi and at the limits of the methods."""
    for dtype, exponents in ((dtypes.float32, range(0, 120, 3)), (dtypes.float64, range(0, 1000, 25))):
        x = np.array([float(PI * 2**e * k) for e in exponents for k in (1, 3)] + [105615.0, 105616.0, 1647098.0] * 16)
        x = x[: x.size // 16 * 16].astype(dtype.numpy)
        assert error_in_ulps(call("sin", dtype, x), exactly("sin", x)) <= 1.5


# ------------------------------------------------------------------------------------------------------- powers


@pytest.mark.parametrize("dtype", FORMATS)
def test_power(dtype: DType, rng: np.random.Generator) -> None:
    bound = 0.51 if dtype is dtypes.float32 else 1.0
    for (low, high), reach in (((0, 2), 5), ((0, 1e5), 8), ((0.9, 1.1), 500), ((1e-30, 1e-5), 5)):
        x, y = spread(dtype, rng, low, high), spread(dtype, rng, -reach, reach)
        with np.errstate(all="ignore"):
            exact = np.power(x.astype(WIDE), y.astype(WIDE))
        # the reference itself errs by about reach * log2(x) of its own units, 2^-11 of ours
        assert error_in_ulps(call("pow", dtype, x, y), exact) <= bound + 0.3 * (dtype is dtypes.float64)


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=lambda dtype: dtype.name)
def test_power_at_special_values(dtype: DType) -> None:
    """C's Annex F, as NumPy has it: all pairs of the values below."""
    tiny, huge = float(np.finfo(dtype.numpy).smallest_subnormal), float(np.finfo(dtype.numpy).max)
    numbers = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 2.5, np.inf, -np.inf, np.nan, tiny, huge, -huge]
    pairs = np.array([(x, y) for x in numbers for y in numbers], dtype.numpy)
    pairs = np.concatenate([pairs, pairs[: -len(pairs) % 16]])
    x, y = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    actual = call("pow", dtype, x, y)
    np.testing.assert_allclose(actual, expected, rtol=4e-7 if dtype is dtypes.float32 else 1e-15)
    kept = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[kept], np.signbit(expected)[kept])


# ---------------------------------------------------------------------------------------------- special values

SPECIAL = [  # name, argument, result
    ("exp", np.inf, np.inf), ("exp", -np.inf, 0.0), ("exp", np.nan, np.nan), ("exp", 0.0, 1.0), ("exp", 1e+30, np.inf),
    ("exp", -1e+30, 0.0), ("exp2", 3.0, 8.0), ("exp2", -np.inf, 0.0), ("exp2", np.nan, np.nan),
    ("exp2", 5000.0, np.inf), ("log", 0.0, -np.inf), ("log", -0.0, -np.inf), ("log", -1.0, np.nan),
    ("log", np.inf, np.inf), ("log", 1.0, 0.0), ("log", np.nan, np.nan), ("log", -np.inf, np.nan),
    ("log2", 1024.0, 10.0), ("log2", 0.0, -np.inf), ("log2", 2.0**-140, -140.0), ("log2", -1.0, np.nan),
    ("tanh", np.inf, 1.0), ("tanh", -np.inf, -1.0), ("tanh", np.nan, np.nan), ("tanh", -0.0, -0.0),
    ("tanh", 1e-40, 1e-40), ("erf", np.inf, 1.0), ("erf", -np.inf, -1.0), ("erf", np.nan, np.nan), ("erf", -0.0, -0.0),
    ("sin", np.inf, np.nan), ("sin", -np.inf, np.nan), ("sin", np.nan, np.nan), ("sin", -0.0, -0.0), ("cos", 0.0, 1.0),
    ("cos", np.inf, np.nan), ("cos", np.nan, np.nan), ("tan", -0.0, -0.0), ("tan", np.inf, np.nan),
]


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("lanes", [1, 0])
def test_special_values(dtype: DType, lanes: int) -> None:
    for name in {case[0] for case in SPECIAL}:
        cases = [(argument, result) for other, argument, result in SPECIAL if other == name]
        cases += [cases[0]] * (-len(cases) % 16)
        x, expected = np.array(cases, dtype.numpy).T
        actual = call(name, dtype, np.ascontiguousarray(x), lanes=lanes)
        np.testing.assert_array_equal(actual, expected, err_msg=name)
        zeros = expected == 0
        np.testing.assert_array_equal(np.signbit(actual[zeros]), np.signbit(expected[zeros]), err_msg=name)


@pytest.mark.parametrize("name", [*BOUNDS, "pow"])
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64, dtypes.float16], ids=lambda dtype: dtype.name)
def test_no_call_of_libm(name: str, dtype: DType) -> None:
    """Lanes are computed together: the only calls are to our own vector functions."""
    sources = [dtype] * (2 if name == "pow" else 1)
    text = assembly([elementwise(operation(name), sources, dtype, HOST.lanes(dtype.itemsize), 256)], HOST)
    called = {line.split()[-1] for line in text.splitlines() if line.split()[:1] == ["callq"]}
    assert all(target.lstrip("*").startswith(("math.", "%")) for target in called), called


def test_scalars_and_vectors_agree_bit_by_bit(rng: np.random.Generator) -> None:
    for name in BOUNDS:
        for dtype in (dtypes.float32, dtypes.float64):
            x = all_magnitudes(dtype, rng)[:512]
            np.testing.assert_array_equal(call(name, dtype, x, lanes=1), call(name, dtype, x))
