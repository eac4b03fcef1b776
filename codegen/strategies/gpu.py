"""GPU: which strategy a kernel gets."""

from __future__ import annotations

from math import prod

from codegen.kernel import Kernel, SortStatement, Statement
from codegen.steps import ScheduleError
from codegen.strategies.block_reduction import inner_axes, plan_block_reduction
from codegen.strategies.plan import Plan
from codegen.strategies.shared_tiles import plan_shared_tiles, tiled_contraction
from codegen.strategies.threads import plan_threads
from codegen.target import Target

_SHORT = 8
_LONGEST_SORTED_ROW = 1 << 14  # its entries, twice 8 bytes each, live in the local memory of one thread


def plan_gpu(kernel: Kernel, target: Target) -> Plan:
    """The plan of one launch."""
    statements = [s for s in kernel.statements if isinstance(s, Statement)]
    for statement in kernel.statements:
        if isinstance(statement, SortStatement) and statement.axis.extent > _LONGEST_SORTED_ROW:
            raise ScheduleError(f"a GPU sorts rows of at most {_LONGEST_SORTED_ROW} elements, a thread each, not of "
                                f"{statement.axis.extent}: sort them on the CPU")
    if len(statements) < len(kernel.statements) or any(s.scatter for s in statements):
        return plan_threads(kernel, target)
    if not _is_worth_sharing(kernel, statements):
        return plan_threads(kernel, target)
    try:
        number = tiled_contraction(kernel)
        if number is not None:
            return plan_shared_tiles(kernel, target, number)
        return plan_block_reduction(kernel, target)
    except ScheduleError:  # what passes between sweeps does not fit the shared memory of a block
        return plan_threads(kernel, target)


def _is_worth_sharing(kernel: Kernel, statements: list[Statement]) -> bool:
    """True where inner loops are long, or outer iterations few."""
    inner = max(prod(axis.extent for axis in inner_axes(kernel, s)) for s in statements)
    return inner >= _SHORT


