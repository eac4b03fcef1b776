"""Random programs of all kinds of ops: gradients of both modes against finite differences, and simplified ones too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import ir
from ir import dtypes

SHAPE = (2, 3)
FLOAT = dtypes.float64


def rows(x: ir.Node, monoid: str) -> ir.Node:
    return ir.expand(ir.reshape(ir.reduce(monoid, x, (1,)), (2, 1)), SHAPE)


def damped(x: ir.Node, y: ir.Node) -> ir.Node:
    return ir.div(x, ir.add(ir.mul(y, y), ir.constant_like(y, 1)))


def smoothed(x: ir.Node, y: ir.Node) -> ir.Node:
    return ir.reduce("sum", ir.window(x, 1, 3, 1, 1, 1, 1), (2,))


def every_other(x: ir.Node, y: ir.Node) -> ir.Node:
    windows = ir.window(ir.concat([x, y], 1), 1, 2, 2, 1, 0, 1)
    return ir.reduce("sum", windows, (2,))


def shuffled(x: ir.Node, y: ir.Node) -> ir.Node:
    order = ir.concat([ir.constant(number, dtypes.int32, (1,)) for number in (1, 7, 1)], 0)
    return ir.permute(ir.gather(ir.permute(x, (1, 0)), order), (1, 0))


def running(x: ir.Node, y: ir.Node) -> ir.Node:
    total, row = (ir.fresh_parameter(FLOAT, (2,)) for _ in range(2))
    new = ir.tanh(ir.add(ir.mul(total, row), row))
    node = ir.scan(ir.Body((total, row), (new, new)), [ir.constant(0.5, FLOAT, (2,))], [ir.permute(x, (1, 0))])
    return ir.permute(ir.project(node, 1), (1, 0))


def halves(x: ir.Node, y: ir.Node) -> ir.Node:
    left, right = ir.slice(x, ((0, 2, 1), (0, 2, 1))), ir.slice(y, ((0, 2, 1), (1, 2, 1)))
    return ir.concat([right, ir.flip(left, (0, 1))], 1)


STEPS: list[Callable[[ir.Node, ir.Node], ir.Node]] = [
    ir.add, ir.sub, ir.mul, damped, smoothed, every_other, shuffled, running, halves,
    lambda x, y: ir.sin(x), lambda x, y: ir.tanh(x), lambda x, y: ir.exp(ir.sin(y)),
    lambda x, y: ir.mul(x, rows(ir.sin(y), "sum")), lambda x, y: ir.add(y, rows(ir.sin(x), "prod")),
    lambda x, y: ir.reshape(ir.permute(x, (1, 0)), SHAPE),
    lambda x, y: ir.slice(ir.pad(x, ((1, 0), (0, 2)), 0.5), ((0, 2, 1), (1, 4, 1))),
    lambda x, y: ir.scatter(x, ir.constant(1, dtypes.int32, (1,)), ir.slice(y, ((0, 1, 1), (0, 3, 1)))),
]
STEP = st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 9), st.integers(0, 9))
PROGRAMS = st.lists(STEP, min_size=2, max_size=9)


def built(program: list[tuple[int, int, int]], inputs: list[ir.Node]) -> ir.Node:
    values = list(inputs)
    for step, first, second in program:
        values.append(STEPS[step](values[-1 - first % len(values)], values[-1 - second % len(values)]))
    return ir.add(ir.sin(values[-1]), values[-2])


@settings(max_examples=60)
@given(PROGRAMS)
def test_both_modes(program: list[tuple[int, int, int]]) -> None:
    rng = np.random.default_rng(len(program))
    inputs = [ir.parameter(number, FLOAT, SHAPE) for number in range(2)]
    tangents = [ir.parameter(2 + number, FLOAT, SHAPE) for number in range(2)]
    cotangent = ir.parameter(4, FLOAT, SHAPE)
    values = {node: rng.uniform(-1, 1, SHAPE) for node in [*inputs, *tangents, cotangent]}
    output = built(program, inputs)
    pulled = [ir.constant_like(x, 0) if g is None else g
              for x, g in zip(inputs, ir.gradient([output], [cotangent], inputs), strict=True)]
    pushed = [ir.constant_like(output, 0) if t is None else t for t in ir.jvp([output], inputs, tangents)]
    graph = [*pulled, *pushed]
    simpler = ir.simplify(graph)
    ir.verify(graph)
    ir.verify(simpler)

    ends = [ir.evaluate([output], {x: values[x] + step * values[t] for x, t in zip(inputs, tangents, strict=True)})[0]
            for step in (1e-6, -1e-6)]
    along = (ends[0] - ends[1]) / 2e-6
    for nodes in (graph, simpler):
        first, second, forward = ir.evaluate(nodes, values)
        np.testing.assert_allclose(forward, along, rtol=1e-5, atol=1e-6)
        backward = (first * values[tangents[0]] + second * values[tangents[1]]).sum()
        np.testing.assert_allclose(backward, (forward * values[cotangent]).sum(), rtol=1e-9, atol=1e-9)
