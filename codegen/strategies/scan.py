"""Recurrences: one serial loop that carries the state, with the other axes as tasks and lanes."""

from __future__ import annotations

from codegen.index import Axis
from codegen.kernel import Kernel, ScanStatement
from codegen.nest import reads_of
from codegen.placement import memory_index
from codegen.strategies.plan import Plan, access_cost, stride
from codegen.target import Target

_SCALAR_COST = 0.3  # of an access, beside that of a vector of them
_CHAINS = 8


def plan_scan(kernel: Kernel, target: Target) -> Plan:
    """The plan of a kernel that is one scan."""
    plan = Plan(kernel, target)
    statement = kernel.statements[0]
    assert isinstance(statement, ScanStatement) and len(kernel.statements) == 1
    step = plan.name(statement.axis)
    free = [plan.name(loop.axis) for loop in plan.nest.path(0) if loop.axis is not statement.axis]
    lanes = target.lanes(4)
    vector = _vector_axis(statement, lanes)
    if vector is None:
        _plan_chains(plan, statement, free, step)
        return plan
    name = plan.name(vector)
    others = [other for other in free if other != name]
    plan.reorder([*others, name, step])
    inside = name
    if vector.extent > lanes or vector.limit is not None:
        outer, inside = plan.split(name, lanes)
        others = [outer, *others]
        plan.reorder([*others, step, inside])
    else:
        plan.reorder([*others, step, inside])
    plan.vectorize(inside)
    tasks = others[:1] if inside != name else others
    plan.make_tasks(tasks, statement.axis.extent * lanes)
    return plan


def _plan_chains(plan: Plan, statement: ScanStatement, free: list[str], step: str) -> None:
    """Scalar code: several rows side by side, so that the latency of one row's steps is hidden by the others."""
    plan.reorder([*free, step])
    rows = next((name for name in reversed(free) if plan.nest.names[name].limit is None and plan.extent(name) > 1), "")
    if rows:
        chains = max(1, _CHAINS // len(statement.carries))
        inside = rows
        if plan.extent(rows) > chains:
            tiles, inside = plan.split(rows, chains)
            free = [tiles if name == rows else name for name in free]
        else:
            free = [name for name in free if name != rows]
        plan.reorder([*free, step, inside])
        plan.unroll(inside)
    plan.make_tasks(free, statement.axis.extent * _CHAINS)


def _vector_axis(statement: ScanStatement, lanes: int) -> Axis | None:
    """The axis along which vectors cost less than scalar code, by the strides of what is read and written."""
    flat = [memory_index(read.value, read.indices) for read in reads_of(statement) if read.indices]
    flat += [memory_index(value, indices) for value, _, indices in statement.outputs]
    choices = [(sum(access_cost(stride(index, axis)) for index in flat) / min(lanes, axis.extent), number, axis)
               for number, axis in enumerate(statement.axes) if axis.extent > 1]
    best = min(choices, default=None, key=lambda choice: choice[:2])
    return best[2] if best is not None and best[0] < _SCALAR_COST * max(1, len(flat)) else None


