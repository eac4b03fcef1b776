"""inline_calls: the same values without calls; recomputing ones keep apart from the forward pass."""

from __future__ import annotations

import numpy as np

import ir
from ir import dtypes

FLOAT = dtypes.float64


def called(function, x: ir.Node, **options) -> ir.Node:
    argument = ir.fresh_parameter(*x.type)
    return ir.project(ir.call(ir.Body((argument,), (function(argument),)), [x], **options), 0)


def count(nodes: list[ir.Node], name: str) -> int:
    return sum(node.op.name == name for node in ir.topological_order(nodes))


def test_nested_calls_vanish_and_equal_work_is_shared() -> None:
    x = ir.parameter(0, FLOAT, (3,))
    y = called(lambda a: ir.mul(called(ir.sin, a), ir.exp(a)), x)
    (flat,) = ir.inline_calls([y])
    assert flat is ir.mul(ir.sin(x), ir.exp(x))
    assert ir.inline_calls([flat]) == [flat]


def test_the_derivative_of_a_call_recomputes() -> None:
    """A checkpoint: sin is computed by the forward pass, and again by the backward pass from the argument."""
    x = ir.parameter(0, FLOAT, (3,))
    y = called(lambda a: ir.exp(ir.sin(a)), x)
    (g,) = ir.gradient([y], [ir.constant_like(y, 1)], [x])
    flat = ir.inline_calls([y, g])
    ir.verify(flat)
    assert count(flat, "call") == 0 and count(flat, "sin") == 2 and count(flat[:1], "sin") == 1
    values = {x: np.array([0.1, 0.2, 0.3])}
    for mine, other in zip(ir.evaluate(flat, values), ir.evaluate([y, g], values), strict=True):
        np.testing.assert_array_equal(mine, other)
    plain = ir.exp(ir.sin(x))
    np.testing.assert_allclose(ir.evaluate([flat[1]], values)[0],
                               ir.evaluate(ir.gradient([plain], [ir.constant_like(x, 1)], [x]), values)[0])


def test_two_checkpoints_have_tags_of_their_own() -> None:
    x = ir.parameter(0, FLOAT, (3,))
    y = called(ir.tanh, called(ir.tanh, x))
    (g,) = ir.gradient([y], [ir.constant_like(y, 1)], [x])
    flat = ir.inline_calls([y, g])
    assert len({node.tag for node in ir.topological_order(flat)}) == 3 and ir.inline_calls([y, g]) == flat


def test_calls_inside_the_body_of_a_scan() -> None:
    total, row = ir.parameter(0, FLOAT, ()), ir.parameter(1, FLOAT, ())
    xs = ir.parameter(0, FLOAT, (4,))
    body = ir.Body((total, row), (ir.add(total, called(ir.sin, row)),))
    result = ir.project(ir.scan(body, [ir.constant(0, FLOAT)], [xs]), 0)
    (flat,) = ir.inline_calls([result])
    assert "call" not in ir.format_graph([flat]) and "call" in ir.format_graph([result])
    values = {xs: np.arange(4.0)}
    np.testing.assert_allclose(ir.evaluate([flat], values)[0], np.sin(np.arange(4.0)).sum())


def test_a_result_has_the_tag_of_its_node():
    total, x = ir.parameter(0, ir.dtypes.float32, ()), ir.parameter(1, ir.dtypes.float32, ())
    body = ir.Body((total, x), (ir.add(total, x), total))
    with ir.tagged(7):
        scan = ir.scan(body, [ir.constant(0, ir.dtypes.float32)], [ir.constant(1, ir.dtypes.float32, (3,))])
        inside = ir.project(scan, 1)
    assert ir.project(scan, 1) is inside and inside.tag == 7
