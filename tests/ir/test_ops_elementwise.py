"""Elementwise ops, cast and bitcast: values against plain NumPy, integer edge cases, shortcuts, errors, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ir
from ir import ELEMENTWISE, dtypes

erf = np.vectorize(math.erf, otypes=[float])
FLOAT_REFERENCE: dict[str, Callable] = {
    "neg": lambda x: -x, "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y, "pow": lambda x, y: x**y, "reciprocal": lambda x: 1 / x, "abs": np.abs,
    "maximum": np.maximum, "minimum": np.minimum, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "tanh": np.tanh, "erf": erf, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.round,
    "less": np.less, "less_equal": np.less_equal, "equal": np.equal, "not_equal": np.not_equal,
}
DIFFERENTIABLE = [name for name in FLOAT_REFERENCE if name not in (
    "floor", "ceil", "trunc", "round", "less", "less_equal", "equal", "not_equal")]


def apply(op: Callable[..., ir.Node], *arrays: np.ndarray, dtype: ir.DType) -> np.ndarray:
    arguments = [ir.parameter(number, dtype, array.shape) for number, array in enumerate(arrays)]
    return ir.evaluate([op(*arguments)], dict(zip(arguments, arrays, strict=True)))[0]


def wrap(value: int, dtype: ir.DType) -> int:
    return dtype.constant(value)


@pytest.mark.parametrize("dtype", [dtypes.float64, dtypes.float32, dtypes.float16, dtypes.bfloat16])
@pytest.mark.parametrize("name", FLOAT_REFERENCE)
def test_values_of_floats(name: str, dtype: ir.DType, rng: np.random.Generator) -> None:
    op = ELEMENTWISE[name]
    arrays = [dtype.rounded(rng.uniform(0.1, 2, (3, 5))) for _ in range(op.arity)]
    with np.errstate(all="ignore"):
        exact = FLOAT_REFERENCE[name](*(array.astype(np.float64) for array in arrays))
    actual = apply(op, *arrays, dtype=dtype)
    if op.returns is dtypes.bool:
        np.testing.assert_array_equal(actual, exact)
    else:
        precision = 2.0 ** -ir.dtypes.finfo(dtype)[1]
        np.testing.assert_allclose(actual.astype(np.float64), exact, rtol=2 * precision)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_of_any_order(name: str, check_gradient, rng: np.random.Generator) -> None:
    arrays = [rng.uniform(0.3, 1.2, (2, 3)) for _ in range(ELEMENTWISE[name].arity)]
    check_gradient(ELEMENTWISE[name], *arrays, order=3 if name in ("pow", "tanh", "div", "rsqrt") else 2,
                   tolerance=1e-4)


INTEGERS = st.sampled_from(ir.dtypes.ints)


def truncating_quotient(x: int, y: int) -> int:
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


EXACT: dict[str, Callable[[int, int], int]] = {
    "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y,
    "floordiv": lambda x, y: x // y if y else 0, "mod": lambda x, y: x % y if y else 0,
    "truncdiv": lambda x, y: truncating_quotient(x, y) if y else 0, "maximum": max, "minimum": min,
    "bit_and": lambda x, y: x & y, "bit_or": lambda x, y: x | y, "bit_xor": lambda x, y: x ^ y,
}


@pytest.mark.parametrize("name", EXACT)
@given(data=st.data(), dtype=INTEGERS)
def test_integers_wrap_and_divide_as_python(name: str, data, dtype: ir.DType) -> None:
    edge = st.sampled_from([0, 1, -1, 2, -7, int(dtype.minimum), int(dtype.maximum)])
    number = st.one_of(edge, st.integers(int(dtype.minimum), int(dtype.maximum))).map(dtype.constant)
    pairs = data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=6))
    x, y = (np.array(column, dtype.numpy) for column in zip(*pairs, strict=True))
    expected = [wrap(EXACT[name](*pair), dtype) for pair in pairs]
    assert apply(ELEMENTWISE[name], x, y, dtype=dtype).tolist() == expected


@given(data=st.data(), dtype=INTEGERS)
def test_shifts_beyond_the_width_leave_zero_or_the_sign(data, dtype: ir.DType) -> None:
    x = data.draw(st.integers(int(dtype.minimum), int(dtype.maximum)))
    amount = data.draw(st.integers(0, 80).filter(lambda a: a <= dtype.maximum))
    arrays = np.array([x], dtype.numpy), np.array([amount], dtype.numpy)
    assert apply(ir.shift_left, *arrays, dtype=dtype).tolist() == [wrap(x << amount, dtype)]
    assert apply(ir.shift_right, *arrays, dtype=dtype).tolist() == [x >> amount]


def test_negative_shifts_count_as_too_far() -> None:
    x, amount = np.array([5, -5], np.int8), np.array([-1, -1], np.int8)
    assert apply(ir.shift_left, x, amount, dtype=dtypes.int8).tolist() == [0, 0]
    assert apply(ir.shift_right, x, amount, dtype=dtypes.int8).tolist() == [0, -1]


def test_unary_integer_ops_wrap() -> None:
    x = np.array([-128, -1, 0, 127], np.int8)
    assert apply(ir.neg, x, dtype=dtypes.int8).tolist() == [-128, 1, 0, -127]
    assert apply(ir.abs, x, dtype=dtypes.int8).tolist() == [-128, 1, 0, 127]
    assert apply(ir.bit_not, x, dtype=dtypes.int8).tolist() == [127, 0, -1, -128]


def test_nan_wins_extremes_and_loses_comparisons() -> None:
    x, y = np.array([np.nan, 1, np.nan]), np.array([1, np.nan, np.nan])
    assert np.isnan(apply(ir.maximum, x, y, dtype=dtypes.float64)).all()
    assert np.isnan(apply(ir.minimum, x, y, dtype=dtypes.float64)).all()
    for comparison in (ir.less, ir.less_equal, ir.equal):
        assert not apply(comparison, x, y, dtype=dtypes.float64).any()
    assert apply(ir.not_equal, x, y, dtype=dtypes.float64).all()


def test_logic_of_bool() -> None:
    x, y = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    assert apply(ir.bit_xor, x, y, dtype=dtypes.bool).tolist() == [False, True, True, False]
    assert apply(ir.bit_not, x, dtype=dtypes.bool).tolist() == [True, True, False, False]
    assert apply(ir.less, x, y, dtype=dtypes.bool).tolist() == [False, True, False, False]


def test_random_bits_are_threefrys_published_ones() -> None:
    """The known answers of Random123 (kat_vectors, threefry2x32 20), low word first."""
    known = [((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
             ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
             ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0))]
    counters, keys, results = (np.array([low | high << 32 for low, high in column], np.uint64)
                               for column in zip(*known, strict=True))
    np.testing.assert_array_equal(apply(ir.random_bits, counters, keys, dtype=dtypes.uint64), results)


# ---------------------------------------------------------------------------------------------- where and casts


def test_where_hides_the_branch_not_taken(check_gradient) -> None:
    x = np.array([-1.0, 0.0, 4.0])

    def safe_root(v: ir.Node) -> ir.Node:
        zero = ir.constant_like(v, 0)
        return ir.where(ir.less(zero, v), ir.sqrt(v), zero)

    check_gradient(safe_root, np.array([-1.0, 4.0]), order=2)
    node = ir.parameter(0, dtypes.float64, (3,))
    (slope,) = ir.gradient([safe_root(node)], [ir.constant_like(node, 1)], [node])
    assert ir.evaluate([slope], {node: x})[0].tolist() == [0, 0, 0.25]


@pytest.mark.parametrize("function", [
    ir.sqrt, ir.rsqrt, ir.log, ir.log2, ir.reciprocal, lambda v: ir.div(ir.constant_like(v, 1), v),
    lambda v: ir.div(v, v), lambda v: ir.pow(v, ir.constant_like(v, -0.5)), lambda v: ir.pow(v, v),
], ids=["sqrt", "rsqrt", "log", "log2", "reciprocal", "div", "ratio", "root", "power"])
def test_a_masked_singularity_has_finite_gradients(function) -> None:
    """d/dx where(x > 0, f(x), 0) at 0, first and second order: 0, not NaN."""
    x = ir.parameter(0, dtypes.float64, (2,))
    zero, one = ir.constant_like(x, 0), ir.constant_like(x, 1)
    y = ir.where(ir.less(zero, x), function(x), zero)
    (first,) = ir.gradient([y], [one], [x])
    (second,) = ir.gradient([first], [one], [x])
    slope, curvature = ir.evaluate([first, second], {x: np.array([0.0, 1.0])})
    assert slope[0] == 0 and curvature[0] == 0 and np.isfinite([slope, curvature]).all()


def test_cast_of_floats_to_integers_truncates_and_saturates() -> None:
    x = np.array([-2.9, 2.9, 1e30, -1e30, np.nan, np.inf, 255.5])
    argument = ir.parameter(0, dtypes.float64, x.shape)
    expected = {
        dtypes.int8: [-2, 2, 127, -128, 0, 127, 127], dtypes.uint8: [0, 2, 255, 0, 0, 255, 255],
        dtypes.int64: [-2, 2, 2**63 - 1, -(2**63), 0, 2**63 - 1, 255],
        dtypes.uint64: [0, 2, 2**64 - 1, 0, 0, 2**64 - 1, 255], dtypes.bool: [True] * 7,
    }
    for dtype, values in expected.items():
        assert ir.evaluate([ir.cast(argument, dtype)], {argument: x})[0].tolist() == values


@given(value=st.integers(-(2**63), 2**63 - 1), source=INTEGERS, target=INTEGERS)
def test_cast_of_integers_keeps_the_low_bits(value: int, source: ir.DType, target: ir.DType) -> None:
    argument = ir.parameter(0, source, ())
    given_value = source.constant(value)
    array = np.array(given_value, source.numpy)
    assert ir.evaluate([ir.cast(argument, target)], {argument: array})[0] == target.constant(given_value)


@given(value=st.one_of(st.floats(), st.integers(-(2**31), 2**31), st.booleans()),
       source=st.sampled_from(ir.dtypes.all), target=st.sampled_from(ir.dtypes.all))
def test_cast_of_a_constant_is_the_constant_of_the_cast(value, source: ir.DType, target: ir.DType) -> None:
    folded = ir.cast(ir.constant(value, source), target)
    argument = ir.parameter(0, source, ())
    array = np.array(ir.constant(value, source).attributes.value, source.held)
    (computed,) = ir.evaluate([ir.cast(argument, target)], {argument: array})
    np.testing.assert_array_equal(ir.evaluate([folded])[0], computed)
    assert folded.dtype is target and folded.op.name == "constant"


def test_bitcast_keeps_bits() -> None:
    x = ir.parameter(0, dtypes.float32, (2,))
    bits = ir.bitcast(x, dtypes.uint32)
    value, back = ir.evaluate([bits, ir.bitcast(bits, dtypes.float32)], {x: np.array([1.0, -0.0])})
    assert value.tolist() == [0x3F800000, 0x80000000] and back.tolist() == [1, 0]
    half = ir.parameter(1, dtypes.bfloat16, (1,))
    assert ir.evaluate([ir.bitcast(half, dtypes.uint16)], {half: np.array([1.5])})[0].tolist() == [0x3FC0]
    with pytest.raises(ir.GraphError, match="as wide as"):
        ir.bitcast(x, dtypes.float64)


def test_gradient_of_cast_returns_to_the_operands_dtype() -> None:
    x = ir.parameter(0, dtypes.bfloat16, (3,))
    y = ir.cast(x, dtypes.float32)
    (g,) = ir.gradient([ir.mul(y, y)], [ir.constant_like(y, 1)], [x])
    assert g is not None and g.dtype is dtypes.bfloat16
    assert ir.gradient([ir.cast(ir.cast(x, dtypes.int32), dtypes.float32)], [ir.constant_like(y, 1)], [x]) == [None]


# ------------------------------------------------------------------------------------------ shortcuts and errors


def test_shortcuts_are_exact() -> None:
    x, i = ir.parameter(0, dtypes.float32, (2,)), ir.parameter(1, dtypes.int32, (2,))
    zero, one = ir.constant_like(x, 0), ir.constant_like(x, 1)
    assert ir.mul(x, one) is x and ir.mul(one, x) is x and ir.div(x, one) is x and ir.sub(x, zero) is x
    assert ir.add(x, ir.constant_like(x, -0.0)) is x and ir.add(i, ir.constant_like(i, 0)) is i
    assert ir.add(x, zero) is not x, "-0.0 + 0.0 is 0.0"
    assert ir.mul(x, zero) is not zero, "infinity * 0 is NaN"
    assert ir.mul(i, ir.constant_like(i, 0)) is ir.constant_like(i, 0)
    assert ir.pow(x, ir.constant_like(x, 2)) is ir.mul(x, x) and ir.neg(ir.neg(x)) is x
    condition = ir.constant(True, dtypes.bool, (2,))
    assert ir.where(condition, x, zero) is x and ir.where(ir.less(x, zero), x, x) is x


def test_operations_on_constants_are_constants() -> None:
    two = ir.constant(2, dtypes.float32, (3,))
    assert ir.add(two, two) is ir.constant(4, dtypes.float32, (3,))
    assert ir.less(two, two) is ir.constant(False, dtypes.bool, (3,))
    assert ir.div(two, ir.constant_like(two, 0)) is ir.constant(math.inf, dtypes.float32, (3,))


@pytest.mark.parametrize(("build", "message"), [
    (lambda x, i, b: ir.add(x, ir.reshape(x, (3, 2))), r"add\(float32\[2, 3\], float32\[3, 2\]\).*equal shapes"),
    (lambda x, i, b: ir.mul(x, i), "equal dtypes; cast one"),
    (lambda x, i, b: ir.add(b, b), "one of float16.*cast the operand"),
    (lambda x, i, b: ir.exp(i), r"exp\(int32\[2, 3\]\).*float64"),
    (lambda x, i, b: ir.floordiv(x, x), "uint8"),
    (lambda x, i, b: ir.where(x, x, x), "bool condition.*not_equal"),
    (lambda x, i, b: ir.where(b, x, i), "equal dtypes of the two values"),
    (lambda x, i, b: ir.add(x), "2 operands; given 1"),
])
def test_errors_say_what_where_and_how(build, message: str) -> None:
    x, i, b = (ir.parameter(n, d, (2, 3)) for n, d in enumerate((dtypes.float32, dtypes.int32, dtypes.bool)))
    with pytest.raises(ir.GraphError, match=message) as caught:
        build(x, i, b)
    assert f"(at {__file__}:" in str(caught.value)


def test_symbolic_shapes() -> None:
    n = ir.Variable("n", 0, 10)
    x = ir.parameter(0, dtypes.float32, (n, 2))
    y = ir.add(x, ir.constant(1, dtypes.float32, (n, 2)))
    assert y.shape == (n, 2)
    assert ir.evaluate([y], {x: np.zeros((3, 2))}, {"n": 3})[0].tolist() == [[1, 1]] * 3
