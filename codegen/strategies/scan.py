"""Recurrences: one serial loop that carries the state, with the other axes as tasks and lanes.

Lanes run along an axis on which what is read and written is contiguous. Where that is the axis of the scan itself (a
cumulative sum along the last dimension), blocks are transposed in registers on the way in and out, so that a vector
holds one step of many rows; the order of additions is that of the definition in any case.
"""

from __future__ import annotations

from codegen.block_copies import CopyBlock
from codegen.expression import walk
from codegen.index import Axis
from codegen.kernel import Guarded, Kernel, ScanStatement
from codegen.nest import expressions_of, reads_of
from codegen.placement import memory_index
from codegen.schedule.cost import expression_cost
from codegen.steps import MAXIMUM_LANES
from codegen.strategies.plan import Plan, access_cost, stride
from codegen.target import Target

_SHORTEST_BLOCK = 4  # rows and steps
_SCALAR_COST = 0.3  # of an access, beside that of a vector of them
_CHAINS = 8
_LONG_STEP = 20  # the cost of a step that is worth hiding
_ROW_VECTORS, _STEP_VECTORS = 4, 2  # of a block


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
        rows = _rows_of_blocks(statement)
        if rows is None:
            _plan_chains(plan, statement, free, step)
        else:
            _plan_blocks(plan, statement, free, plan.name(rows), lanes)
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


def _rows_of_blocks(statement: ScanStatement) -> Axis | None:
    """For a scan along the contiguous axis: the axis whose rows run side by side."""
    if statement.axis.limit is not None or statement.axis.extent < _SHORTEST_BLOCK:
        return None
    if any(isinstance(part, Guarded) for part in walk(*expressions_of(statement))):
        return None
    rows = [axis for axis in statement.axes if axis.limit is None and axis.extent >= _SHORTEST_BLOCK]
    return max(reversed(rows), key=lambda axis: min(axis.extent, MAXIMUM_LANES), default=None)


def _plan_blocks(plan: Plan, statement: ScanStatement, free: list[str], rows: str, lanes: int) -> None:
    """Blocks of steps and rows: transposed, so that one vector holds a step of every row, and back.

    Where a step takes long, several vectors of rows hide the latency of each other.
    """
    others = [name for name in free if name != rows]
    is_long = expression_cost(*expressions_of(statement)) >= _LONG_STEP
    size = 1
    while size < min(lanes * _ROW_VECTORS if is_long else lanes, plan.extent(rows)):
        size *= 2
    tiles, lane = plan.split(rows, size)
    blocks, inside = plan.split(plan.name(statement.axis), min(size, lanes) * (1 if is_long else _STEP_VECTORS))
    plan.reorder([*others, tiles, blocks, inside, lane])
    plan.vectorize(lane)
    plan.do(CopyBlock(0, inside, lane))
    plan.make_tasks([*others, tiles], statement.axis.extent * size)


def _vector_axis(statement: ScanStatement, lanes: int) -> Axis | None:
    """The axis along which vectors cost less than scalar code, by the strides of what is read and written."""
    flat = [memory_index(read.value, read.indices) for read in reads_of(statement) if read.indices]
    flat += [memory_index(value, indices) for value, _, indices in statement.outputs]
    choices = [(sum(access_cost(stride(index, axis)) for index in flat) / min(lanes, axis.extent), number, axis)
               for number, axis in enumerate(statement.axes) if axis.extent > 1]
    best = min(choices, default=None, key=lambda choice: choice[:2])
    return best[2] if best is not None and best[0] < _SCALAR_COST * max(1, len(flat)) else None


