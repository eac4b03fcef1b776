"""Every elementwise op on every dtype it accepts, scalar and vector, against the ops' NumPy references."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from llvm_harness import HOST, Native, elementwise, operation, run_elementwise

import ir
from codegen import loops
from codegen.llvm import OPERATIONS, UnsupportedOperation, emit_module
from codegen.target import Target
from ir.dtype import DType, bfloat16_to_float32, dtypes, float32_to_bfloat16

SIZE = 256
APPROXIMATE = {"exp", "exp2", "log", "log2", "sin", "cos", "tan", "tanh", "erf", "pow"}
CASES = [(name, dtype) for name, op in ir.ELEMENTWISE.items() for dtype in op.accepts]


def samples(dtype: DType, rng: np.random.Generator) -> np.ndarray:
    """Values as the interpreter holds them: ordinary ones, extremes, NaN, infinities and both zeros."""
    if dtype.is_bool:
        return rng.integers(0, 2, SIZE).astype(bool)
    if dtype.is_float:
        values = rng.uniform(-4, 4, SIZE)
        values[:32] = np.round(values[:32])
        values[32:64] *= 10.0 ** rng.uniform(-4, 4, 32)
        values[:9] = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 0.5, 2.5]
        return dtype.rounded(values)
    low, high = int(dtype.minimum), int(dtype.maximum)
    values = np.where(rng.random(SIZE) < 0.5, rng.integers(low, high, SIZE, dtype.numpy, endpoint=True),
                      rng.integers(max(low, -9), 9, SIZE).astype(dtype.numpy))
    values[:6] = [0, low, high, 1, np.array(-1 if low else 1, dtype.numpy), 2]
    return values.astype(dtype.numpy)


def stored(values: np.ndarray, dtype: DType) -> np.ndarray:
    return float32_to_bfloat16(values) if dtype is dtypes.bfloat16 else values


def held(values: np.ndarray, dtype: DType) -> np.ndarray:
    return bfloat16_to_float32(values) if dtype is dtypes.bfloat16 else values


def reference(name: str, operands: list[np.ndarray], types: list[DType]) -> np.ndarray:
    parameters = [ir.parameter(number, dtype, (SIZE,)) for number, dtype in enumerate(types)]
    node = ir.ELEMENTWISE[name](*parameters)
    with np.errstate(all="ignore"):
        return np.asarray(ir.evaluate([node], dict(zip(parameters, operands, strict=True)))[0])


def assert_equal(actual: np.ndarray, expected: np.ndarray, ulps: int = 0) -> None:
    """Equal, NaN being equal to NaN; approximate results may differ by ``ulps`` and lose nothing else."""
    wide = np.float64 if actual.dtype.kind == "f" else actual.dtype
    with np.errstate(all="ignore"):
        spacing = np.spacing(np.abs(expected)).astype(wide) * ulps if ulps else 0
        near = np.abs(actual.astype(wide) - expected.astype(wide)) <= spacing if ulps else actual == expected
        good = near | (actual == expected) | ((actual != actual) & (expected != expected))
    assert good.all(), f"{actual[~good][:5]} instead of {expected[~good][:5]}"


@pytest.mark.parametrize(("name", "dtype"), CASES, ids=[f"{name}-{dtype.name}" for name, dtype in CASES])
def test_op_equals_reference(name: str, dtype: DType, rng: np.random.Generator) -> None:
    op = ir.ELEMENTWISE[name]
    types = [dtype] * op.arity if name != "where" else [dtypes.bool, dtype, dtype]
    result = op.returns or dtype
    operands = [samples(kind, rng) for kind in types]
    expected = reference(name, operands, types)
    for lanes in (1, 16):
        actual = run_elementwise(operation(name), [stored(x, t) for x, t in zip(operands, types, strict=True)],
                                 types, result, lanes)
        ulps = {2: 1, 4: 4, 8: 8}[dtype.itemsize] if name in APPROXIMATE else 0
        assert_equal(held(actual, result), expected, ulps)


def test_every_elementwise_op_has_a_row() -> None:
    assert set(OPERATIONS) == set(ir.ELEMENTWISE)


CASTS = [(source, target) for source in dtypes.all for target in dtypes.all]


@pytest.mark.parametrize(("source", "target"), CASTS, ids=[f"{s.name}-{t.name}" for s, t in CASTS])
def test_cast_equals_reference(source: DType, target: DType, rng: np.random.Generator) -> None:
    values = samples(source, rng)
    if source.is_float:
        values[64:128] = source.rounded(rng.uniform(-1, 1, 64) * 2.0 ** rng.uniform(0, 70, 64))
        values[128:144] = source.rounded(rng.uniform(-1, 1, 16) * 2.0 ** rng.uniform(-30, -10, 16))
    parameter = ir.parameter(0, source, (SIZE,))
    with np.errstate(all="ignore"):
        expected = np.asarray(ir.evaluate([ir.cast(parameter, target)], {parameter: values})[0])
    for lanes in (1, 16):
        actual = run_elementwise(lambda x, type: loops.Convert(x, type), [stored(values, source)], [source], target,
                                 lanes)
        assert_equal(held(actual, target), expected)


@pytest.mark.parametrize(("source", "target"), [
    (s, t) for s, t in CASTS if s.bits == t.bits and s is not t], ids=lambda dtype: dtype.name)
def test_bitcast_keeps_bits(source: DType, target: DType, rng: np.random.Generator) -> None:
    values = stored(samples(source, rng), source)
    finite = np.where(np.isnan(held(values, source)), np.zeros_like(values), values) if source.is_float else values
    if target.is_float:  # a NaN may be quieted on its way
        finite = np.where(np.isnan(held(finite.view(target.numpy), target)), np.zeros_like(finite), finite)
    actual = run_elementwise(lambda x, type: loops.Reinterpret(x, type), [finite], [source], target, 16)
    np.testing.assert_array_equal(actual.view(np.uint8), np.ascontiguousarray(finite).view(np.uint8))


def test_float64_to_float16_rounds_once() -> None:
    """Halfway between two float16 as a float32, but not as a float64: rounding twice would be wrong."""
    values = np.array([1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-11 - 2.0**-40, 65520 - 1e-9, 65520, 1e-8, -2.0**-25] * 8)
    actual = run_elementwise(lambda x, type: loops.Convert(x, type), [values], [dtypes.float64], dtypes.float16, 16)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(actual, values.astype(np.float16))


@pytest.mark.parametrize("divisor", [1, -1, 3, -3, 8, -8, 0, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("code", ["floordiv", "mod", "truncdiv"])
def test_division_by_constants(code: str, divisor: int, rng: np.random.Generator) -> None:
    values = samples(dtypes.int32, rng)
    divisors = np.full(SIZE, divisor, np.int32)
    expected = reference(code, [values, divisors], [dtypes.int32] * 2)
    for lanes in (1, 16):
        literal = loops.Literal(divisor, loops.ValueType(dtypes.int32, lanes))
        actual = run_elementwise(lambda x, type, y=literal: loops.Operation(code, (x, y), type), [values],
                                 [dtypes.int32], dtypes.int32, lanes)
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="code for x86-64 cannot run here")
@pytest.mark.parametrize("target", [Target.cpu("x86-64"), Target.cpu("haswell", "+avx2,+fma,+f16c,+bmi2,+lzcnt")],
                         ids=["sse2", "avx2"])
@pytest.mark.parametrize(("name", "dtype"), [
    ("exp", dtypes.float32), ("tanh", dtypes.float64), ("sin", dtypes.float32), ("pow", dtypes.float32),
    ("round", dtypes.float32), ("floordiv", dtypes.int32), ("maximum", dtypes.float32), ("less", dtypes.uint64),
    ("add", dtypes.bfloat16), ("random_bits", dtypes.uint64), ("where", dtypes.int8)], ids=str)
def test_other_processors_get_the_same_results(target: Target, name: str, dtype: DType,
                                               rng: np.random.Generator) -> None:
    """Vectors wider than the registers are split; what an older processor lacks is emulated. Same bits as here."""
    if "+avx2" in target.features and "+avx2" not in HOST.features:
        pytest.skip("this machine has no AVX2")
    op = ir.ELEMENTWISE[name]
    types = [dtype] * op.arity if name != "where" else [dtypes.bool, dtype, dtype]
    arrays = [stored(samples(kind, rng), kind) for kind in types]
    results = [run_elementwise(operation(name), arrays, types, op.returns or dtype, 16, machine)
               for machine in (HOST, target)]
    np.testing.assert_array_equal(*results)


def test_fma_rounds_once() -> None:
    x = np.full(16, 1 + 2.0**-12, np.float32)
    type_ = loops.ValueType(dtypes.float32, 16)
    actual = run_elementwise(lambda a, type: loops.Fma(a, a, loops.Literal(-1.0, type_), type), [x],
                             [dtypes.float32], dtypes.float32, 16)
    np.testing.assert_array_equal(actual, np.float32(2.0**-11 + 2.0**-24))


def test_literals_keep_special_values() -> None:
    for value in (float("inf"), float("-inf"), float("nan"), -0.0, 0.0, 1e-45, 0.1):
        actual = run_elementwise(lambda x, type, v=value: loops.Literal(v, type), [np.zeros(16, np.float32)],
                                 [dtypes.float32], dtypes.float32, 16)
        np.testing.assert_array_equal(actual.view(np.uint32), np.full(16, value, np.float32).view(np.uint32))


def test_unknown_op_and_wrong_dtype_are_refused() -> None:
    with pytest.raises(UnsupportedOperation, match="'elementwise': cannot emit 'cosh'"):
        Native(elementwise(operation("cosh"), [dtypes.float32], dtypes.float32, 1, 16))
    with pytest.raises(UnsupportedOperation, match="'exp': it is not defined on int32"):
        emit_module([elementwise(operation("exp"), [dtypes.int32], dtypes.int32, 1, 16)], HOST, {})
