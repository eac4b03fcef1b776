"""GPU: the threads of a block share the inner loops of a kernel.

*Rows*: one block computes one iteration of the outer loops, or several where rows are short. Every sweep deals one of
its inner loops out to the threads along x; reductions along it are combined by warp shuffles, then through shared
memory (softmax, layernorm and its gradient, cross-entropy, argmax, products with few results).

*Columns*: where memory is contiguous along an outer axis, neighbouring threads along x take neighbouring columns, and
the threads along y share the inner loops (column sums, batch norm over NHWC).
"""

from __future__ import annotations

from math import prod

from codegen.block_sharing import Sharing
from codegen.block_steps import Share, Tile
from codegen.index import Axis
from codegen.kernel import Kernel, Statement
from codegen.nest import Compute
from codegen.placement import place_values
from codegen.steps import Bind
from codegen.strategies.plan import Plan, accesses, stride
from codegen.target import Target

_ELEMENTS_A_THREAD = 8  # of a row
_ROW_THREADS = 512
_BLOCK_THREADS = 128  # to which short rows are put together
_COLUMNS, _COLUMN_ROWS = 32, 8


def plan_block_reduction(kernel: Kernel, target: Target) -> Plan:
    """The plan of a kernel with inner loops; raises ScheduleError where its values do not fit shared memory."""
    plan = Plan(kernel, target)
    outer = plan.outer_names()[:len(kernel.axes)]
    free = [name for name in outer if not _is_reduced(plan, name)]
    plan.reorder([*free, *[name for name in outer if name not in free]])
    column = _column_axis(plan, free)
    if column is None:
        _plan_rows(plan, free)
    else:
        _plan_columns(plan, free, column)
    Sharing(plan.nest, place_values(plan.nest))  # raises where it does not fit
    return plan


def inner_axes(kernel: Kernel, statement: Statement) -> list[Axis]:
    """The axes of a statement that are no outer loops of its kernel."""
    return [axis for axis in statement.axes if axis not in kernel.axes]


def _is_reduced(plan: Plan, name: str) -> bool:
    axis = plan.nest.names[name]
    return any(plan.nest.reduces(compute, axis) for compute, _ in plan.nest.leaves())


def _contiguous(plan: Plan, axis: Axis) -> int:
    """How many accesses are contiguous along ``axis``."""
    statements = [s for s in plan.kernel.statements if isinstance(s, Statement)]
    return sum(stride(index, axis) == 1 for statement in statements for index in accesses(plan.kernel, statement))


def _column_axis(plan: Plan, free: list[str]) -> str | None:
    """The outer axis along which more accesses are contiguous than along any inner one."""
    statements = [s for s in plan.kernel.statements if isinstance(s, Statement)]
    inner = {axis for statement in statements for axis in inner_axes(plan.kernel, statement)}
    rows = max((_contiguous(plan, axis) for axis in inner), default=0)
    choices = [(_contiguous(plan, plan.nest.names[name]), number, name) for number, name in enumerate(free)
               if plan.nest.names[name].limit is None and plan.extent(name) > 1]
    best = max(choices, default=None)
    return best[2] if best is not None and best[0] > rows else None


# ------------------------------------------------------------------------------------------------------------ rows


def _plan_rows(plan: Plan, free: list[str]) -> None:
    shared = _share_sweeps(plan)
    longest = max((plan.extent(name) for name, _ in shared), default=1)
    threads = min(_ROW_THREADS, max(_power_of_two(-(-longest // _ELEMENTS_A_THREAD)), min(32, _power_of_two(longest))))
    for name, within in shared:
        plan.do(Share(name, threads, 0, within))
    rows = max(1, _BLOCK_THREADS // threads)
    fixed = [name for name in free if plan.nest.names[name].limit is None]
    if not fixed:
        return
    plan.reorder([*fixed, *[name for name in free if name not in fixed]])
    row = plan.fuse(fixed)
    if rows == 1 or plan.extent(row) < 2 * rows:
        plan.do(Bind(row, "block"))
        return
    plan.do(Tile(row, rows))
    plan.do(Bind(f"{row}.o", "block"))
    plan.do(Bind(f"{row}.i", "thread", 1))


def _share_sweeps(plan: Plan) -> list[tuple[str, int]]:
    """Orders the inner loops of every sweep; the loops to share, each with a statement that it surrounds."""
    fused = _fused_inner(plan)
    result = []
    for computes, _ in plan.sweeps():
        statement = computes[0].statement
        assert isinstance(statement, Statement)
        names = [fused] if fused else [plan.name(axis) for axis in inner_axes(plan.kernel, statement)]
        names = names if inner_axes(plan.kernel, statement) else []
        summed = [name for name in names if _reduces(plan, computes, name)]
        kept = [name for name in names if name not in summed]
        choices = [name for name in kept if plan.extent(name) >= _COLUMN_ROWS] or summed or kept
        choices = [name for name in choices if plan.extent(name) > 1]
        if not choices:
            continue
        chosen = max(choices, key=lambda name: (_contiguous(plan, plan.nest.names[name]), plan.extent(name)))
        if chosen in kept:
            order = [*[name for name in kept if name != chosen], chosen, *summed]
        else:
            order = [*kept, *[name for name in summed if name != chosen], chosen]
        plan.reorder(order, computes[0].number)
        result.append((chosen, computes[0].number))
    return result


def _reduces(plan: Plan, computes: list[Compute], name: str) -> bool:
    return any(plan.nest.reduces(compute, plan.nest.names[name]) for compute in computes)


def _fused_inner(plan: Plan) -> str:
    """One loop out of the inner loops, where all sweeps have the same and reduce all of them or none; else ''."""
    chains = []
    for computes, _ in plan.sweeps():
        for compute in computes:
            statement = compute.statement
            assert isinstance(statement, Statement)
            axes = inner_axes(plan.kernel, statement)
            if axes:
                chains.append(tuple(axes))
                if len({axis in statement.reduced for axis in axes}) > 1:
                    return ""
    if len(set(chains)) != 1 or len(chains[0]) < 2 or any(axis.limit is not None for axis in chains[0]):
        return ""
    return plan.fuse([plan.name(axis) for axis in chains[0]])


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not below ``number``, and at least 2."""
    return max(2, 1 << (number - 1).bit_length())


# --------------------------------------------------------------------------------------------------------- columns


def _plan_columns(plan: Plan, free: list[str], column: str) -> None:
    for computes, _ in plan.sweeps():
        statement = computes[0].statement
        assert isinstance(statement, Statement)
        names = [plan.name(axis) for axis in inner_axes(plan.kernel, statement)]
        summed = [name for name in names if _reduces(plan, computes, name)]
        kept = [name for name in names if name not in summed]
        choices = [name for name in summed or kept if plan.extent(name) > 1]
        if not choices:
            continue
        chosen = max(choices, key=plan.extent)
        plan.reorder([*kept, *summed] if chosen in kept else [*kept, *[n for n in summed if n != chosen], chosen],
                     computes[0].number)
        plan.do(Share(chosen, _COLUMN_ROWS, 1, computes[0].number))
    others = [name for name in free if name != column and plan.nest.names[name].limit is None]
    bounded = [name for name in free if name != column and name not in others]
    plan.reorder([*others, column, *bounded])
    plan.do(Tile(column, min(_COLUMNS, plan.extent(column))))
    block = plan.fuse([*others, f"{column}.o"])
    plan.do(Bind(block, "block"))
    plan.do(Bind(f"{column}.i", "thread", 0))


def outer_iterations(kernel: Kernel) -> int:
    """How many iterations the outer loops have together."""
    return prod(axis.extent for axis in kernel.axes)
