"""Guards of contractions (padding, the ends of a window's transpose) decided by loops instead of by selects."""

from __future__ import annotations

from codegen.guarded_loops import BoundByGuards, CutAt, is_false, masks
from codegen.index import Axis, Index
from codegen.kernel import Guard
from codegen.nest import Kind, Loop
from codegen.strategies.plan import Plan

_MOST_PIECES = 6


def decide_guards(plan: Plan, number: int) -> None:
    """Cuts and bounds the loops around the contraction ``number``, so that its masks need no tests where possible.

    A mask that depends on unrolled axes and one serial loop is decided by cutting that loop; one that depends on serial
    loops alone bounds the innermost, if that is reduced.
    """
    compute = next(c for c, _ in plan.nest.leaves() if c.number == number)
    path = plan.nest.path(number)
    point = plan.nest.point(path)
    starts: dict[str, set[int]] = {}
    bounded: dict[str, None] = {}
    for guard in masks(plan.kernel.statements[number]):
        index = guard.index.substitute(point)
        loops = [loop for loop in path if loop.axis in index.axes]
        serial = [loop for loop in loops if not loop.kind.instanced]
        if not index.is_affine or not serial or serial[-1].kind is not Kind.SERIAL:
            continue
        last = serial[-1]
        if len(serial) == 1 and len(loops) > 1 and last.axis.limit is None:
            starts.setdefault(plan.name(last.axis), set()).update(
                _changes(guard, index, last.axis, [loop for loop in loops if loop is not last]))
        elif len(serial) == len(loops) and plan.nest.reduces(compute, last.axis):
            bounded[plan.name(last.axis)] = None
    for name, found in starts.items():
        if found and len(found) < _MOST_PIECES and name not in bounded:
            plan.do(CutAt(name, tuple(sorted(found)), number))
    for name in bounded:
        plan.do(BoundByGuards(name, number))


def _changes(guard: Guard, index: Index, axis: Axis, instanced: list[Loop]) -> set[int]:
    """The iterations of ``axis`` at which it changes whether the guard always or never holds for some instance."""
    vector = [loop.axis for loop in instanced if loop.kind is Kind.VECTOR]
    instances = [index]
    for loop in instanced:
        if loop.axis not in vector:
            numbers = [Index((), n) for n in range(loop.axis.extent)]
            instances = [one.substitute({loop.axis: number}) for one in instances for number in numbers]
    found: set[int] = set()
    for one in dict.fromkeys(instances):
        before = None
        for n in range(axis.extent):
            here = one.substitute({axis: Index((), n)})
            low, high = here.bounds
            state = is_false(guard, here), guard.low <= low and high <= guard.high
            if before is not None and state != before:
                found.add(n)
            before = state
    return found
