"""Loops around guarded operands: guards become bounds of loops, or are decided when the code is written.

A term of a sum of products whose operand a guard masks to zero is left out: padding is absent, as in PyTorch, so that
an infinite weight makes no NaN of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.index import Index
from codegen.kernel import Constant, Expression, Guard, Guarded, ScanStatement, SortStatement, Statement
from codegen.nest import Kind, Loop, Nest, is_bounded
from codegen.steps import Step


@dataclass(frozen=True, repr=False)
class CutAt(Step):
    """Writes a serial loop as several, one after the other, so that guards are decided in each.

        for x < 8:                                 s += X[0] * W[1]
            s += (X[x - 1] if x >= 1) * W[0]  =>   for x in 1 .. 8:
            s += X[x] * W[1]                           s += X[x - 1] * W[0]
                                                       s += X[x] * W[1]

    starts: the iterations with which the second and the later loops begin.
    """

    name: str
    starts: tuple[int, ...]
    within: int

    def apply(self, nest: Nest) -> None:
        (loop,) = self.loops(nest, self.name, self.within)
        if loop.kind is not Kind.SERIAL or loop.axis.limit is not None or is_bounded(loop):
            raise self.refuse("only a serial loop of constant extent can be cut")
        if list(self.starts) != sorted({start for start in self.starts if 0 < start < loop.axis.extent}):
            raise self.refuse(f"starts must ascend between 1 and {loop.axis.extent - 1}")
        loop.pieces = self.starts


@dataclass(frozen=True, repr=False)
class BoundByGuards(Step):
    """Runs a reduced loop only over the iterations in which the masks of its contraction let something through.

        for k < 3:                                                  for k in max(0, 1 - y) .. min(3, 9 - y):
            s += (X[y + k - 1] if 0 <= y + k - 1 <= 7) * W[k]  =>       s += X[y + k - 1] * W[k]

    Only masks that depend on nothing further inside count.
    """

    name: str
    within: int

    def apply(self, nest: Nest) -> None:
        (loop,) = self.loops(nest, self.name, self.within)
        compute, path = next((c, path) for c, path in nest.leaves() if c.number == self.within)
        statement = compute.statement
        if loop.kind is not Kind.SERIAL or not nest.reduces(compute, loop.axis) or is_bounded(loop):
            raise self.refuse(f"{self.name} is no serial loop that statement {self.within} reduces over")
        if len(loop.body) != 1 or not isinstance(statement, Statement) or statement.contraction is None:
            raise self.refuse(f"the loop contains more than one contraction, or statement {self.within} is none")
        outside = {around.axis for around in path[:path.index(loop)]}
        for guard in masks(nest.kernel.statements[self.within]):
            index = guard.index.substitute(nest.point(path))
            if index.is_affine and index.coefficient(loop.axis) and index.axes <= outside | {loop.axis}:
                _bound(loop, guard, index)
        if not loop.guards:
            raise self.refuse("no mask depends on the loop and on nothing further inside")


def _bound(loop: Loop, guard: Guard, index: Index) -> None:
    """Bounds the loop by guard.low <= index <= guard.high, unless another guard does so already."""
    factor = index.coefficient(loop.axis)
    rest = (index - Index(((loop.axis, factor),))) * -1
    least, most = rest + guard.low, rest + guard.high  # of factor times the axis
    if factor < 0:
        least, most = most * -1, least * -1
    low, high = index.bounds
    below, above = (low < guard.low, high > guard.high)[::1 if factor > 0 else -1]
    if (below and loop.start is not None) or (above and loop.stop is not None):
        return
    if below:
        loop.start = (least + (abs(factor) - 1)) // abs(factor)
    if above:
        loop.stop = most // abs(factor) + 1
    loop.guards = (*loop.guards, guard)


def masks(statement: Statement | ScanStatement | SortStatement) -> tuple[Guard, ...]:
    """The conditions under which a term of a contraction counts: those that mask one of its operands to zero.

    statement: of the kernel, as it was before its operands were packed.
    """
    contraction = getattr(statement, "contraction", None)
    if contraction is None:
        return ()
    return tuple(guard for operand in (contraction.left, contraction.right) for guard in masks_of(operand))


def masks_of(operand: Expression) -> tuple[Guard, ...]:
    """The guards of a factor that is 0 where they fail."""
    guards: list[Guard] = []
    while isinstance(operand, Guarded) and isinstance(operand.fill, Constant) and operand.fill.value == 0:
        guards += [guard for guard in operand.guards if not guard.index.dynamics]
        operand = operand.inside
    return tuple(guards)


def is_false(guard: Guard, index: Index) -> bool:
    """Whether the condition fails for all values of the atoms of ``index``, which is the guard's at some point."""
    low, high = index.bounds
    return not index.dynamics and (high < guard.low or low > guard.high)


