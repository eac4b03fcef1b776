"""Loops that leave out iterations in which no point is needed (``codegen.regions``)."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.index import Axis, Index
from codegen.kernel import Guard
from codegen.nest import Kind, Loop, Nest
from codegen.regions import needed_regions
from codegen.steps import Step


@dataclass(frozen=True, repr=False)
class Bound(Step):
    """Bounds a loop around statement ``within`` by what a mask leaves needed, given the loops outside it.

        for i < 64:                                 for i < 64:
            for j < 64:                     =>          for j < i + 1:
                S += exp(x[j] if j <= i else -inf)          S += exp(x[j] if j <= i else -inf)

    A loop over blocks keeps every block with a needed point, whole; what it leaves out is neither computed nor read.
    given: the innermost loop whose number counts, if not the one just outside: the loops between may be anywhere. The
    last, shorter block of a split is computed whatever is needed of it: other statements count on that.
    """

    name: str
    within: int
    given: str = ""

    def apply(self, nest: Nest) -> None:
        (loop,) = self.loops(nest, self.name, self.within)
        if loop.kind is not Kind.SERIAL or loop.axis.limit is not None:
            raise self.refuse(f"{self.name} is {loop.kind.value}, or its extent is known only at run time")
        path = nest.path(self.within)
        outside = path[:path.index(loop)]
        if self.given:
            names = [nest.name(around.axis) for around in outside]
            if self.given not in names:
                raise self.refuse(f"there is no loop over {self.given} outside")
            outside = outside[:names.index(self.given) + 1]
        statement = next(compute for compute, _ in nest.leaves() if compute.number == self.within)
        if not nest.reduces(statement, loop.axis) and any(_has_short_block(nest, around) for around in outside):
            return
        known = {around.axis for around in outside}
        point = nest.point(path)
        for guard in needed_regions(nest.kernel).get(self.within, ()):
            index = guard.index.substitute(point)
            if index.is_affine:
                _bound_above(loop, guard._replace(index=index), known)
                _bound_above(loop, Guard(index * -1, -guard.high, -guard.low), known)


def _has_short_block(nest: Nest, loop: Loop) -> bool:
    """Whether the loop, which is not one of the kernel's own, has a last block that is shorter."""
    record = nest.splits.get(loop.axis)
    return (record is not None and record.peel and record.parent.extent % record.factor != 0
            and nest.origins[loop.axis].isdisjoint(nest.kernel.axes))


def _bound_above(loop: Loop, guard: Guard, known: set[Axis]) -> None:
    """Bounds the loop by guard.low <= index, with the axes that are not known where they make the index largest."""
    factor = guard.index.coefficient(loop.axis)
    if factor == 0 or guard.low <= guard.index.bounds[0]:
        return
    rest = Index((), guard.index.constant - guard.low)
    for atom, step in guard.index.terms:
        if atom in known:
            rest = rest + Index(((atom, step),))
        elif atom is not loop.axis:
            rest = rest + max(step * bound for bound in atom.bounds)
    if factor < 0:
        loop.stop = loop.stop or (rest // -factor) + 1
    elif loop.start is None:
        loop.start = (rest * -1 + (factor - 1)) // factor
