"""Staging: copying the part of an operand that a tile needs into scratch, in the order in which inner loops read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from codegen.expression import axes_of
from codegen.index import Axis, Index
from codegen.kernel import Apply, Contraction, Expression, Guarded, Home, Read, Statement
from codegen.nest import Compute, Item, Kind, Loop, Nest
from codegen.partials import Temporary
from codegen.steps import Reorder, Split, Step
from ir.dtype import DType


@dataclass(frozen=True, repr=False)
class Stage(Step):
    """Packs an operand of the contraction ``within``: it is copied just before the loop over ``at``.

        for m.o:                                for k, n: panel[k, n] = B[k, n]
            for k, m.i, n:               =>     for m.o:
                C[m, n] += A[m, k] * B[k, n]        for k, m.i, n: C[m, n] += A[m, k] * panel[k, n]

    operand: 'left' or 'right'. axes: the loops at and below ``at`` that the operand depends on, in the order of the
    packed layout (the last is contiguous). vector: the one of them whose iterations are lanes of the copy. turned: the
    one along which the operand is contiguous, if it is to be read in vectors and turned in registers.
    """

    operand: str
    within: int
    at: str
    axes: tuple[str, ...]
    vector: str = ""
    turned: str = ""

    def apply(self, nest: Nest) -> None:
        compute, path = next((c, path) for c, path in nest.leaves() if c.number == self.within)
        statement = compute.statement
        if not isinstance(statement, Statement) or statement.contraction is None:
            raise self.refuse(f"statement {self.within} is no contraction")
        source: Expression = getattr(statement.contraction, self.operand)
        (top,) = self.loops(nest, self.at, self.within)
        axes = [self.axis(nest, name) for name in self.axes]
        self._check(nest, source, axes, [loop.axis for loop in path[path.index(top):]])
        value: Any = Temporary(operand_dtype(source, statement), tuple(axis.extent for axis in axes))
        read = Read(value, tuple([Index.of(axis) for axis in axes]))
        number = 1 + max(c.number for c, _ in nest.leaves())
        copy: Item = Compute(Statement(value, tuple(axes), source, read.indices, home=Home.SCRATCH), number)
        for name, axis in reversed(list(zip(self.axes, axes, strict=True))):
            copy = Loop(axis, [copy], Kind.VECTOR if name == self.vector else Kind.SERIAL)
        container = next(body for loop, body in nest.loops() if loop is top)
        container.insert(container.index(top), copy)
        if self.turned:
            self._turn(nest, number, axes[-1].extent)
        contraction = with_operand(statement.contraction, self.operand, read)
        product = Apply("mul", (contraction.left, contraction.right), statement.value.dtype)
        compute.statement = replace(statement, contraction=contraction, expression=product)

    def _turn(self, nest: Nest, number: int, lanes: int) -> None:
        """Copies square blocks, read along ``turned`` and written along the lanes."""
        known = set(nest.names)
        Split(self.turned, lanes, number, peel=False).apply(nest)
        blocks, rows = (name for name in nest.names if name not in known)
        others = [name for name in self.axes if name not in (self.turned, self.vector)]
        Reorder((*others, blocks, rows, self.vector), number).apply(nest)
        nest.path(number)[-2].kind = Kind.TRANSPOSED

    def _check(self, nest: Nest, source: Expression, axes: list[Axis], below: list[Axis]) -> None:
        used = axes_of(source)
        missing = [nest.name(axis) for axis in below if axis not in axes and not nest.origins[axis].isdisjoint(used)]
        if missing:
            raise self.refuse(f"the operand also depends on {', '.join(missing)}")
        if set(axes) - set(below):
            raise self.refuse(f"every axis must be a loop at or below {self.at}")
        if self.turned and (not self.vector or self.turned not in self.axes[:-1]):
            raise self.refuse("only another axis than that of the lanes can be turned")
        if self.vector and self.vector != self.axes[-1]:
            raise self.refuse("lanes run along the contiguous axis of the packed layout, the last one")


def with_operand(contraction: Contraction, operand: str, read: Read) -> Contraction:
    return replace(contraction, left=read) if operand == "left" else replace(contraction, right=read)


def operand_dtype(expression: Expression, statement: Statement) -> DType:
    """The type of an operand's elements."""
    while isinstance(expression, Guarded):
        expression = expression.inside
    if isinstance(expression, Read):
        return expression.value.dtype
    return getattr(expression, "dtype", statement.value.dtype)
