"""Schedules of graphs with bounded symbolic dimensions: one schedule, run for several values of the variables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import schedule_models as models
from schedule_oracle import run_schedule

import ir
from codegen.schedule import Limits, schedule
from codegen.schedule.order import kernels_of
from codegen.target import Target
from ir.dtype import dtypes
from ir.node import Node

TARGET = Target.cpu("generic")
F = dtypes.float32
LENGTH = ir.Variable("length", 1, 8)
START = ir.Variable("start", 0, 7)


def check(outputs: Sequence[Node], **symbols: int) -> None:
    """The schedule at the given values of the variables against the interpreter on the specialised graph."""
    specialised, new_of = ir.specialize(outputs, symbols)
    rng = np.random.default_rng(0)
    buffers = [node for node in ir.topological_order(outputs) if node.op.name == "buffer"]
    feeds = {node: rng.normal(size=new_of[node].shape).astype(node.dtype.held) for node in buffers}
    expected = ir.evaluate(specialised, {new_of[node]: array for node, array in feeds.items()})
    for limits in (None, Limits(parallel=2, tiny=4, scratch=64, cache=64, inlined=4, kernel=8)):
        found = run_schedule(schedule(outputs, TARGET, limits), feeds, symbols)
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 3, 8])
def test_elementwise_and_reductions(length: int) -> None:
    x = ir.buffer(None, F, (LENGTH, 4))
    check([ir.exp(x), ir.reduce("sum", x, (0,)), ir.reduce("max", x, (0, 1)), ir.permute(ir.sin(x), (1, 0))],
          length=length)


@pytest.mark.parametrize("length", [1, 5, 8])
def test_reshapes_that_keep_the_layout(length: int) -> None:
    x = ir.buffer(None, F, (LENGTH, 6))
    check([ir.exp(ir.reshape(x, (LENGTH, 2, 3))), ir.reduce("sum", ir.reshape(ir.sin(x), (LENGTH * 6,)), (0,))],
          length=length)


def test_a_reshape_that_would_move_elements_is_refused() -> None:
    x = ir.buffer(None, F, (4, LENGTH))
    with pytest.raises(ir.GraphError, match="symbolic dimension length inside another"):
        schedule([ir.exp(ir.reshape(x, (LENGTH * 4,)))], TARGET)


@pytest.mark.parametrize("length", [1, 4, 8])
def test_softmax_over_a_symbolic_row(length: int) -> None:
    x = ir.buffer(None, F, (3, LENGTH))
    e = ir.exp(ir.sub(x, ir.expand(ir.reshape(ir.reduce("max", x, (1,)), (3, 1)), (3, LENGTH))))
    check([ir.div(e, ir.expand(ir.reshape(ir.reduce("sum", e, (1,)), (3, 1)), (3, LENGTH)))], length=length)


@pytest.mark.parametrize("length", [2, 8])
def test_padding_and_concatenation(length: int) -> None:
    x, y = ir.buffer(None, F, (LENGTH, 3)), ir.buffer(None, F, (2, 3))
    check([ir.pad(ir.sin(x), ((0, 2), (1, 0)), 5), ir.concat([ir.exp(x), y], 0), ir.flip(x, (0,))], length=length)


@pytest.mark.parametrize("start", [0, 3, 7])
def test_a_row_written_at_a_symbolic_place(start: int) -> None:
    cache, row = models.buffer(8, 4), models.buffer(1, 4)
    new = ir.assign(cache, ir.sin(row), ((START, START + 1, 1), (0, 4, 1)))
    seen = ir.slice(new, ((0, START + 1, 1), (0, 4, 1)))
    check([new, ir.reduce("sum", ir.mul(seen, seen), (0,))], start=start)


@pytest.mark.parametrize("start", [0, 5])
def test_attention_over_a_growing_cache(start: int) -> None:
    keys, query, row = models.buffer(8, 4), models.buffer(1, 4), models.buffer(1, 4)
    new = ir.assign(keys, row, ((START, START + 1, 1), (0, 4, 1)))
    seen = ir.slice(new, ((0, START + 1, 1), (0, 4, 1)))
    shape = (START + 1, 4)
    scores = ir.reduce("sum", ir.mul(seen, ir.expand(query, shape)), (1,))
    weights = ir.exp(ir.sub(scores, ir.expand(ir.reshape(ir.reduce("max", scores, (0,)), (1,)), shape[:1])))
    mixed = ir.reduce("sum", ir.mul(seen, ir.expand(ir.reshape(weights, (START + 1, 1)), shape)), (0,))
    check([new, mixed], start=start)
    assert all(axis.limit is not None for kernel in kernels_of(schedule([ir.exp(seen)], TARGET).steps)
               for axis in kernel.axes if axis.extent == 8)


def test_a_pointwise_scan_of_symbolic_length() -> None:
    x = ir.buffer(None, F, (LENGTH, 3))
    total, row = ir.fresh_parameter(F, (3,)), ir.fresh_parameter(F, (3,))
    node = ir.scan(ir.Body((total, row), (ir.add(total, row),)), [ir.constant(0, F, (3,))], [x])
    check([ir.project(node, 0)], length=5)
