"""Walking and rewriting the expressions of kernels.

Expressions are DAGs: a value that is used twice is one object. Everything here visits each object once and without
recursion, and keeps the sharing. Never hash or compare whole expressions: as nested tuples they unfold into trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from codegen.index import Atom, Axis, Dynamic, Index
from codegen.kernel import Apply, Expression, Guard, Guarded, IndexValue, Read
from ir.dtype import DType


def indices_of(expression: Expression) -> tuple[Index, ...]:
    """The index expressions that stand directly in ``expression``."""
    if isinstance(expression, Read):
        return expression.indices
    if isinstance(expression, Guarded):
        return tuple(guard.index for guard in expression.guards)
    return (expression.index,) if isinstance(expression, IndexValue) else ()


def children(expression: Expression) -> tuple[Expression, ...]:
    """Direct sub-expressions, including those that dynamic indices load."""
    if isinstance(expression, Apply):
        return expression.operands
    dynamic = tuple(atom.expression for index in indices_of(expression) for atom in index.dynamics)
    return (*dynamic, expression.inside, expression.fill) if isinstance(expression, Guarded) else dynamic


def walk(*roots: Expression) -> Iterator[Expression]:
    """Every sub-expression once, operands before what uses them."""
    visited: set[int] = set()
    stack: list[tuple[Expression, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        expression, complete = stack.pop()
        if complete:
            yield expression
        elif id(expression) not in visited:
            visited.add(id(expression))
            below = [child for child in children(expression) if id(child) not in visited]
            if below:
                stack.append((expression, True))
                stack.extend((child, False) for child in reversed(below))
            else:
                yield expression


def dtype_of(expression: Expression) -> DType:
    """The type of an expression's value."""
    while isinstance(expression, Guarded):
        expression = expression.inside
    return expression.value.dtype if isinstance(expression, Read) else expression.dtype


def axes_of(*roots: Expression) -> frozenset[Axis]:
    """The loop axes that the expressions depend on."""
    found: set[Axis] = set()
    for expression in walk(*roots):
        for index in indices_of(expression):
            found |= index.axes
    return frozenset(found)


def dynamic_index(expression: Expression, extent: int) -> Index:
    """The index that loading ``expression`` yields."""
    return Index.of(Dynamic(expression, extent, axes_of(expression)))


def guarded(guards: tuple[Guard, ...], inside: Expression, fill: Expression) -> Expression:
    """``inside`` under the guards that are not always true; a guard that never holds leaves ``fill``."""
    needed: list[Guard] = []
    for guard in guards:
        if not guard.index.dynamics:
            low, high = guard.index.bounds
            if guard.low <= low and high <= guard.high:
                continue
            if high < guard.low or low > guard.high:
                return fill
        if guard not in needed:
            needed.append(guard)
    return Guarded(tuple(needed), inside, fill) if needed else inside


class Rewriter:
    """Replaces atoms of indices, and reads, throughout expressions; what does not change stays the same object.

    One rewriter shares its work between all expressions it is applied to.
    """

    def __init__(self, replacements: Mapping[Axis, Index] | Mapping[Atom, Index],
                 replace_read: Callable[[Read], Expression] | None = None) -> None:
        self._replacements: dict[Atom, Index] = dict(replacements.items())
        self._replace_read = replace_read
        self._known: dict[int, tuple[Expression, Expression]] = {}  # keeps the old object alive, so ids stay unique

    def index(self, index: Index) -> Index:
        """``index`` with its atoms replaced, also inside dynamic atoms."""
        for atom in index.dynamics:
            self._dynamic(atom)
        return index.substitute(self._replacements)

    def __call__(self, root: Expression) -> Expression:
        for expression in self._unknown(root):
            self._known[id(expression)] = (expression, self._rebuild(expression))
        return self._known[id(root)][1]

    def _unknown(self, root: Expression) -> Iterator[Expression]:
        stack: list[tuple[Expression, bool]] = [(root, False)]
        while stack:
            expression, complete = stack.pop()
            if id(expression) in self._known:
                continue
            below = () if complete else [c for c in children(expression) if id(c) not in self._known]
            if below:
                stack.append((expression, True))
                stack.extend((child, False) for child in below)
            else:
                yield expression

    def _dynamic(self, atom: Dynamic) -> None:
        if atom not in self._replacements:
            new = self(atom.expression)
            self._replacements[atom] = (Index.of(atom) if new is atom.expression
                                        else dynamic_index(new, atom.extent))

    def _indices(self, indices: tuple[Index, ...]) -> tuple[Index, ...]:
        new = tuple([self.index(index) for index in indices])
        return indices if all(a is b for a, b in zip(new, indices, strict=True)) else new

    def _rebuild(self, expression: Expression) -> Expression:
        if isinstance(expression, Apply):
            operands = tuple([self._known[id(operand)][1] for operand in expression.operands])
            same = all(a is b for a, b in zip(operands, expression.operands, strict=True))
            return expression if same else Apply(expression.code, operands, expression.dtype)
        if isinstance(expression, Read):
            indices = self._indices(expression.indices)
            read = expression if indices is expression.indices else Read(expression.value, indices)
            return self._replace_read(read) if self._replace_read else read
        if isinstance(expression, IndexValue):
            index = self.index(expression.index)
            return expression if index is expression.index else IndexValue(index, expression.dtype)
        if isinstance(expression, Guarded):
            inside, fill = self._known[id(expression.inside)][1], self._known[id(expression.fill)][1]
            indices = self._indices(tuple([guard.index for guard in expression.guards]))
            guards = tuple([Guard(i, g.low, g.high) for i, g in zip(indices, expression.guards, strict=True)])
            if inside is expression.inside and fill is expression.fill and guards == expression.guards:
                return expression
            return guarded(guards, inside, fill)
        return expression
