"""Scatter: updates in their order, shared out along axes on which they cannot meet.

Two updates of one element must come in row-major order of the updates (the last one set wins, sums are reproducible),
so the axes that the loaded positions depend on stay serial. An axis that alone decides a dimension of the target (the
columns of an embedding's rows) separates its iterations: these are tasks and lanes.
"""

from __future__ import annotations

from math import prod

from codegen.index import Axis
from codegen.kernel import Kernel, Statement
from codegen.placement import memory_index
from codegen.strategies.plan import Plan, element_bytes, stride
from codegen.target import Target

_VECTORS = 4


def plan_scatter(kernel: Kernel, target: Target) -> Plan:
    """The plan of a kernel that is one scatter (any other form runs serially)."""
    plan = Plan(kernel, target)
    statement = kernel.statements[0]
    if len(kernel.statements) > 1 or not isinstance(statement, Statement):
        return plan
    free = separating_axes(statement)
    names = [plan.name(loop.axis) for loop in plan.nest.path(0)]
    apart = [plan.name(axis) for axis in free]
    serial = [name for name in names if name not in apart]
    flat = memory_index(statement.value, statement.indices)
    guarded = {axis for guard in statement.guards for axis in guard.index.axes}  # lanes are written all or none
    vector = next((plan.name(axis) for axis in free
                   if stride(flat, axis) == 1 and axis.limit is None and axis not in guarded), "")
    lanes = target.lanes(element_bytes([statement]))
    if not vector or plan.extent(vector) < 2:
        plan.reorder([*apart, *serial])
        plan.make_tasks(apart, prod(plan.extent(name) for name in serial))
        return plan
    others = [name for name in apart if name != vector]
    plan.reorder([*others, *serial, vector])
    _vectorize(plan, others, serial, vector, lanes)
    return plan


def separating_axes(statement: Statement) -> list[Axis]:
    """The axes whose iterations never write the same element."""
    loaded = {axis for index in statement.indices for atom in index.dynamics for axis in atom.axes}
    return [axis for axis in statement.axes if axis not in loaded
            and any(index.coefficient(axis) and not index.dynamics and index.axes == {axis}
                    for index in statement.indices)]


def _vectorize(plan: Plan, others: list[str], serial: list[str], vector: str, lanes: int) -> None:
    """Tiles of a few vectors outside the serial updates, their lanes inside."""
    count = max(1, min(_VECTORS, plan.extent(vector) // lanes))
    work = prod(plan.extent(name) for name in [*serial, vector])
    if plan.extent(vector) <= lanes:
        plan.vectorize(vector)
        plan.make_tasks(others, work)
        return
    tile, inside = plan.split(vector, count * lanes)
    plan.reorder([tile, *others, *serial, inside])
    if count > 1:
        unrolled, inside = plan.split(inside, lanes)
        plan.unroll(unrolled)
    plan.vectorize(inside)
    plan.make_tasks([tile], work * prod(plan.extent(name) for name in others) // plan.extent(tile))
