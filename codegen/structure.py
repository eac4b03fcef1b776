"""The structure of a kernel: what two kernels share exactly when the same code computes both.

Nodes, axes and atoms become numbers in the order in which they occur, so that the twelve equal layers of a network
have one structure. Two kernels of equal structure list their values in corresponding order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from codegen.expression import walk
from codegen.index import Atom, Axis, Dynamic, Index, Symbol
from codegen.kernel import (
    AnyStatement,
    Apply,
    Constant,
    Expression,
    Guard,
    Guarded,
    IndexValue,
    Kernel,
    Read,
    ScanStatement,
    SortStatement,
)
from ir.node import Node

Key = tuple[Hashable, ...]


class Structure:
    """The structure of one kernel.

    key: equal for kernels of equal structure. values: the kernel's values, corresponding between such kernels.
    symbols: the names of the run-time integers that it reads.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.values: list[Node] = []
        self.symbols: list[str] = []
        self._numbers: dict[Node, int] = {}
        self._axes: dict[Axis, int] = {}
        self._expressions: dict[int, int] = {}
        self._table: list[Key] = []
        self._kept: list[Expression] = []  # alive, so that ids stay unique
        statements = tuple([self._statement(statement) for statement in kernel.statements])
        self.key: Key = (
            kernel.strategy, kernel.choices, tuple([self._axis(axis) for axis in kernel.axes]), statements,
            tuple(self._table), self._all(kernel.inputs), self._all(kernel.outputs),
            tuple([(self._value(new), self._value(old)) for new, old in kernel.in_place.items()]),
            tuple([(value.dtype.name, value.shape) for value in self.values]),
            tuple([(axis.extent, None if axis.limit is None else self._index(axis.limit)) for axis in self._axes]),
        )

    def _value(self, value: Node) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number

    def _all(self, values: Iterable[Node]) -> Key:
        return tuple([self._value(value) for value in values])

    def _axis(self, axis: Axis) -> int:
        return self._axes.setdefault(axis, len(self._axes))

    def _index(self, index: Index) -> Key:
        return (index.constant, *[(self._atom(atom), factor) for atom, factor in index.terms])

    def _atom(self, atom: Atom) -> Key:
        if isinstance(atom, Axis):
            return "axis", self._axis(atom)
        if isinstance(atom, Symbol):
            if atom.name not in self.symbols:
                self.symbols.append(atom.name)
            return "symbol", atom.name, atom.low, atom.high
        if isinstance(atom, Dynamic):
            return "dynamic", self._expression(atom.expression), atom.extent
        return type(atom).__name__, self._index(atom.index), atom.divisor

    def _guards(self, guards: Iterable[Guard]) -> Key:
        return tuple([(self._index(guard.index), guard.low, guard.high) for guard in guards])

    def _expression(self, root: Expression) -> int:
        """The number of an expression; its operands have smaller numbers."""
        if id(root) not in self._expressions:
            for expression in walk(root):
                if id(expression) not in self._expressions:
                    self._table.append(self._row(expression))
                    self._expressions[id(expression)] = len(self._expressions)
                    self._kept.append(expression)
        return self._expressions[id(root)]

    def _row(self, expression: Expression) -> Key:
        if isinstance(expression, Read):
            return "read", self._value(expression.value), tuple([self._index(i) for i in expression.indices])
        if isinstance(expression, Constant):
            return "constant", repr(expression.value), expression.dtype.name
        if isinstance(expression, IndexValue):
            return "index", self._index(expression.index), expression.dtype.name
        if isinstance(expression, Apply):
            operands = tuple([self._expressions[id(operand)] for operand in expression.operands])
            return "apply", expression.code, operands, expression.dtype.name
        assert isinstance(expression, Guarded)
        return ("guarded", self._guards(expression.guards), self._expressions[id(expression.inside)],
                self._expressions[id(expression.fill)])

    def _statement(self, statement: AnyStatement) -> Key:
        axes = tuple([self._axis(axis) for axis in statement.axes])
        if isinstance(statement, SortStatement):
            return ("sort", axes, self._axis(statement.axis), self._value(statement.value),
                    self._expression(statement.expression), tuple(map(self._index, statement.indices)),
                    statement.descending, statement.count)
        if isinstance(statement, ScanStatement):
            return ("scan", axes, self._axis(statement.axis),
                    tuple([(self._value(name), self._expression(start), self._expression(step))
                           for name, start, step in statement.carries]),
                    tuple([(self._value(value), self._expression(expression), tuple(map(self._index, indices)))
                           for value, expression, indices in statement.outputs]),
                    tuple([(self._value(value), carry, tuple(map(self._index, indices)))
                           for value, carry, indices in statement.finals]))
        contraction: Any = statement.contraction
        return ("statement", axes, self._value(statement.value), self._expression(statement.expression),
                tuple(map(self._index, statement.indices)),
                tuple(sorted(self._axis(axis) for axis in statement.reduced)), statement.monoid,
                None if statement.position is None else self._index(statement.position),
                self._guards(statement.guards), statement.scatter, statement.home.value,
                None if contraction is None else
                (self._expression(contraction.left), self._expression(contraction.right),
                 *[tuple([self._axis(axis) for axis in part])
                   for part in (contraction.batch, contraction.m, contraction.n, contraction.k)]))
