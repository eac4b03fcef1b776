"""The structural key: equal for graphs that one program can serve, different for everything else."""

from __future__ import annotations

from collections.abc import Callable

import ir
from ir import Node, Variable, dtypes
from runtime.structure import structure_of


def leaf(*shape: int | ir.Dimension, dtype: ir.DType = dtypes.float32) -> Node:
    return ir.buffer(object(), dtype, shape)


def test_graphs_over_different_buffers_are_equal() -> None:
    def graph() -> list[Node]:
        a, b = leaf(3), leaf(3)
        return [ir.add(ir.mul(a, b), a)]

    assert structure_of(graph()).key == structure_of(graph()).key


def test_which_buffer_is_which_matters() -> None:
    a, b = leaf(3), leaf(3)
    assert structure_of([ir.sub(ir.mul(a, b), a)]).key != structure_of([ir.sub(ir.mul(a, b), b)]).key
    assert structure_of([ir.sub(a, b)]).leaves == (a, b)
    assert structure_of([ir.sub(a, a)]).key != structure_of([ir.sub(a, b)]).key


CHANGES: list[Callable[[Node], list[Node]]] = [
    lambda x: [ir.exp(x)],
    lambda x: [ir.exp(x), x],
    lambda x: [x, ir.exp(x)],
    lambda x: [ir.log(x)],
    lambda x: [ir.mul(x, ir.constant_like(x, 0.0))],
    lambda x: [ir.mul(x, ir.constant_like(x, -0.0))],
    lambda x: [ir.mul(x, ir.constant_like(x, float("nan")))],
    lambda x: [ir.mul(x, ir.constant_like(x, 1.0))],
    lambda x: [ir.reduce("sum", x, (0,))],
    lambda x: [ir.reduce("max", x, (0,))],
    lambda x: [ir.reduce("max", x, (1,))],
    lambda x: [ir.cast(x, dtypes.int32)],
    lambda x: [ir.pad(x, ((0, 1), (0, 0)))],
    lambda x: [ir.pad(x, ((0, 1), (0, 0)), fill=-0.0)],
    lambda x: [ir.contiguous(x)],
    lambda x: [ir.assign(x, ir.neg(x))],
]


def test_every_difference_shows() -> None:
    shapes = ((2, 2), (2, 3))
    keys = [structure_of(change(leaf(*shape))).key for change in CHANGES for shape in shapes]
    again = [structure_of(change(leaf(*shape))).key for change in CHANGES for shape in shapes]
    assert keys == again
    assert len(set(keys)) == len(keys)


def test_dtypes_of_constants_show() -> None:
    keys = {structure_of([ir.constant(1, dtype, (2,))]).key
            for dtype in (dtypes.int32, dtypes.int64, dtypes.float32, dtypes.bool)}
    assert len(keys) == 4


def test_arguments_come_first_even_unused() -> None:
    a, b, c = leaf(2), leaf(2), leaf(2)
    structure = structure_of([ir.add(b, c)], first=[a, c])
    assert structure.leaves == (a, c, b)
    assert structure.key != structure_of([ir.add(b, c)], first=[c, a]).key


def test_symbolic_shapes_are_part_of_the_structure() -> None:
    n, m = Variable("n", 1, 8), Variable("m", 1, 8)
    assert structure_of([ir.exp(leaf(n))]).key == structure_of([ir.exp(leaf(Variable("n", 1, 8)))]).key
    assert structure_of([ir.exp(leaf(n))]).key != structure_of([ir.exp(leaf(m))]).key
    assert structure_of([ir.exp(leaf(n))]).key != structure_of([ir.exp(leaf(8))]).key


def test_long_chains_do_not_recurse() -> None:
    x = leaf(2)
    node = x
    for _ in range(100_000):
        node = ir.neg(node)
    assert structure_of([node]).leaves == (x,)
