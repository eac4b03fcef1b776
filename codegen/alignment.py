"""What is known of the alignment of addresses: non-temporal stores must not straddle their vector size."""

from __future__ import annotations

from math import gcd

from codegen import loops


def index_multiples(function: loops.Function) -> dict[loops.Variable, int]:
    """For scalar integers of ``function``, a number that each of their values is a multiple of (0: the value is 0).

    Variables that are not listed may be anything. One walk in order of definition: sums, differences and products of
    known multiples, and loop indices.
    """
    known: dict[loops.Variable, int] = {}
    pending: list[loops.LoopStatement] = list(reversed(function.body))
    while pending:
        statement = pending.pop()
        if isinstance(statement, loops.Let):
            value = statement.value
            if isinstance(value, loops.Operation) and value.code in ("add", "sub", "mul") and value.type.lanes == 1:
                known[statement.variable] = _of_operation(value, known)
        elif isinstance(statement, loops.For):
            known[statement.index] = gcd(multiple_of(statement.start, known), statement.step)
            pending.extend(reversed(statement.body))
        elif isinstance(statement, loops.If):
            pending.extend(reversed([*statement.then, *statement.otherwise]))
    return known


def multiple_of(atom: loops.Atom, known: dict[loops.Variable, int]) -> int:
    """A number that ``atom`` is a multiple of, by ``index_multiples``."""
    return abs(int(atom.value)) if isinstance(atom, loops.Literal) else known.get(atom, 1)


def _of_operation(value: loops.Operation, known: dict[loops.Variable, int]) -> int:
    if value.type.dtype.is_float:
        return 1
    left, right = (multiple_of(operand, known) for operand in value.operands)
    return left * right if value.code == "mul" else gcd(left, right)
