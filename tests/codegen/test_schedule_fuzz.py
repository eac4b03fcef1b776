"""Random graphs with views, reductions, gathers and assignments: every schedule computes what the interpreter does."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schedule_oracle import run_schedule

import ir
from codegen.schedule import Limits, schedule
from codegen.target import Target
from ir.dtype import dtypes
from ir.node import Node

TARGET = Target.cpu("generic")
LIMITS = [None, Limits(parallel=1, tiny=1 << 20), Limits(parallel=2, tiny=4, scratch=64, cache=64, inlined=3, kernel=6)]
F = dtypes.float32


class Growing:
    """A graph that grows by one random operation at a time; every value stays small and bounded."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        shapes = draw(st.lists(st.sampled_from([(4, 6), (6, 4), (2, 3, 4), (12,)]), min_size=1, max_size=3))
        self.buffers = [ir.buffer(i, F, shape) for i, shape in enumerate(shapes)]
        self.newest = list(self.buffers)
        self.values: list[Node] = list(self.buffers)

    def pick(self) -> Node:
        return self.draw(st.sampled_from(self.values))

    def grow(self) -> None:
        kind = self.draw(st.sampled_from([
            "unary", "binary", "binary", "reduce", "broadcast", "reshape", "permute", "slice", "pad", "flip", "concat",
            "window", "gather", "scatter", "assign", "region", "matmul", "contiguous"]))
        result = getattr(self, f"_{kind}")(self.pick())
        if result is not None and 0 < int(np.prod(result.shape)) <= 400 and len(result.shape) <= 4:
            self.values.append(result)

    def _unary(self, x: Node) -> Node:
        return self.draw(st.sampled_from([ir.sin, ir.neg, ir.abs, ir.tanh, ir.floor]))(x)

    def _binary(self, x: Node) -> Node | None:
        same = [y for y in self.values if y.shape == x.shape]
        y = self.draw(st.sampled_from(same))
        return self.draw(st.sampled_from([ir.add, ir.sub, ir.maximum, lambda a, b: ir.mul(ir.sin(a), b)]))(x, y)

    def _axis(self, x: Node) -> int:
        return self.draw(st.integers(0, len(x.shape) - 1))

    def _reduce(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        monoid = self.draw(st.sampled_from(["sum", "sum", "max", "min", "argmax"]))
        result = ir.reduce(monoid, x, (self._axis(x),))
        return result if monoid != "argmax" else ir.cast(result, F)

    def _broadcast(self, x: Node) -> Node:
        place, size = self.draw(st.integers(0, len(x.shape))), self.draw(st.sampled_from([2, 3, 4, 6]))
        kept = ir.reshape(x, (*x.shape[:place], 1, *x.shape[place:]))
        return ir.expand(kept, (*x.shape[:place], size, *x.shape[place:]))

    def _reshape(self, x: Node) -> Node | None:
        volume = int(np.prod(x.shape))
        divisors = [d for d in range(1, volume + 1) if volume % d == 0]
        first = self.draw(st.sampled_from(divisors))
        rest = [d for d in divisors if (volume // first) % d == 0]
        second = self.draw(st.sampled_from(rest))
        return ir.reshape(x, (first, second, volume // first // second))

    def _permute(self, x: Node) -> Node:
        return ir.permute(x, tuple(self.draw(st.permutations(range(len(x.shape))))))

    def _slice(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        axis = self._axis(x)
        start = self.draw(st.integers(0, x.shape[axis] - 1))
        bounds = [(0, size, 1) for size in x.shape]
        bounds[axis] = (start, x.shape[axis], self.draw(st.integers(1, 2)))
        return ir.slice(x, bounds)

    def _pad(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        widths = [(0, 0)] * len(x.shape)
        widths[self._axis(x)] = (self.draw(st.integers(0, 2)), self.draw(st.integers(0, 2)))
        return ir.pad(x, widths, self.draw(st.sampled_from([0, 1])))

    def _flip(self, x: Node) -> Node | None:
        return ir.flip(x, (self._axis(x),)) if x.shape else None

    def _concat(self, x: Node) -> Node | None:
        same = [y for y in self.values if y.shape == x.shape and y.shape]
        return ir.concat([x, self.draw(st.sampled_from(same))], self._axis(x)) if same and x.shape else None

    def _window(self, x: Node) -> Node | None:
        axis = self._axis(x) if x.shape else 0
        if not x.shape or x.shape[axis] < 2:
            return None
        return ir.window(x, axis, 2, self.draw(st.integers(1, 2)), 1, self.draw(st.integers(0, 1)), 1, 0)

    def _index(self, count: int) -> Node:
        index = ir.buffer(len(self.buffers), dtypes.int32, (count,))
        self.buffers.append(index)
        return index

    def _gather(self, x: Node) -> Node | None:
        return ir.gather(x, self._index(self.draw(st.integers(1, 5)))) if x.shape else None

    def _scatter(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        index = self._index(3)
        updates = ir.gather(x, self._index(3))
        return ir.scatter(x, index, ir.sin(updates), 0, self.draw(st.sampled_from(["add", "set", "max"])))

    def _matmul(self, x: Node) -> Node | None:
        partners = [y for y in self.values if len(y.shape) == 2 and len(x.shape) == 2 and y.shape[0] == x.shape[1]]
        if not partners:
            return None
        y = self.draw(st.sampled_from(partners))
        (m, k), n = x.shape, y.shape[1]
        left = ir.expand(ir.reshape(ir.sin(x), (m, k, 1)), (m, k, n))
        return ir.reduce("sum", ir.mul(left, ir.expand(ir.reshape(y, (1, k, n)), (m, k, n))), (1,))

    def _contiguous(self, x: Node) -> Node:
        return ir.contiguous(x)

    def _target(self) -> int:
        return self.draw(st.sampled_from([i for i, b in enumerate(self.newest) if b.dtype is F]))

    def _assign(self, x: Node) -> Node | None:
        number = self._target()
        target = self.newest[number]
        same = [y for y in self.values if y.shape == target.shape]
        self.newest[number] = ir.assign(target, ir.tanh(self.draw(st.sampled_from(same))))
        return self.newest[number]

    def _region(self, x: Node) -> Node | None:
        number = self._target()
        target = self.newest[number]
        region = [(0, size, 1) for size in target.shape]
        region[0] = (1, target.shape[0], 2)
        value = ir.slice(self.draw(st.sampled_from([y for y in self.values if y.shape == target.shape])), region)
        self.newest[number] = ir.assign(target, ir.sin(value), region)
        return self.newest[number]


def feeds_of(buffers: list[Node]) -> dict[Node, Any]:
    rng = np.random.default_rng(1)
    return {node: rng.normal(size=node.shape).astype(np.float32) if node.dtype is F
            else rng.integers(-1, 5, node.shape).astype(np.int32) for node in buffers}


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_graphs(data: st.DataObject) -> None:
    graph = Growing(data.draw)
    for _ in range(data.draw(st.integers(3, 14))):
        graph.grow()
    versions = [node for node in graph.newest if node.op.name == "assign"]
    outputs = [*versions, *data.draw(st.lists(st.sampled_from(graph.values), min_size=1, max_size=3))]
    outputs = [node if node in versions or node.op.name != "assign" else ir.contiguous(node) for node in outputs]
    feeds = feeds_of(graph.buffers)
    expected = ir.evaluate(outputs, feeds)
    for limits in LIMITS:
        found = run_schedule(schedule(outputs, TARGET, limits), feeds)
        for node, mine, theirs in zip(outputs, found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3, err_msg=ir.format_graph([node]))


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_programs_of_reads_and_assignments(data: st.DataObject) -> None:
    """Reads before and after writes, through views, of few buffers."""
    buffers = [ir.buffer(i, F, (4, 4)) for i in range(3)]
    newest = list(buffers)
    values: list[Node] = list(buffers)
    views = [lambda x: x, lambda x: ir.permute(x, (1, 0)), lambda x: ir.flip(x, (0,)),
             lambda x: ir.expand(ir.reshape(ir.reduce("sum", x, (1,)), (4, 1)), (4, 4))]
    for _ in range(data.draw(st.integers(2, 10))):
        x = data.draw(st.sampled_from(views))(data.draw(st.sampled_from([*values, *newest])))
        y = data.draw(st.sampled_from([*values, *newest]))
        value = ir.tanh(ir.sub(x, y))
        values.append(value)
        if data.draw(st.booleans()):
            number = data.draw(st.integers(0, 2))
            newest[number] = ir.assign(newest[number], value)
            values.append(newest[number])
    versions = [node for node in newest if node.op.name == "assign"]
    outputs = [*versions, ir.contiguous(data.draw(st.sampled_from(values)))]
    feeds = feeds_of(buffers)
    expected = ir.evaluate(outputs, feeds)
    for limits in LIMITS:
        found = run_schedule(schedule(outputs, TARGET, limits), feeds)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-3, err_msg=ir.format_graph(outputs))
