"""The interpreter, and the ops that need little else: sources, iota, assign, contiguous, stop_gradient."""

from __future__ import annotations

import numpy as np
import pytest

import ir
from ir import dtypes

X = ir.parameter(0, dtypes.float32, (2, 3))


def test_values_may_be_anything_numpy_reads() -> None:
    (value,) = ir.evaluate([ir.add(X, X)], {X: [[1, 2, 3], [4, 5, 6]]})
    assert value.dtype == np.float32 and value.tolist() == [[2, 4, 6], [8, 10, 12]]
    strided = np.arange(12).reshape(3, 4).T[::2]
    assert ir.evaluate([X], {X: strided})[0].tolist() == strided.tolist()


def test_missing_and_misshapen_values() -> None:
    with pytest.raises(ir.GraphError, match=r"no value was given for parameter 0 float32\[2, 3\]; bind it"):
        ir.evaluate([X])
    with pytest.raises(ir.GraphError, match="no value was given for the buffer"):
        ir.evaluate([ir.buffer("b", dtypes.float32, ())])
    with pytest.raises(ir.GraphError, match=r"parameter float32\[2, 3\] has shape \[3, 2\]"):
        ir.evaluate([X], {X: np.zeros((3, 2))})
    with pytest.raises(ir.SymbolicError, match="needs a value for 'n'"):
        ir.evaluate([ir.iota(ir.Variable("n", 1, 4))])


def test_several_outputs_share_work_and_inputs_are_not_changed() -> None:
    given = np.ones((2, 3), np.float32)
    shared = ir.exp(X)
    results = ir.evaluate([shared, ir.add(shared, shared), X, shared], {X: given})
    assert results[0] is results[3] and (given == 1).all()


def test_16_bit_floats_round_after_every_operation() -> None:
    for dtype in (dtypes.float16, dtypes.bfloat16):
        x = ir.parameter(0, dtype, (1,))
        third = ir.div(x, ir.constant_like(x, 3))
        (value,) = ir.evaluate([third], {x: np.array([1.0])})
        assert value.dtype == dtype.held and value[0] == dtype.constant(np.float32(1) / np.float32(3))


def test_bfloat16_comes_as_bits_or_as_numbers() -> None:
    x = ir.parameter(0, dtypes.bfloat16, (2,))
    for given in (np.array([0x3F80, 0xC000], np.uint16), np.array([1.0, -2.0], np.float32)):
        assert ir.evaluate([x], {x: given})[0].tolist() == [1, -2]


def test_iota() -> None:
    assert ir.evaluate([ir.iota(4)])[0].tolist() == [0, 1, 2, 3]
    assert ir.evaluate([ir.iota(3, dtypes.bfloat16)])[0].dtype == np.float32
    assert ir.evaluate([ir.iota(0)])[0].tolist() == []
    with pytest.raises(ir.GraphError, match="at least 0"):
        ir.iota(-1)
    with pytest.raises(ir.GraphError, match="integer or floating-point"):
        ir.iota(3, dtypes.bool)


def test_a_dimension_as_a_number() -> None:
    n = ir.Variable("n", -3, 9)
    nodes = [ir.dimension_value(size, dtypes.int64) for size in (n, n * 2 + 10, 5)]
    ir.verify(nodes)
    for value in (-3, 0, 9):
        assert [int(v) for v in ir.evaluate(nodes, symbols={"n": value})] == [value, value * 2 + 10, 5]


def test_values_of_buffers_inside_a_plan() -> None:
    b = ir.buffer("b", dtypes.int32, (2,))
    plan = ir.Plan([ir.add(b, b)])
    assert plan.run({b: np.array([1, 2], np.int32)})[0].tolist() == [2, 4]


# ---------------------------------------------------------------------------------------------------------- assign


def test_assign_makes_versions() -> None:
    b = ir.buffer("b", dtypes.float32, (3, 2))
    first = ir.assign(b, ir.add(b, ir.constant_like(b, 1)))
    second = ir.assign(first, ir.constant(9, dtypes.float32, (2, 1)), ((0, 3, 2), (1, 2, 1)))
    old, new, newest = ir.evaluate([b, first, second], {b: np.zeros((3, 2))})
    assert old.tolist() == [[0, 0]] * 3 and new.tolist() == [[1, 1]] * 3
    assert newest.tolist() == [[1, 9], [1, 1], [1, 9]]


def test_gradients_of_assign() -> None:
    b, v = ir.buffer("b", dtypes.float32, (4,)), ir.parameter(0, dtypes.float32, (2,))
    node = ir.assign(b, ir.mul(v, v), ((1, 4, 2),))
    to_buffer, to_value = ir.gradient([node], [ir.constant(1, dtypes.float32, (4,))], [b, v])
    values = ir.evaluate([to_buffer, to_value], {v: np.array([3, 5])})
    assert [x.tolist() for x in values] == [[1, 0, 1, 0], [6, 10]]


def test_assign_at_a_symbolic_place() -> None:
    n = ir.Variable("n", 0, 3)
    b = ir.buffer("b", dtypes.float32, (4, 2))
    node = ir.assign(b, ir.constant(7, dtypes.float32, (1, 2)), ((n, n + 1, 1), (0, 2, 1)))
    (value,) = ir.evaluate([node], {b: np.zeros((4, 2))}, {"n": 2})
    assert value[:, 0].tolist() == [0, 0, 7, 0]


@pytest.mark.parametrize(("build", "message"), [
    (lambda b: ir.assign(X, X), "a buffer, or an earlier assign to one.*the target is a parameter"),
    (lambda b: ir.assign(b, X), r"a value float32\[4\]"),
    (lambda b: ir.assign(b, X, ((0, 2, 1), (0, 3, 1))), "1 ranges, one for each axis"),
    (lambda b: ir.assign(b, ir.constant(1, dtypes.float32, (5,)), ((0, 5, 1),)), "0 <= start <= stop <= 4"),
])
def test_errors_of_assign(build, message: str) -> None:
    with pytest.raises(ir.GraphError, match=message):
        build(ir.buffer("b", dtypes.float32, (4,)))


# --------------------------------------------------------------------------------------------------------- markers


def test_markers_change_no_value_and_stop_gradient_stops() -> None:
    both = ir.mul(ir.contiguous(X), ir.stop_gradient(X))
    (g,) = ir.gradient([both], [ir.constant_like(X, 1)], [X])
    array = np.arange(6.0).reshape(2, 3)
    value, slope = ir.evaluate([both, g], {X: array})
    assert value.tolist() == (array * array).tolist() and slope.tolist() == array.tolist()
    assert ir.contiguous(ir.contiguous(X)) is ir.contiguous(X)
    assert ir.gradient([ir.stop_gradient(X)], [X], [X]) == [None]
