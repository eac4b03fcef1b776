"""reduce: values against NumPy, NaN and ties, empty axes, 16-bit accumulation, gradients of any order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ir
from ir import dtypes

REFERENCE = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


def reduced(monoid: str, array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    x = ir.parameter(0, ir.dtype_of_numpy(array.dtype), array.shape)
    node = ir.reduce(monoid, x, axes)
    ir.verify([node])
    return ir.evaluate([node], {x: array})[0]


@st.composite
def arrays_and_axes(draw) -> tuple[np.ndarray, tuple[int, ...]]:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    axes = draw(st.sets(st.integers(0, len(shape) - 1)))
    values = draw(st.lists(st.sampled_from([-3.0, -1.0, 0.0, 2.0, 5.0, math.nan]), min_size=4, max_size=4))
    return np.resize(np.array(values), shape), tuple(sorted(axes))


@pytest.mark.parametrize("monoid", REFERENCE)
@given(arrays_and_axes())
def test_values(monoid: str, case) -> None:
    array, axes = case
    np.testing.assert_allclose(reduced(monoid, array, axes), REFERENCE[monoid](array, axis=axes))


@pytest.mark.parametrize("monoid", ["argmax", "argmin"])
@given(arrays_and_axes())
def test_positions_count_row_major_and_take_the_first(monoid: str, case) -> None:
    array, axes = case
    kept = [axis for axis in range(array.ndim) if axis not in axes]
    rows = array.transpose(*kept, *axes).reshape(*(array.shape[axis] for axis in kept), -1)
    result = reduced(monoid, array, axes)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, getattr(np, monoid)(rows, axis=-1))


def test_integers_wrap() -> None:
    assert reduced("sum", np.array([100, 100], np.int8), (0,)) == -56
    assert reduced("prod", np.array([16, 17], np.uint8), (0,)) == 16


def test_reducing_nothing_gives_the_identity() -> None:
    empty = np.zeros((0, 2), np.float32)
    for monoid, expected in {"sum": 0, "prod": 1, "max": -math.inf, "min": math.inf}.items():
        assert reduced(monoid, empty, (0,)).tolist() == [expected] * 2
        assert ir.identity(monoid, dtypes.float32) == expected
    assert reduced("max", np.zeros((0,), np.int8), (0,)) == -128
    assert reduced("min", np.zeros((0,), bool), (0,)) == True  # noqa: E712
    with pytest.raises(ir.GraphError, match="at least one element"):
        reduced("argmax", empty, (0,))


def test_sums_of_half_precision_accumulate_in_single() -> None:
    x = ir.parameter(0, dtypes.float16, (4096,))
    assert ir.evaluate([ir.reduce("sum", x, (0,))], {x: np.ones(4096)})[0] == 4096
    y = ir.parameter(1, dtypes.bfloat16, (4096,))
    assert ir.evaluate([ir.reduce("sum", y, (0,))], {y: np.ones(4096)})[0] == 4096


def test_any_and_all_are_max_and_min() -> None:
    array = np.array([[True, False], [True, True]])
    assert reduced("max", array, (1,)).tolist() == [True, True]
    assert reduced("min", array, (1,)).tolist() == [False, True]


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (0, 1, 2), ()])
@pytest.mark.parametrize("monoid", REFERENCE)
def test_gradients(monoid: str, axes: tuple[int, ...], check_gradient, rng: np.random.Generator) -> None:
    array = rng.permutation(np.linspace(-1.7, 1.9, 12)).reshape(2, 3, 2)
    check_gradient(lambda x: ir.reduce(monoid, ir.mul(x, x) if monoid == "sum" else x, axes), array, order=2)


def test_gradient_of_prod_is_exact_with_zeros(check_gradient) -> None:
    rows = np.array([[2.0, 0, 3], [0, 5, 0], [0, 0, 0], [1, 2, 3]])
    check_gradient(lambda x: ir.reduce("prod", x, (1,)), rows, order=3)
    check_gradient(lambda x: ir.reduce("prod", x, (0, 1)), rows[:1, :2], order=2)


@pytest.mark.parametrize("monoid", ["max", "min"])
def test_ties_share_the_gradient(monoid: str) -> None:
    x = ir.parameter(0, dtypes.float64, (2, 4))
    (g,) = ir.gradient([ir.reduce(monoid, x, (1,))], [ir.constant(1, dtypes.float64, (2,))], [x])
    array = np.array([[3.0, 3, 1, 3], [0, 0, 0, 0]]) * (1 if monoid == "max" else -1)
    np.testing.assert_allclose(ir.evaluate([g], {x: array})[0], [[1 / 3, 1 / 3, 0, 1 / 3], [1 / 4] * 4])


def test_positions_have_no_gradient() -> None:
    x = ir.parameter(0, dtypes.float32, (3,))
    position = ir.cast(ir.reduce("argmax", x, (0,)), dtypes.float32)
    assert ir.gradient([position], [ir.constant_like(position, 1)], [x]) == [None]


def test_construction() -> None:
    x = ir.parameter(0, dtypes.float32, (2, 1, 3))
    assert ir.reduce("sum", x, ()) is x
    assert ir.reduce("max", x, (1,)) is ir.reshape(x, (2, 3))
    assert ir.reduce("sum", x, (-1,)) is ir.reduce("sum", x, (2,))
    assert ir.reduce("sum", ir.constant(2, dtypes.int32, (3, 4)), (0, 1)) is ir.constant(24, dtypes.int32)
    assert ir.reduce("max", ir.constant(2, dtypes.int32, (3, 4)), (1,)) is ir.constant(2, dtypes.int32, (3,))


@pytest.mark.parametrize(("build", "message"), [
    (lambda x: ir.reduce("mean", x, (0,)), "no reduction is named 'mean'; there are sum, prod"),
    (lambda x: ir.reduce("sum", x, (0, 0)), "distinct axes"),
    (lambda x: ir.reduce("sum", x, (2,)), r"in \[0, 2\)"),
    (lambda x: ir.reduce("sum", ir.less(x, x), (0,)), "'max' of bool is any"),
])
def test_errors(build, message: str) -> None:
    with pytest.raises(ir.GraphError, match=message):
        build(ir.parameter(0, dtypes.float32, (2, 3)))


def test_symbolic_lengths() -> None:
    n = ir.Variable("n", 1, 8)
    x = ir.parameter(0, dtypes.float32, (n, 3))
    total = ir.reduce("sum", x, (0,))
    (g,) = ir.gradient([ir.mul(total, total)], [ir.constant(1, dtypes.float32, (3,))], [x])
    assert g.shape == (n, 3)
    assert ir.evaluate([g], {x: np.ones((4, 3))}, {"n": 4})[0].tolist() == [[8] * 3] * 4
