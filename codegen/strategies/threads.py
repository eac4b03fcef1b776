"""GPU: outer loops become the threads of a grid, one iteration each; inner loops are serial within a thread.

Right for elementwise kernels and column reductions, where neighbouring threads touch neighbouring elements; a scatter
or a scan runs so too, over the axes on which its iterations are independent.
"""

from __future__ import annotations

from codegen.index import Axis
from codegen.kernel import Kernel, ScanStatement
from codegen.nest import reads_of
from codegen.placement import memory_index
from codegen.steps import Bind
from codegen.strategies.plan import Plan, stride
from codegen.strategies.scatter import separating_axes
from codegen.target import Target

BLOCK_THREADS = 128


def plan_threads(kernel: Kernel, target: Target) -> Plan:
    """The plan that gives each iteration of the independent loops to a thread of its own."""
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
    fused = plan.fuse(fixed)
    if plan.extent(fused) <= BLOCK_THREADS:
        plan.do(Bind(fused, "thread"))
        return plan
    block, thread = plan.split(fused, BLOCK_THREADS)
    plan.do(Bind(block, "block"))
    plan.do(Bind(thread, "thread"))
    return plan


def _independent_axes(kernel: Kernel) -> list[Axis]:
    """The axes around every statement along which iterations neither reduce, scan nor scatter into each other."""
    candidates: list[Axis] | None = None
    for statement in kernel.statements:
        if isinstance(statement, ScanStatement):
            own = list(statement.axes)
        elif statement.scatter:
            own = separating_axes(statement)
        else:
            own = [axis for axis in statement.axes if axis not in statement.reduced]
        candidates = own if candidates is None else [axis for axis in candidates if axis in own]
    return candidates or []


def _contiguous_last(plan: Plan, names: list[str]) -> list[str]:
    """``names`` with the axis along which most accesses are contiguous innermost: neighbours read neighbours."""
    flat = [memory_index(read.value, read.indices) for statement in plan.kernel.statements
            for read in reads_of(statement) if read.indices]

    def contiguous(name: str) -> int:
        return sum(stride(index, plan.nest.names[name]) == 1 for index in flat)

    best = max(names, key=lambda name: (contiguous(name), names.index(name)))
    return [*[name for name in names if name != best], best]
