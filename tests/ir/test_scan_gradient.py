"""What the gradient of a scan carries, what it sums after the loop, and what it reads instead of computing it again."""

from __future__ import annotations

import numpy as np
import pytest

import ir
from ir import Body, Node, dtypes

STEPS, BATCH, WIDTH = 5, 3, 4


def parameters(*shapes: tuple[int, ...]) -> list[Node]:
    return [ir.fresh_parameter(dtypes.float32, shape) for shape in shapes]


def product(x: Node, w: Node) -> Node:
    shape = (*x.shape, w.shape[1])
    wide = ir.expand(ir.reshape(x, (*x.shape, 1)), shape)
    return ir.reduce("sum", ir.mul(wide, ir.expand(ir.reshape(w, (1, *w.shape)), shape)), (1,))


def recurrent(axis: int = 0) -> tuple[list[Node], list[Node], list[Node]]:
    """h = tanh(h W + x + b) and its stacked states: (inputs of the graph, outputs, the same unrolled)."""
    h, w, b, x = parameters((BATCH, WIDTH), (WIDTH, WIDTH), (WIDTH,), (BATCH, WIDTH))

    def step(h: Node, w: Node, b: Node, x: Node) -> Node:
        return ir.tanh(ir.add(ir.add(product(h, w), x), ir.expand(ir.reshape(b, (1, WIDTH)), x.shape)))

    new = step(h, w, b, x)
    stacked = tuple(np.insert((BATCH, WIDTH), axis, STEPS).tolist())
    given = parameters((BATCH, WIDTH), (WIDTH, WIDTH), (WIDTH,), stacked)
    scan = ir.scan(Body((h, w, b, x), (new, w, b, new)), given[:3], given[3:], axis=axis)
    state, states = given[0], []
    for i in range(STEPS):
        ranges = tuple((i, i + 1, 1) if d == axis else (0, size, 1) for d, size in enumerate(stacked))
        state = step(state, given[1], given[2], ir.reshape(ir.slice(given[3], ranges), (BATCH, WIDTH)))
        states.append(ir.reshape(state, tuple(np.insert((BATCH, WIDTH), axis, 1).tolist())))
    return given, [ir.project(scan, 0), ir.project(scan, 3)], [state, ir.concat(states, axis)]


def scans(outputs: list[Node]) -> list[Node]:
    return [node for node in ir.topological_order(outputs) if node.op is ir.SCAN]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_gradient_is_that_of_the_unrolled_steps(axis: int) -> None:
    given, outputs, unrolled = recurrent(axis)
    seeds = [ir.fresh_parameter(x.dtype, x.shape) for x in outputs]
    wanted = ir.gradient(unrolled, seeds, given)
    found = ir.gradient(outputs, seeds, given)
    rng = np.random.default_rng(axis)
    values = {x: rng.standard_normal(x.shape).astype(np.float32) for x in (*given, *seeds)}
    for one, other in zip(ir.evaluate(found, values), ir.evaluate(wanted, values), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


def test_gradients_of_what_never_changes_are_sums_after_the_loop() -> None:
    given, outputs, _ = recurrent()
    [weight, bias] = ir.gradient(outputs[1:], [ir.constant(1.0, dtypes.float32, outputs[1].shape)], given[1:3])
    backward = next(node for node in scans([weight, bias]) if node.attributes.reverse)
    body, carries = backward.attributes.body, backward.attributes.carries
    changing = [x for x, after in zip(body.parameters[:carries], body.results, strict=False) if x is not after]
    assert [x.shape for x in changing] == [(BATCH, WIDTH)]


def test_sums_of_the_forward_step_are_read_by_the_backward_step() -> None:
    given, outputs, _ = recurrent()
    [first] = ir.gradient(outputs[:1], [ir.constant(1.0, dtypes.float32, outputs[0].shape)], given[:1])
    backward = next(node for node in scans([first]) if node.attributes.reverse)
    sums = [node for node in ir.topological_order(backward.attributes.body.results[:1]) if node.op is ir.REDUCE]
    assert len(sums) == 1  # the cotangent times the weight; not the state times the weight


def test_a_contribution_that_is_no_sum_is_carried() -> None:
    """h = h * a + x: the gradient of ``a`` has the size of what it is made of, and stacking that would cost memory."""
    h, a, x = parameters((WIDTH,), (WIDTH,), (WIDTH,))
    new = ir.add(ir.mul(h, a), x)
    given = parameters((WIDTH,), (WIDTH,), (STEPS, WIDTH))
    scan = ir.scan(Body((h, a, x), (new, a)), given[:2], given[2:])
    final = ir.project(scan, 0)
    [slope] = ir.gradient([final], [ir.constant(1.0, dtypes.float32, (WIDTH,))], [given[1]])
    assert slope.op is ir.PROJECT
    rng = np.random.default_rng(0)
    start, factor, rows = (rng.standard_normal(x.shape).astype(np.float32) for x in given)
    state, expected = start, np.zeros(WIDTH, np.float32)
    for row in rows:
        expected, state = expected * factor + state, state * factor + row
    [found] = ir.evaluate([slope], dict(zip(given, (start, factor, rows), strict=True)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
