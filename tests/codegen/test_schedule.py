"""Schedules compute what the graph says, for every op and for assignments, gathers and scatters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from schedule_oracle import run_schedule

import ir
from codegen.schedule import Limits, schedule
from codegen.schedule.order import kernels_of
from codegen.target import Target
from ir.dtype import dtypes
from ir.node import Node

TARGET = Target.cpu("generic")
TIGHT = Limits(parallel=2, tiny=8, scratch=256, cache=512, inlined=6, kernel=12)
F = dtypes.float32


def values_of(node: Node, seed: int = 0) -> Any:
    """Repeatable contents for a buffer."""
    rng = np.random.default_rng(seed)
    shape = tuple(ir.upper_bound(size) for size in node.shape)
    if node.dtype.is_float:
        return rng.normal(size=shape).astype(node.dtype.held)
    return rng.integers(0, 4, shape).astype(node.dtype.held)


def check(outputs: Sequence[Node], feeds: Mapping[Node, Any] | None = None, tolerance: float = 1e-5) -> None:
    """The schedule of ``outputs``, under wide and tight limits, against the interpreter."""
    buffers = [node for node in ir.topological_order(outputs) if node.op.name == "buffer"]
    given = {node: values_of(node, i) for i, node in enumerate(buffers)} | dict(feeds or {})
    expected = ir.evaluate(outputs, given)
    for limits in (None, TIGHT):
        found = run_schedule(schedule(outputs, TARGET, limits), given)
        for node, mine, theirs in zip(outputs, found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance, err_msg=str(node))


def buffer(*shape: int, dtype: Any = F) -> Node:
    return ir.buffer(None, dtype, shape)


def matmul(a: Node, b: Node) -> Node:
    """[m, k] times [k, n] as a sum of products."""
    (m, k), n = a.shape, b.shape[1]
    product = ir.mul(ir.expand(ir.reshape(a, (m, k, 1)), (m, k, n)), ir.expand(ir.reshape(b, (1, k, n)), (m, k, n)))
    return ir.reduce("sum", product, (1,))


def test_elementwise() -> None:
    x, y = buffer(3, 4), buffer(3, 4)
    check([ir.exp(ir.add(x, y)), ir.where(ir.less(x, y), x, ir.mul(y, y))])


@pytest.mark.parametrize("make", [
    lambda x: ir.reshape(x, (2, 2, 6)),
    lambda x: ir.permute(x, (1, 0)),
    lambda x: ir.expand(ir.reshape(x, (4, 1, 6)), (4, 3, 6)),
    lambda x: ir.pad(x, ((1, 2), (0, 3)), 7),
    lambda x: ir.slice(x, ((1, 4, 2), (0, 6, 5))),
    lambda x: ir.flip(x, (0, 1)),
    lambda x: ir.window(x, 1, 3, 2, 1, 1, 1, -1),
    lambda x: ir.skew(x, 0, 1, 5, 1, 2),
    lambda x: ir.concat([x, ir.exp(x), ir.slice(x, ((0, 1, 1), (0, 6, 1)))], 0),
    lambda x: ir.reshape(ir.permute(ir.reshape(x, (2, 2, 6)), (1, 2, 0)), (3, 8)),
    lambda x: ir.stop_gradient(x),
    lambda x: ir.contiguous(ir.permute(x, (1, 0))),
], ids=["reshape", "permute", "expand", "pad", "slice", "flip", "window", "skew", "concat", "transposed reshape",
        "stop_gradient", "contiguous"])
def test_views(make: Any) -> None:
    x = buffer(4, 6)
    check([make(x)])
    check([ir.mul(make(ir.sin(x)), make(x))])


@pytest.mark.parametrize("monoid", ["sum", "prod", "max", "min", "argmax", "argmin"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 2), (0, 1, 2)])
def test_reductions(monoid: str, axes: tuple[int, ...]) -> None:
    x = buffer(3, 4, 5)
    check([ir.reduce(monoid, x, axes), ir.reduce(monoid, ir.permute(ir.abs(x), (2, 0, 1)), axes)])


def test_outputs_that_are_views_constants_and_buffers() -> None:
    x = buffer(2, 3)
    repeated = ir.expand(ir.reshape(x, (2, 3, 1)), (2, 3, 2))
    check([x, ir.reshape(x, (6,)), ir.constant(2.5, F, (2,)), ir.iota(4), repeated])


def test_empty_values() -> None:
    x = buffer(0, 3)
    check([ir.reduce("sum", x, (0,)), ir.reduce("max", x, (0,)), ir.exp(x), ir.pad(x, ((1, 1), (0, 0)), 5)])


def test_matmul_and_its_transposed_forms() -> None:
    a, b = buffer(4, 6), buffer(6, 8)
    check([matmul(a, b), matmul(ir.permute(b, (1, 0)), ir.permute(a, (1, 0)))], tolerance=1e-4)


@pytest.mark.parametrize("batch", [0, 1])
def test_gather(batch: int) -> None:
    x = buffer(4, 5, 3)
    index = buffer(4, 2, dtype=dtypes.int32)
    check([ir.gather(x, index, batch), ir.gather(ir.exp(x), ir.add(index, index), batch)])


def test_gather_of_a_single_row_keeps_its_guard() -> None:
    x, index = buffer(1, 3), buffer(4, dtype=dtypes.int32)
    check([ir.gather(x, index)], {index: np.array([0, 1, -1, 0], np.int32)})


def test_pick_and_its_gradient() -> None:
    logits, labels = buffer(6, 4), buffer(6, dtype=dtypes.int32)
    loss = ir.reduce("sum", ir.gather(ir.exp(logits), labels, 1), (0,))
    (slope,) = ir.gradient([loss], [ir.constant(1, F)], [logits])
    assert slope is not None
    check([loss, slope])


@pytest.mark.parametrize("mode", ["add", "set", "max", "min"])
@pytest.mark.parametrize("batch", [0, 1])
def test_scatter(mode: str, batch: int) -> None:
    x = buffer(3, 5, 2)
    index = buffer(3, 4, dtype=dtypes.int32)
    updates = buffer(3, 4, *x.shape[batch + 1:])
    result = ir.scatter(x, index, ir.sin(updates), batch, mode)
    check([result, ir.exp(result)])


def test_assign_overwrites_after_all_readers() -> None:
    x, y = buffer(4, 3), buffer(4, 3)
    check([ir.assign(x, ir.add(x, y)), ir.mul(ir.reduce("sum", x, (0,)), ir.reduce("max", y, (0,)))])


def test_assign_reading_itself_elsewhere_goes_through_a_temporary() -> None:
    x = buffer(4, 3)
    check([ir.assign(x, ir.flip(x, (0,)))])
    check([ir.assign(x, ir.expand(ir.reshape(ir.reduce("sum", x, (0,)), (1, 3)), (4, 3)))])


def test_assign_to_a_region_then_read_both_versions() -> None:
    x, row = buffer(4, 3), buffer(1, 3)
    new = ir.assign(x, ir.mul(row, row), ((2, 3, 1), (0, 3, 1)))
    newer = ir.assign(new, ir.reduce("sum", ir.reshape(new, (4, 3, 1)), (2,)))
    check([newer, ir.exp(new), ir.sin(x)])
    check([new, ir.sub(new, ir.exp(x))])


def test_assigned_value_and_old_value_meet() -> None:
    x, y = buffer(4, 3), buffer(4, 3)
    doubled = ir.mul(x, ir.constant(2, F, (4, 3)))
    new = ir.assign(x, ir.add(x, y))
    check([new, ir.add(doubled, new)])


def test_old_value_meets_the_version_after_the_next() -> None:
    x = buffer(4, 6)
    first = ir.assign(x, ir.tanh(x))
    second = ir.assign(first, ir.tanh(x))
    check([second, ir.mul(ir.sin(x), second)])


def test_scatter_into_an_assigned_buffer_writes_only_the_updates() -> None:
    x, index, rows = buffer(5, 3), buffer(2, dtype=dtypes.int32), buffer(2, 3)
    new = ir.assign(x, ir.scatter(x, index, ir.sin(rows), 0, "set"))
    check([new, ir.exp(x), ir.mul(new, new)])
    check([ir.assign(x, ir.scatter(x, index, ir.gather(x, index), 0, "add"))])
    (kernel,) = kernels_of(schedule([new], TARGET).steps)
    assert kernel.strategy == "scatter" and kernel.in_place == {new: x}


def test_old_versions_whose_readers_wait_for_each_other_are_copied() -> None:
    x, y = buffer(4, 3), buffer(4, 3)
    new_x, new_y = ir.assign(x, ir.sin(y)), ir.assign(y, ir.tanh(x))
    check([ir.sub(ir.flip(x, (0,)), new_y), ir.sub(ir.flip(y, (1,)), new_x), new_x, new_y])


def test_two_assignments_to_one_buffer_stay_in_order() -> None:
    x, y = buffer(4, 4), buffer(4, 4)
    value = ir.tanh(ir.sub(y, x))
    first = ir.assign(x, value)
    check([ir.assign(first, ir.sin(ir.sub(ir.permute(value, (1, 0)), y))), ir.contiguous(x)])


def test_adam_step() -> None:
    parameter, moment, x = buffer(4, 3), buffer(4, 3), buffer(5, 4)
    gradient = matmul(ir.permute(x, (1, 0)), ir.sin(matmul(x, parameter)))
    tenth = ir.constant(0.1, F, (4, 3))
    new_moment = ir.assign(moment, ir.add(moment, ir.mul(gradient, tenth)))
    new_parameter = ir.assign(parameter, ir.sub(parameter, ir.mul(new_moment, tenth)))
    check([new_parameter, new_moment], tolerance=1e-4)


def test_call_is_inlined() -> None:
    x, y = ir.parameter(0, F, (3,)), ir.parameter(1, F, (3,))
    body = ir.Body((x, y), (ir.add(ir.exp(x), y), ir.mul(x, y)))
    a, b = buffer(3), buffer(3)
    first = ir.call(body, [a, b])
    second = ir.call(body, [ir.project(first, 1), ir.project(first, 0)])
    check([ir.project(second, 0), ir.project(second, 1)])


def test_long_chain_needs_no_recursion() -> None:
    x = buffer(3)
    one = ir.constant(1, F, (3,))
    value = x
    for _ in range(20_000):
        value = ir.sub(one, value)
    kernels = kernels_of(schedule([value], TARGET).steps)
    assert 10 <= len(kernels) <= 20  # of at most 2,000 operations each
    feeds = {x: values_of(x)}
    np.testing.assert_allclose(run_schedule(schedule([value], TARGET), feeds)[0], feeds[x], rtol=1e-3)


def scanned(body_of: Any, carries: Sequence[Node], inputs: Sequence[Node], reverse: bool = False,
            length: int | None = None) -> Node:
    """A scan whose body is a function from carry and slice nodes to (new carries, outputs)."""
    before = [ir.fresh_parameter(node.dtype, node.shape) for node in carries]
    slices = [ir.fresh_parameter(node.dtype, node.shape[1:]) for node in inputs]
    after, outputs = body_of(*before, *slices)
    return ir.scan(ir.Body((*before, *slices), (*after, *outputs)), carries, inputs, reverse, length)


@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_sum_is_one_recurrence_per_element(reverse: bool) -> None:
    x = buffer(7, 3)

    def step(total: Node, row: Node) -> Any:
        new = ir.add(total, ir.sin(row))
        return [new], [new, ir.mul(total, row)]

    node = scanned(step, [ir.constant(0, F, (3,))], [ir.permute(ir.permute(x, (1, 0)), (1, 0))], reverse)
    check([ir.project(node, 0), ir.exp(ir.project(node, 1)), ir.project(node, 2)])
    (loop,) = kernels_of(schedule([ir.project(node, 1)], TARGET).steps)
    assert loop.strategy == "scan"


@pytest.mark.parametrize("reverse", [False, True])
def test_recurrent_network(reverse: bool) -> None:
    x, weights, start = buffer(5, 2, 3), buffer(3, 3), buffer(2, 3)

    def step(hidden: Node, w: Node, row: Node) -> Any:
        new = ir.tanh(ir.add(row, matmul(hidden, w)))
        return [new, w], [new]

    node = scanned(step, [ir.sin(start), weights], [ir.exp(x)], reverse)
    loss = ir.reduce("sum", ir.add(ir.project(node, 0), ir.reduce("max", ir.project(node, 2), (0,))), (0, 1))
    gradients = ir.gradient([loss], [ir.constant(1, F)], [x, weights, start])
    check([loss, *(g for g in gradients if g is not None)], tolerance=1e-4)


def test_scan_that_swaps_its_carries() -> None:
    a, b = buffer(2, 3), buffer(2, 3)
    node = scanned(lambda x, y: ([y, ir.flip(ir.add(x, y), (1,))], []), [a, b], [], length=5)
    check([ir.project(node, 0), ir.project(node, 1)])


def test_scan_within_a_scan() -> None:
    x = buffer(4, 3, 2, 2)

    def outer(total: Node, block: Node) -> Any:
        inner = scanned(lambda carry, row: ([matmul(carry, row)], []), [total], [block])
        return [ir.project(inner, 0)], [ir.reduce("sum", ir.project(inner, 0), (0,))]

    node = scanned(outer, [buffer(2, 2)], [x])
    check([ir.project(node, 0), ir.project(node, 1)], tolerance=1e-3)


def test_buffers_that_swap_contents() -> None:
    x, y = buffer(3, 2), buffer(3, 2)
    check([ir.assign(x, y), ir.assign(y, x)])
