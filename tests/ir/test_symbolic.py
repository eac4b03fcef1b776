"""Bounded symbolic integers: arithmetic, bounds, comparisons, and the errors where bounds do not decide."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir.symbolic import (
    Dimension,
    SymbolicError,
    Variable,
    evaluate_dimension,
    is_symbolic,
    lower_bound,
    product,
    same_product,
    upper_bound,
    variables_of,
)

N = Variable("n", 1, 64)
M = Variable("m", -3, 5)

factors = st.integers(-6, 6)
values = st.fixed_dictionaries({"n": st.integers(N.low, N.high), "m": st.integers(M.low, M.high)})
affine = st.tuples(factors, factors, st.integers(-20, 20)).map(lambda f: N * f[0] + M * f[1] + f[2])


@given(affine, affine, factors, values)
def test_arithmetic_commutes_with_evaluation(x, y, factor, chosen):
    def evaluate(dimension):
        return evaluate_dimension(dimension, chosen)

    assert evaluate(x + y) == evaluate(x) + evaluate(y)
    assert evaluate(x - y) == evaluate(x) - evaluate(y)
    assert evaluate(x * factor) == evaluate(x) * factor == evaluate(factor * x)
    assert evaluate(factor - x) == factor - evaluate(x)
    assert (x + y) - y == x
    if factor:
        assert (x * factor) // factor == x
        assert (x * factor) % factor == 0


@given(affine, values)
def test_value_lies_within_bounds(x, chosen):
    assert lower_bound(x) <= evaluate_dimension(x, chosen) <= upper_bound(x)


@given(affine, affine, values)
def test_decided_comparisons_hold_for_every_value(x, y, chosen):
    left, right = evaluate_dimension(x, chosen), evaluate_dimension(y, chosen)
    for compare in (lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b, lambda a, b: a >= b):
        try:
            decided = compare(x, y)
        except SymbolicError:
            continue
        assert decided == compare(left, right)


@given(affine, affine)
def test_equal_dimensions_hash_equally(x, y):
    assert (x == y) == (not is_symbolic(x - y) and x - y == 0)
    if x == y:
        assert hash(x) == hash(y)


def test_arithmetic_without_variables_left_is_an_int():
    assert isinstance(N - N, int)
    assert isinstance(N * 0, int)
    assert (N + 1) - 1 is N
    assert N * 4 // N == 4
    assert (N * 4 + 8) // (N + 2) == 4


def test_repr_is_readable():
    assert repr(N * 4 + 8) == "4*n + 8"
    assert repr(-N - M * 2 - 1) == "-2*m - n - 1"
    assert repr(N.bind(3)) == "n=3"


def test_equality_with_an_int_is_structural():
    assert N != 5
    assert Variable("one", 1, 1) != 1
    assert (Variable("n", 1, 64), 4) == (N, 4)
    assert Variable("n", 1, 64) != Variable("n", 1, 65)


def test_bounds_decide_or_raise():
    assert N > 0
    assert N <= 64
    assert not N > 64
    assert bool(N)
    assert N + 1 > N
    with pytest.raises(SymbolicError, match=r"n < 5 is not decided by the bounds n\[1\.\.64\]"):
        assert N < 5
    with pytest.raises(SymbolicError, match=r"whether m is 0"):
        bool(M)


def test_bind():
    assert N.bind(7).unbind() == (N, 7)
    with pytest.raises(SymbolicError, match=r"n = 65 is outside its bounds \[1, 64\]"):
        N.bind(65)
    with pytest.raises(SymbolicError, match="needs a value for 'n'"):
        (N + 1).evaluate({"m": 2})
    with pytest.raises(SymbolicError, match="outside its bounds"):
        (N + 1).evaluate({"n": 0})


def test_refusals():
    with pytest.raises(SymbolicError, match="not affine"):
        N * M
    with pytest.raises(SymbolicError, match="multiple"):
        N // 2
    with pytest.raises(SymbolicError, match="remainder"):
        (N * 2 + 1) // 2
    with pytest.raises(ZeroDivisionError):
        N // 0
    with pytest.raises(SymbolicError, match="two variables are named 'n'"):
        N + Variable("n", 1, 5)
    with pytest.raises(SymbolicError, match="has no value"):
        Variable("n", 2, 1)
    with pytest.raises(SymbolicError, match="identifier"):
        Variable("2n", 0, 1)
    with pytest.raises(TypeError):
        N + "1"
    with pytest.raises(TypeError):
        range(N)


def test_product():
    assert product(()) == 1
    assert product((2, N, 3)) == N * 6
    assert product((N, 0, M)) == 0
    with pytest.raises(SymbolicError):
        product((N, M))


def test_same_product_compares_polynomials():
    assert same_product((N, N, 64), (N * 8, N, 8))
    assert same_product((N * 2 + 2, 3), (N + 1, 6))
    assert same_product((0, N), (M, N, 0))
    assert not same_product((N, M), (N, N))
    assert not same_product((N,), (64,))
    assert not same_product((N,), (Variable("n", 1, 63),))


def test_variables_of():
    assert variables_of((4, N + 1, M, N)) == (N, M)


@pytest.mark.parametrize("dimension", [N, N * 3 + M - 2])
def test_copies_are_equal(dimension):
    assert copy.deepcopy(dimension) == dimension
    assert pickle.loads(pickle.dumps(dimension)) == dimension
    assert isinstance(dimension, Dimension)
