"""Which points of a kernel's loops matter: where a mask leaves nothing to add, loops need not go.

    weights[i, j] = exp(where(j <= i, scores[i, j], -inf) - maximum[i]) / total[i]
    out[i, e] = sum_j weights[i, j] V[j, e]

Where j > i, the maximum is over -inf and a factor of the sum is exp(-inf) = 0: there is no term, so both need j <= i
alone, and so do the scores, which nothing else reads. What a mask hides is not looked at: a term with a factor that is
0 for the mask's sake is none, whatever the other factor. Only masks that leave something of every row count, for a row
of nothing but -inf has NaN in all its places.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from codegen.expression import walk
from codegen.index import Index
from codegen.kernel import Apply, Constant, Expression, Guard, Guarded, Home, IndexValue, Kernel, Read, Statement
from codegen.monoids import identity_value
from ir.dtype import Scalar

_FAR = 1 << 62


def needed_regions(kernel: Kernel) -> dict[int, tuple[Guard, ...]]:
    """For statements by number: guards outside of which nobody needs what they compute, or add up."""
    statements = {number: statement for number, statement in enumerate(kernel.statements)
                  if isinstance(statement, Statement) and not statement.scatter}
    guards = dict.fromkeys(guard for statement in statements.values() for part in walk(statement.expression)
                           for guard in _guards_of(part))
    found: defaultdict[int, list[Guard]] = defaultdict(list)
    used: list[Guard] = []
    for guard in guards:
        if _leave_something(kernel, [*used, guard]):
            used.append(guard)
            for number in _restricted(statements, guard):
                found[number].append(guard)
    return {number: tuple(own) for number, own in found.items()}


def _leave_something(kernel: Kernel, guards: Sequence[Guard]) -> bool:
    """Whether every row has a place where all the guards hold: they bound one axis, by what the kernel's loops are."""
    inner = frozenset().union(*(guard.index.axes for guard in guards)) - set(kernel.axes)
    if len(inner) != 1:
        return False
    (axis,) = inner
    first, last = [Index()], [Index.of(axis.extent - 1)]
    for guard in guards:
        factor = guard.index.coefficient(axis)
        if factor not in (1, -1):
            return False
        rest = guard.index - Index.of(axis) * factor
        least, most = (guard.low, guard.high) if factor == 1 else (-guard.high, -guard.low)
        first += [rest * -factor + least] if least > -_FAR else []
        last += [rest * -factor + most] if most < _FAR else []
    return axis.limit is None and all((end - start).bounds[0] >= 0 for start in first for end in last)


def _restricted(statements: dict[int, Statement], guard: Guard) -> list[int]:
    """The statements that need not be computed outside the guard."""
    outside: dict[object, Scalar | None] = {}  # what each value is there, where that is one number
    written: dict[object, tuple[Index, ...]] = {}
    readers: defaultdict[object, list[int]] = defaultdict(list)
    for number, statement in statements.items():
        for part in walk(statement.expression):
            if isinstance(part, Read):
                readers[part.value].append(number)
        outside[statement.value] = _outside(statement, guard, written, outside)
        if guard.index.axes.isdisjoint(statement.reduced):
            written[statement.value] = statement.indices
    found: set[int] = set()
    for number, statement in reversed(statements.items()):
        if not guard.index.axes <= set(statement.axes):
            continue
        if guard.index.axes.isdisjoint(statement.reduced):
            inner = statement.home in (Home.SCRATCH, Home.REGISTER) and readers[statement.value]
            needless = bool(inner) and all(reader in found for reader in readers[statement.value])
        else:
            needless = statement.monoid in ("sum", "max", "min") and outside[statement.value] == identity_value(
                statement.monoid, statement.value.dtype)
        if needless:
            found.add(number)
    return sorted(found)


def _outside(statement: Statement, guard: Guard, written: Mapping[object, tuple[Index, ...]],
             outside: Mapping[object, Scalar | None]) -> Scalar | None:
    """What the statement computes, or adds up, wherever the guard fails, if that is one number."""
    known: dict[int, Scalar | None] = {}
    for part in walk(statement.expression):
        value: Scalar | None = None
        if isinstance(part, Constant):
            value = part.value
        elif isinstance(part, Read) and written.get(part.value) == part.indices:
            value = outside.get(part.value)
        elif isinstance(part, Guarded):
            inside, fill = known[id(part.inside)], known[id(part.fill)]
            value = fill if guard in part.guards or inside == fill else None
        elif isinstance(part, Apply):
            operands = [known[id(operand)] for operand in part.operands]
            value = False if guard in _guards_of(part) else _applied(part.code, operands)
        known[id(part)] = value
    return known[id(statement.expression)]


def _guards_of(part: Expression) -> tuple[Guard, ...]:
    """The conditions on places that stand in a part of an expression: its guards, or what it compares."""
    if isinstance(part, Guarded):
        return tuple(guard for guard in part.guards if not guard.index.dynamics)
    if not isinstance(part, Apply) or part.code not in _COMPARISONS:
        return ()
    first, second = (_place(operand) for operand in part.operands)
    if first is None or second is None:
        return ()
    difference = second - first
    return (Guard(difference, _COMPARISONS[part.code], _FAR),) if difference.axes and difference.is_affine else ()


def _place(operand: Expression) -> Index | None:
    """The number that an integer expression is, where it is made of nothing but the numbers of places."""
    known: dict[int, Index | None] = {}
    for part in walk(operand):
        place: Index | None = None
        if isinstance(part, IndexValue) and part.dtype.is_integer:
            place = part.index
        elif isinstance(part, Constant) and part.dtype.is_integer:
            place = Index.of(int(part.value))
        elif isinstance(part, Apply) and part.code in ("add", "sub"):
            first, second = (known[id(below)] for below in part.operands)
            if first is not None and second is not None:
                place = first + second if part.code == "add" else first - second
        known[id(part)] = place
    return known[id(operand)]


_COMPARISONS = {"less_equal": 0, "less": 1}  # by how much the right operand is larger, at least


def _applied(code: str, operands: Sequence[Scalar | None]) -> Scalar | None:
    """The result of an operation some of whose operands are known; what is not known counts as finite."""
    first, last = operands[0], operands[-1]
    if code == "where":
        chosen, other = operands[1:]
        return chosen if first is True or chosen == other else other if first is False else None
    if code in ("mul", "bit_and") and 0 in operands:
        return False if code == "bit_and" else 0
    if code in ("div", "neg", "cast") and first == 0:
        return 0
    if code in ("exp", "exp2") and first == -math.inf:
        return 0
    if code in ("add", "sub", "cast") and first == -math.inf:
        return first
    if code == "mul" and first == -math.inf and last is not None and last > 0:
        return first
    return None
