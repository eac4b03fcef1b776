"""GPU: outer loops become the threads of a grid, one iteration or packet each; inner loops are serial in a thread.

Right for elementwise kernels and column reductions, where neighbouring threads touch neighbouring elements; a scatter
a scan or a sort runs so too, over the axes on which its iterations are independent.
"""

from __future__ import annotations

from math import prod

from codegen.index import Axis
from codegen.kernel import Kernel, Statement
from codegen.nest import reads_of
from codegen.placement import memory_index
from codegen.steps import Bind
from codegen.strategies.plan import Plan, access_cost, accesses, stride
from codegen.strategies.scatter import separating_axes
from codegen.target import Target

BLOCK_THREADS = 128
PACKET_BYTES = 16  # the widest load and store of a thread
_PACKET_WORK = 1 << 12  # elements from which on there are threads enough
_WARP = 32


def plan_threads(kernel: Kernel, target: Target) -> Plan:
    """The plan that gives each iteration of the independent loops (or a packet of them) to a thread of its own."""
    plan = Plan(kernel, target)
    free = [plan.name(axis) for axis in _independent_axes(kernel)]
    outer = [name for name in plan.outer_names() if name in free]
    if not outer:
        return plan
    ordered = _contiguous_last(plan, outer)
    rest = [name for name in plan.outer_names() if name not in free]
    plan.reorder([*ordered, *rest])
    fixed = [name for name in ordered if plan.nest.names[name].limit is None]
    if fixed != ordered:  # run-time extents stay serial; the others become threads
        plan.reorder([*fixed, *[name for name in ordered if name not in fixed], *rest])
    if not fixed:
        return plan
    lanes = _packet_lanes(plan, fixed[-1])
    if lanes > 1:
        fixed[-1], packet = plan.split(fixed[-1], lanes)
        plan.vectorize(packet)
    fused = plan.fuse(fixed)
    if plan.extent(fused) <= BLOCK_THREADS:
        plan.do(Bind(fused, "thread"))
        return plan
    block, thread = plan.split(fused, BLOCK_THREADS, peel=False)
    plan.do(Bind(block, "block"))
    plan.do(Bind(thread, "thread"))
    return plan


def _packet_lanes(plan: Plan, name: str) -> int:
    """How many neighbours along the last loop a thread takes: 16 bytes of them, where every access allows it."""
    kernel, axis = plan.kernel, plan.nest.names[name]
    if plan.outer_names()[-1] != name or prod(a.extent for a in kernel.axes) < _PACKET_WORK:
        return 1
    widest = 1
    for statement in kernel.statements:
        if not isinstance(statement, Statement) or statement.scatter or set(statement.axes) != set(kernel.axes):
            return 1
        if any(stride(index, axis) not in (0, 1) for index in accesses(kernel, statement)):
            return 1
        values = [statement.value, *[read.value for read in reads_of(statement)]]
        widest = max([widest, *[value.dtype.itemsize for value in values]])
    lanes = PACKET_BYTES // widest
    return lanes if axis.extent % lanes == 0 else 1


def _independent_axes(kernel: Kernel) -> list[Axis]:
    """The axes around every statement along which iterations neither reduce, scan nor scatter into each other."""
    candidates: list[Axis] | None = None
    for statement in kernel.statements:
        if not isinstance(statement, Statement):
            own = list(statement.axes)
        elif statement.scatter:
            own = separating_axes(statement)
        else:
            own = [axis for axis in statement.axes if axis not in statement.reduced]
        candidates = own if candidates is None else [axis for axis in candidates if axis in own]
    return candidates or []


def _contiguous_last(plan: Plan, names: list[str]) -> list[str]:
    """``names`` with the axis innermost along which neighbouring threads touch neighbouring elements."""
    flat = [index for s in plan.kernel.statements if isinstance(s, Statement) for index in accesses(plan.kernel, s)]
    if len(plan.kernel.statements) == 1 and not flat:
        flat = [memory_index(read.value, read.indices) for read in reads_of(plan.kernel.statements[0]) if read.indices]

    def cost(name: str) -> float:
        return sum(access_cost(stride(index, plan.nest.names[name])) for index in flat)

    wide = [name for name in names if plan.extent(name) >= _WARP] or names
    best = min(wide, key=lambda name: (cost(name), -names.index(name)))
    return [*[name for name in names if name != best], best]
