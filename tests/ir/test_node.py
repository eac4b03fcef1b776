"""Nodes: interning, locations, tags, deep graphs, and what the graph tools do with them."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest

import ir
from ir import dtypes

X = ir.parameter(0, dtypes.float32, (2, 3))


def test_equal_pure_nodes_are_one_object() -> None:
    assert ir.add(X, X) is ir.add(X, X)
    assert ir.parameter(0, dtypes.float32, [2, 3]) is X
    assert ir.parameter(0, dtypes.float32, (3, 2)) is not X


def test_buffers_and_assignments_have_identity() -> None:
    first, second = (ir.buffer("same", dtypes.float32, (2,)) for _ in range(2))
    assert first is not second
    assert ir.assign(first, second) is not ir.assign(first, second)


def test_constants_are_distinct_by_bits() -> None:
    nan = ir.constant(float("nan"), dtypes.float32)
    assert nan is ir.constant(-math.nan, dtypes.float32)
    assert ir.constant(-0.0, dtypes.float32) is not ir.constant(0.0, dtypes.float32)
    assert ir.constant(-0.0, dtypes.float32) is ir.constant(-0.0, dtypes.float32)
    ones = {ir.constant(1, dtype) for dtype in (dtypes.int32, dtypes.float32, dtypes.bool)}
    assert len(ones) == 3 and ir.constant(True, dtypes.int32) is ir.constant(1, dtypes.int32)
    assert ir.constant(0.1, dtypes.float32) is ir.constant(np.float32(0.1), dtypes.float32)


def test_numpys_integers_become_pythons() -> None:
    two, three = np.int64(2), np.int32(3)
    assert ir.parameter(0, dtypes.float32, (two, three)) is X
    views = [ir.reshape(X, (three, two)), ir.permute(X, np.array([1, 0])), ir.pad(X, ((two, 0), (0, three))),
             ir.slice(X, ((0, two, 1), (np.int8(1), three, two))), ir.window(X, two - 1, two), ir.flip(X, [two - 1]),
             ir.reduce("sum", X, [two - 1]), ir.expand(ir.slice(X, ((0, 1, 1), (0, 3, 1))), (two, three))]
    assert "np." not in ir.format_graph(views) and "int64" not in str([view.attributes for view in views])


def test_pads_with_zeros_of_either_sign_are_distinct() -> None:
    pads = [ir.pad(X, ((1, 0), (0, 0)), fill) for fill in (0.0, -0.0, math.nan, float("nan"))]
    assert len(set(pads)) == 3


def test_nodes_know_the_users_line() -> None:
    node = ir.exp(ir.parameter(7, dtypes.float32, (5,)))
    assert node.location is not None and node.location.file == __file__
    with ir.located(ir.Location("model.py", 12)):
        assert str(ir.cos(X).location) == "model.py:12"


def test_tagged_nodes_escape_interning() -> None:
    with ir.tagged(1):
        copy = ir.tan(X)
        assert copy is ir.tan(X)
    assert copy is not ir.tan(X)
    (remade,) = ir.substitute([copy], {X: ir.parameter(1, dtypes.float32, (2, 3))})
    assert remade.tag == 1


def test_dead_nodes_are_forgotten() -> None:
    gc.collect()
    before = ir.live_node_count()
    node = ir.exp2(ir.sin(ir.parameter(3, dtypes.float32, (11,))))
    assert ir.live_node_count() == before + 3
    del node
    assert ir.live_node_count() == before


def test_topological_order_has_operands_first_and_each_node_once() -> None:
    shared = ir.exp(X)
    left, right = ir.sin(shared), ir.cos(shared)
    assert ir.topological_order([ir.add(left, right), left]) == [X, shared, left, right, ir.add(left, right)]


def test_substitute_keeps_what_does_not_change() -> None:
    y = ir.parameter(1, dtypes.float32, (2, 3))
    kept, changed = ir.sin(X), ir.cos(y)
    a, b = ir.substitute([kept, ir.add(kept, changed)], {y: X})
    assert a is kept and b is ir.add(kept, ir.cos(X))
    with pytest.raises(ir.GraphError, match="another type"):
        ir.substitute([kept], {X: ir.constant(0, dtypes.float32)})


def test_specialize_leaves_no_symbol() -> None:
    n = ir.Variable("n", 1, 8)
    x = ir.parameter(0, dtypes.float32, (n, 3))
    step = ir.Body((ir.parameter(0, dtypes.float32, (3,)), ir.parameter(1, dtypes.float32, (3,))),
                   (ir.parameter(0, dtypes.float32, (3,)),))
    total = ir.project(ir.scan(step, [ir.constant(0, dtypes.float32, (3,))], [x]), 0)
    assert ir.is_symbolic_graph(ir.topological_order([total]))
    (fixed,), new_of = ir.specialize([total], {"n": 5})
    assert not ir.is_symbolic_graph(ir.topological_order([fixed])) and new_of[x].shape == (5, 3)
    with pytest.raises(ir.SymbolicError, match="outside its bounds"):
        ir.specialize([total], {"n": 9})


@pytest.fixture
def deep_chain() -> tuple[ir.Node, ir.Node]:
    x = ir.buffer("deep", dtypes.float32, (2,))
    y = x
    for step in range(100_000):
        y = ir.sin(y) if step % 2 else ir.add(y, x)
    return x, y


def test_a_chain_of_100000_nodes_builds_differentiates_runs_and_is_freed(deep_chain) -> None:
    x, y = deep_chain
    (slope,) = ir.gradient([y], [ir.constant(1, dtypes.float32, (2,))], [x])
    value, derivative = ir.evaluate([y, slope], {x: np.array([0.1, 0.2])})
    assert np.isfinite(value).all() and np.isfinite(derivative).all()
    (moved,) = ir.substitute([y], {x: ir.parameter(0, dtypes.float32, (2,))})
    assert len(ir.topological_order([moved])) == 100_001
    del x, y, slope, moved


def test_freeing_a_deep_chain_leaves_no_node() -> None:
    gc.collect()
    before = ir.live_node_count()
    y = ir.parameter(99, dtypes.float32, (2,))
    for _ in range(100_000):
        y = ir.sin(y)
    del y
    assert ir.live_node_count() == before
