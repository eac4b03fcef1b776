"""gather and scatter: values element by element, indices outside, repeated indices, gradients in every mode."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ir
from ir import dtypes

FLOAT = dtypes.float64


@st.composite
def cases(draw) -> tuple[np.ndarray, np.ndarray, int]:
    """(x, index, batch) with indices on both sides of the range."""
    sizes = st.lists(st.integers(1, 3), max_size=2)
    batches, length, trailing, indices = draw(sizes), draw(st.integers(1, 4)), draw(sizes), draw(sizes)
    shape = (*batches, length, *trailing)
    x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    count = int(np.prod([*batches, *indices]))
    index = draw(st.lists(st.integers(-2, length + 1), min_size=count, max_size=count))
    return x, np.array(index, np.int32).reshape((*batches, *indices)), len(batches)


def gathered(x: np.ndarray, index: np.ndarray, batch: int) -> np.ndarray:
    result = np.zeros(index.shape + x.shape[batch + 1:])
    for place in np.ndindex(index.shape):
        if 0 <= index[place] < x.shape[batch]:
            result[place] = x[place[:batch]][index[place]]
    return result


def scattered(x: np.ndarray, index: np.ndarray, updates: np.ndarray, batch: int, mode: str) -> np.ndarray:
    result = x.copy()
    combine = {"add": np.add, "max": np.maximum, "min": np.minimum, "set": lambda old, new: new}[mode]
    for place in np.ndindex(index.shape):
        if 0 <= index[place] < x.shape[batch]:
            row = result[place[:batch]]
            row[index[place]] = combine(row[index[place]], updates[place])
    return result


def nodes_of(*arrays: np.ndarray) -> dict[ir.Node, np.ndarray]:
    return {ir.parameter(n, ir.dtype_of_numpy(a.dtype), a.shape): a for n, a in enumerate(arrays)}


@given(cases())
def test_gather(case) -> None:
    x, index, batch = case
    values = nodes_of(x, index)
    node = ir.gather(*values, batch)
    ir.verify([node])
    np.testing.assert_array_equal(ir.evaluate([node], values)[0], gathered(x, index, batch))


@given(cases(), st.sampled_from(["add", "set", "max", "min"]))
def test_scatter(case, mode: str) -> None:
    x, index, batch = case
    updates = 3 - np.arange(np.prod(index.shape + x.shape[batch + 1:])).reshape(index.shape + x.shape[batch + 1:]) % 7.0
    values = nodes_of(x, index, updates)
    node = ir.scatter(*values, batch, mode)
    ir.verify([node])
    np.testing.assert_array_equal(ir.evaluate([node], values)[0], scattered(x, index, updates, batch, mode))


@given(cases())
def test_gather_and_scatter_add_are_transposed(case) -> None:
    x, index, batch = case
    values = nodes_of(x, index)
    node = ir.gather(*values, batch)
    g = ir.parameter(2, FLOAT, node.shape)
    values[g] = np.random.default_rng(0).integers(-9, 9, node.shape).astype(np.float64)
    argument = next(iter(values))
    (back,) = ir.gradient([node], [g], [argument])
    ir.verify([back])
    forward, backward = ir.evaluate([node, back], values)
    assert (forward * values[g]).sum() == (x * backward).sum()


INDEX = np.array([[0, 2, 2, -1], [1, 5, 1, 0]], np.int32)


@pytest.mark.parametrize("batch", [0, 1])
def test_second_order_of_gather(batch: int, check_gradient, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 2) if batch == 0 else (2, 3, 2))
    index = ir.parameter(0, dtypes.int32, INDEX.shape)
    check_gradient(lambda v: bound(ir.sin(ir.gather(v, index, batch)), index), x, order=2)


def bound(node: ir.Node, index: ir.Node) -> ir.Node:
    """The index as constants, so that the checker only sees floating-point arguments."""
    pieces = [ir.concat([ir.constant(int(v), dtypes.int32, (1,)) for v in row], 0) for row in INDEX]
    (result,) = ir.substitute([node], {index: ir.concat([ir.reshape(p, (1, 4)) for p in pieces], 0)})
    return result


@pytest.mark.parametrize(("mode", "batch"), [*itertools.product(["add", "set", "max", "min"], [0, 1])])
def test_gradients_of_scatter(mode: str, batch: int, check_gradient, rng: np.random.Generator) -> None:
    shape = (3, 2) if batch == 0 else (2, 3, 2)
    values = rng.permutation(np.linspace(-2, 2, int(np.prod(shape)) + 16))
    x, updates = values[:-16].reshape(shape), values[-16:].reshape(2, 4, 2)
    index = ir.parameter(0, dtypes.int32, INDEX.shape)
    check_gradient(lambda a, b: bound(ir.scatter(ir.mul(a, a), index, ir.sin(b), batch, mode), index), x, updates,
                   order=2)


def test_ties_of_scatter_max_share_the_gradient() -> None:
    x, u = ir.parameter(0, FLOAT, (2,)), ir.parameter(1, FLOAT, (3,))
    index = ir.parameter(2, dtypes.int64, (3,))
    node = ir.scatter(x, index, u, mode="max")
    gradients = ir.gradient([node], [ir.constant_like(x, 6)], [x, u])
    values = {x: np.array([1.0, 5.0]), u: np.array([1.0, 1.0, 2.0]), index: np.array([0, 0, 1])}
    assert [v.tolist() for v in ir.evaluate(gradients, values)] == [[2, 6], [2, 2, 0]]


def test_the_last_of_repeated_indices_wins_a_set() -> None:
    u = ir.parameter(0, FLOAT, (4,))
    index = ir.parameter(1, dtypes.int32, (4,))
    node = ir.scatter(ir.constant(0, FLOAT, (3,)), index, u, mode="set")
    (g,) = ir.gradient([node], [ir.constant(1, FLOAT, (3,))], [u])
    values = {u: np.array([1.0, 2, 3, 4]), index: np.array([0, 1, 0, 9])}
    assert [v.tolist() for v in ir.evaluate([node, g], values)] == [[3, 2, 0], [0, 1, 1, 0]]


def test_the_gradient_of_picking_one_a_row_is_no_scatter() -> None:
    logits, labels = ir.parameter(0, FLOAT, (4, 10)), ir.parameter(1, dtypes.int64, (4,))
    picked = ir.gather(logits, labels, 1)
    (g,) = ir.gradient([picked], [ir.constant(1, FLOAT, (4,))], [logits])
    names = [node.op.name for node in ir.topological_order([g])]
    assert "scatter" not in names and g.op.name == "where"
    np.testing.assert_array_equal(ir.evaluate([g], {labels: np.array([3, 0, 9, 99])})[0],
                                  np.eye(10)[[3, 0, 9, 0]] * [[1], [1], [1], [0]])


def test_picking_by_a_narrow_index_type() -> None:
    """An int8 cannot count 300 classes: the comparison must not wrap."""
    x, index = ir.parameter(0, FLOAT, (1, 300)), ir.parameter(1, dtypes.int8, (1,))
    (g,) = ir.gradient([ir.gather(x, index, 1)], [ir.constant(1, FLOAT, (1,))], [x])
    (value,) = ir.evaluate([g], {index: np.array([5])})
    assert np.nonzero(value[0])[0].tolist() == [5]


def test_unsigned_and_wide_indices() -> None:
    x, index = ir.parameter(0, FLOAT, (3,)), ir.parameter(1, dtypes.uint64, (2,))
    values = {x: np.array([1.0, 2, 3]), index: np.array([2, 2**64 - 1], np.uint64)}
    assert ir.evaluate([ir.gather(x, index)], values)[0].tolist() == [3, 0]


def test_empty_tables_and_indices() -> None:
    x, index = ir.parameter(0, FLOAT, (0, 2)), ir.parameter(1, dtypes.int32, (3,))
    assert ir.evaluate([ir.gather(x, index)], {x: np.zeros((0, 2)), index: np.zeros(3)})[0].tolist() == [[0, 0]] * 3
    y, none = ir.parameter(2, FLOAT, (4,)), ir.parameter(3, dtypes.int32, (0,))
    u = ir.parameter(4, FLOAT, (0,))
    values = {y: np.arange(4.0), none: np.zeros(0), u: np.zeros(0)}
    assert ir.evaluate([ir.scatter(y, none, u)], values)[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("build", "message"), [
    (lambda x, i: ir.gather(x, x), "an integer index; cast the index"),
    (lambda x, i: ir.gather(x, i, 2), r"0 <= batch < 2"),
    (lambda x, i: ir.gather(x, i, 1), "equal first 1 axes"),
    (lambda x, i: ir.scatter(x, i, x), r"updates float32\[5, 3\]"),
    (lambda x, i: ir.scatter(x, i, x, mode="mean"), "a mode among add, set, max, min"),
    (lambda x, i: ir.scatter(ir.less(x, x), i, ir.constant(True, dtypes.bool, (5, 3))), "mode 'max' of bool is or"),
])
def test_errors(build, message: str) -> None:
    with pytest.raises(ir.GraphError, match=message):
        build(ir.parameter(0, dtypes.float32, (4, 3)), ir.parameter(1, dtypes.int32, (5,)))


def test_symbolic_dimensions() -> None:
    n = ir.Variable("n", 1, 9)
    table, tokens = ir.parameter(0, FLOAT, (6, 2)), ir.parameter(1, dtypes.int32, (n,))
    rows = ir.gather(table, tokens)
    (g,) = ir.gradient([rows], [ir.constant_like(rows, 1)], [table])
    assert rows.shape == (n, 2)
    values = {table: np.zeros((6, 2)), tokens: np.array([1, 1, 5])}
    assert ir.evaluate([g], values, {"n": 3})[0][:, 0].tolist() == [0, 2, 0, 0, 0, 1]
