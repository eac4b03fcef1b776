"""Index expressions: what simplifies, and that every simplification keeps the value."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.index import ZERO, Atom, Axis, Dynamic, Index, Quotient, Remainder, Symbol


def evaluate(index: Index, values: dict[Atom, int]) -> int:
    total = index.constant
    for atom, factor in index.terms:
        if isinstance(atom, Quotient):
            total += factor * (evaluate(atom.index, values) // atom.divisor)
        elif isinstance(atom, Remainder):
            total += factor * (evaluate(atom.index, values) % atom.divisor)
        else:
            total += factor * values[atom]
    return total


def points(*axes: Axis) -> list[dict[Atom, int]]:
    return [dict(zip(axes, values, strict=True)) for values in product(*(range(axis.extent) for axis in axes))]


def test_axis_of_extent_one_is_zero() -> None:
    assert Index.of(Axis(1)) == ZERO


def test_row_major_index_splits_back_into_its_digits() -> None:
    i, j, k = Axis(4), Axis(8), Axis(3)
    flat = Index.of(i) * 24 + Index.of(j) * 3 + Index.of(k)
    assert (flat // 24).bare is i
    assert (flat // 3 % 8).bare is j
    assert (flat % 3).bare is k


def test_quotient_and_remainder_fold_back_into_the_whole() -> None:
    x = Index.of(Axis(7)) * 5 + Index.of(Axis(11))
    assert (x // 4) * 4 + x % 4 == x
    assert (x // 4) * 12 + (x % 4) * 3 == x * 3


def test_nested_quotients_and_remainders_merge() -> None:
    x = Index.of(Axis(100))
    assert x // 3 // 5 == x // 15
    assert x % 12 % 4 == x % 4
    assert (x % 12) // 4 == x // 4 % 3


def test_flipped_axis_splits_without_division() -> None:
    i, j = Axis(3), Axis(4)
    flipped = (Index.of(i) * 4 + Index.of(j)) * -1 + 11
    assert flipped // 4 == Index.of(i) * -1 + 2
    assert flipped % 4 == Index.of(j) * -1 + 3


def test_window_with_stride_keeps_common_factor_out() -> None:
    o, k = Axis(5), Axis(2)
    index = Index.of(o) * 4 + Index.of(k) * 2
    assert index // 2 == Index.of(o) * 2 + Index.of(k)
    assert index % 2 == ZERO


def test_equal_quotients_are_one_atom() -> None:
    x = Index.of(Axis(10))
    assert x // 3 == x // 3
    assert (x // 3).terms[0][0] is (x // 3).terms[0][0]


def test_dynamic_of_extent_one_is_kept_for_its_guard() -> None:
    table = Dynamic(expression=None, extent=1)
    assert not Index.of(table).is_constant
    assert Index.of(table).dynamics == (table,)


def test_axes_include_those_of_dynamic_atoms() -> None:
    i, j = Axis(4), Axis(5)
    index = Index.of(Dynamic(None, 9, frozenset({i}))) * 5 + Index.of(j)
    assert index.axes == {i, j}
    assert not index.is_affine_in(i)
    assert index.is_affine_in(j)


def test_symbols_have_bounds_and_can_be_replaced() -> None:
    step = Symbol("step", 0, 9)
    index = Index.of(step) * 8 + Index.of(Axis(8))
    assert index.bounds == (0, 79)
    assert (index // 8) == Index.of(step)
    assert index.substitute({step: Index.of(3)}).bounds == (24, 31)


@pytest.mark.parametrize("divisor", [2, 3, 4, 6])
def test_substitution_keeps_values(divisor: int) -> None:
    i, j, k = Axis(6), Axis(4), Axis(3)
    index = (Index.of(i) * 4 + Index.of(j)) // divisor + (Index.of(i) * 4 + Index.of(j)) % divisor * 2
    for values in points(j, k):
        replaced = index.substitute({i: Index.of(k) * 2 + 1})
        assert evaluate(replaced, values) == evaluate(index, {i: 2 * values[k] + 1, **values})


steps = st.lists(st.tuples(st.sampled_from(["div", "mod", "scale", "add", "plus_axis"]), st.integers(1, 7)),
                 max_size=6)


@given(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
       st.tuples(st.integers(-6, 12), st.integers(-6, 12), st.integers(-6, 12)), st.integers(-9, 9), steps)
def test_simplification_keeps_values(extents: tuple[int, int, int], factors: tuple[int, int, int], constant: int,
                                     operations: list[tuple[str, int]]) -> None:
    axes = [Axis(extent) for extent in extents]
    index = Index.of(constant)
    for axis, factor in zip(axes, factors, strict=True):
        index = index + Index.of(axis) * factor
    expected = [constant + sum(f * values[a] for f, a in zip(factors, axes, strict=True)) for values in points(*axes)]
    for operation, number in operations:
        extra = axes[number % 3]
        for position, values in enumerate(points(*axes)):
            old = expected[position]
            expected[position] = {"div": old // number, "mod": old % number, "scale": old * (number - 3),
                                  "add": old + number, "plus_axis": old + number * values[extra]}[operation]
        index = {"div": index // number, "mod": index % number, "scale": index * (number - 3), "add": index + number,
                 "plus_axis": index + Index.of(extra) * number}[operation]
    assert [evaluate(index, values) for values in points(*axes)] == expected
    low, high = index.bounds
    assert all(low <= value <= high for value in expected)
