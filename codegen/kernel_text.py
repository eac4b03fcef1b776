"""Kernels and schedules as text, for dumps and golden tests.

    kernel row_reduction_exp  [row reduction]  for i < 64
      v0: float32[64, 128] = buffer
      v1: float32[64] in memory at [i] = sum over j < 128 of exp(v0[i, j])
      ends: v1 complete only after the loop over [128]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from codegen.expression import children, walk
from codegen.index import Atom, Axis, Dynamic, Index, Quotient, Remainder
from codegen.kernel import (
    Apply,
    Constant,
    Expression,
    Guard,
    Guarded,
    IndexValue,
    Kernel,
    Read,
    ScanLoop,
    ScanStatement,
    Schedule,
    SortStatement,
    Statement,
)
from ir.node import Node

_LONGEST_INLINE = 72


def format_schedule(schedule: Schedule) -> str:
    """All kernels in order; values keep one name throughout. Kernels of one batch run side by side."""
    names = _Names()
    lines: list[str] = []
    pending = [(step, 0) for step in reversed(schedule.steps)]
    while pending:
        step, depth = pending.pop()
        margin = "  " * depth
        if isinstance(step, ScanLoop):
            order = "backwards " if step.reverse else ""
            lines.append(f"{margin}for {step.step} < {step.count} {order}(one step after another)")
            pending.extend((inner, depth + 1) for inner in reversed(step.body.steps))
            continue
        if len(step.kernels) > 1:
            lines.append(f"{margin}side by side:")
        lines.extend(margin + line for kernel in step.kernels for line in _kernel_lines(kernel, names))
    return "\n".join([*lines, "results: " + ", ".join(map(names.value, schedule.outputs))])


def format_kernel(kernel: Kernel) -> str:
    """One kernel; the numbering of its values and axes starts anew."""
    return "\n".join(_kernel_lines(kernel, _Names()))


class _Names:
    """Values are v0, v1, ... in order of occurrence; axes i, j, k, ... within a kernel."""

    _LETTERS = "ijklmnopqrstuvwxyz"

    def __init__(self) -> None:
        self._values: dict[Node, str] = {}
        self._axes: dict[Axis, str] = {}

    def start_kernel(self) -> None:
        self._axes = {}

    def value(self, node: Node) -> str:
        return self._values.setdefault(node, f"v{len(self._values)}")

    def known(self, node: Node) -> bool:
        return node in self._values

    def axis(self, axis: Axis) -> str:
        number = len(self._axes)
        letters = len(self._LETTERS)
        fresh = self._LETTERS[number % letters] + (str(number // letters) if number >= letters else "")
        return self._axes.setdefault(axis, fresh)

    def axes(self, axes: Iterable[Axis]) -> str:
        return ", ".join(f"{self.axis(axis)} < {axis.limit or axis.extent}" for axis in axes)

    def index(self, index: Index) -> str:
        terms = [f"{factor}*{self.atom(atom)}" if factor != 1 else self.atom(atom) for atom, factor in index.terms]
        if index.constant or not terms:
            terms.append(str(index.constant))
        return " + ".join(terms).replace("+ -", "- ")

    def atom(self, atom: Atom) -> str:
        if isinstance(atom, Axis):
            return self.axis(atom)
        if isinstance(atom, (Quotient, Remainder)):
            return f"({self.index(atom.index)} {'//' if isinstance(atom, Quotient) else '%'} {atom.divisor})"
        if isinstance(atom, Dynamic):
            return f"<{_Expressions(self, []).text(atom.expression)}>"
        return atom.name

    def indices(self, indices: Sequence[Index]) -> str:
        return f"[{', '.join(map(self.index, indices))}]"

    def guards(self, guards: Sequence[Guard]) -> str:
        return " and ".join(f"{guard.low} <= {self.index(guard.index)} <= {guard.high}" for guard in guards)


class _Expressions:
    """Text of expressions. What is used twice, or is long, gets a line and a name of its own: ``lines``."""

    def __init__(self, names: _Names, lines: list[str]) -> None:
        self._names, self._lines = names, lines
        self._texts: dict[int, str] = {}

    def text(self, root: Expression) -> str:
        order = list(walk(root))
        uses = Counter(id(child) for expression in order for child in children(expression))
        for expression in order:
            if id(expression) not in self._texts:
                text = self._direct(expression)
                shared = uses[id(expression)] > 1 and isinstance(expression, (Apply, Guarded))
                if expression is not root and (shared or len(text) > _LONGEST_INLINE):
                    name = f"t{len(self._lines)}"
                    self._lines.append(f"{name} = {text}")
                    text = name
                self._texts[id(expression)] = text
        return self._texts[id(root)]

    def _direct(self, expression: Expression) -> str:
        if isinstance(expression, Read):
            return self._names.value(expression.value) + self._names.indices(expression.indices)
        if isinstance(expression, Constant):
            return str(expression.value)
        if isinstance(expression, IndexValue):
            return f"{expression.dtype.name}({self._names.index(expression.index)})"
        if isinstance(expression, Apply):
            code = expression.dtype.name if expression.code == "cast" else expression.code
            return f"{code}({', '.join(self._texts[id(operand)] for operand in expression.operands)})"
        inside, fill = self._texts[id(expression.inside)], self._texts[id(expression.fill)]
        return f"({inside} if {self._names.guards(expression.guards)} else {fill})"


def _kernel_lines(kernel: Kernel, names: _Names) -> list[str]:
    names.start_kernel()
    loops = f"  for {names.axes(kernel.axes)}" if kernel.axes else ""
    lines = [f"kernel {kernel.name}  [{kernel.strategy}]{loops}"]
    lines += [f"  {names.value(value)}: {_type(value)} = {value.op.name}" for value in kernel.inputs
              if not names.known(value)]
    for statement in kernel.statements:
        shared: list[str] = []
        expressions = _Expressions(names, shared)
        if isinstance(statement, ScanStatement):
            described = _scan_lines(statement, names, expressions)
        elif isinstance(statement, SortStatement):
            described = [_sort_line(statement, names, expressions)]
        else:
            described = [_statement_line(statement, names, expressions)]
        lines += [f"    {line}" for line in shared] + [f"  {line}" for line in described]
    lines += [f"  {names.value(new)} is written in place of {names.value(old)}" for new, old in kernel.in_place.items()]
    lines += [f"  ends: {names.value(boundary.value)} {boundary.reason}" for boundary in kernel.boundaries]
    return lines


def _statement_line(statement: Statement, names: _Names, expressions: _Expressions) -> str:
    value = statement.value
    what = expressions.text(statement.expression)
    if statement.monoid is not None:
        reduced = [axis for axis in statement.axes if axis in statement.reduced]
        kind = "contraction, sum" if statement.contraction is not None else statement.monoid
        what = f"{kind} over {names.axes(reduced)} of {what}"
    if statement.scatter is not None:
        what = f"{statement.scatter} {what}"
    condition = f" where {names.guards(statement.guards)}" if statement.guards else ""
    return (f"{names.value(value)}: {_type(value)} in {statement.home.value} at {names.indices(statement.indices)} = "
            f"{what}{condition}")


def _scan_lines(statement: ScanStatement, names: _Names, expressions: _Expressions) -> list[str]:
    lines = [f"scan along {names.axes([statement.axis])} for {names.axes(statement.axes)}"]
    for name, start, step in statement.carries:
        lines.append(f"  {names.value(name)} = {expressions.text(start)}, then {expressions.text(step)}")
    for value, expression, indices in statement.outputs:
        place = f"{names.value(value)}: {_type(value)} at {names.indices(indices)}"
        lines.append(f"  {place} = {expressions.text(expression)}")
    for value, carry, indices in statement.finals:
        last = names.value(statement.carries[carry][0])
        lines.append(f"  {names.value(value)}: {_type(value)} at {names.indices(indices)} = last {last}")
    return lines


def _sort_line(statement: SortStatement, names: _Names, expressions: _Expressions) -> str:
    order = "falling" if statement.descending else "rising"
    along = f"along {names.axes([statement.axis])}"
    what = f"first {statement.count} in {order} order {along} of {expressions.text(statement.expression)}"
    place = f"{names.value(statement.value)}: {_type(statement.value)} at {names.indices(statement.indices)}"
    return f"{place} = {what} for {names.axes(statement.axes)}"


def _type(value: Node) -> str:
    return f"{value.dtype.name}{list(value.shape)}"
