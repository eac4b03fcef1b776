"""Copies of square blocks: what a pointwise statement would gather from distant lines is copied as it lies first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from codegen.expression import Rewriter, walk
from codegen.index import Axis, Index
from codegen.kernel import Expression, Guarded, Home, Read, Statement
from codegen.nest import Compute, Item, Kind, Loop, Nest
from codegen.partials import Temporary
from codegen.placement import memory_index
from codegen.steps import Step


@dataclass(frozen=True, repr=False)
class CopyBlock(Step):
    """Copies the block of each value that statement ``within`` reads across its lanes, just before the loop ``at``.

        for j:                                  for i, j: block[i, j] = X[i, j]   (lanes along j)
            for i: Y[j, i] = f(X[i, j])   =>    for j:
                                                    for i: Y[j, i] = f(block[i, j])

    at: the loop over ``j``, along which what is read is contiguous. lane: the loop over ``i`` below it. The lines of X
    may all map to the same few places of a cache; those of the block do not.
    """

    within: int
    at: str
    lane: str

    def apply(self, nest: Nest) -> None:
        compute = next(c for c, _ in nest.leaves() if c.number == self.within)
        statement = compute.statement
        if not isinstance(statement, Statement) or statement.reduced or statement.scatter:
            raise self.refuse(f"statement {self.within} is not pointwise")
        (top,) = self.loops(nest, self.at, self.within)
        across, lane = top.axis, self.axis(nest, self.lane)
        container = next(body for loop, body in nest.loops() if loop is top)
        copied: dict[Read, Read] = {}
        for read in self._crossing(nest, statement.expression, lane, across):
            value: Any = Temporary(read.value.dtype, (lane.extent, across.extent))
            copied[read] = Read(value, (Index.of(lane), Index.of(across)))
            number = 1 + max(c.number for c, _ in nest.leaves())
            copy: Item = Compute(Statement(value, (lane, across), read, copied[read].indices, home=Home.SCRATCH),
                                 number)
            container.insert(container.index(top), Loop(lane, [Loop(across, [copy], Kind.VECTOR)]))
        rewriter = Rewriter({}, lambda read: copied.get(read, read))
        compute.statement = replace(statement, expression=rewriter(statement.expression))

    def _crossing(self, nest: Nest, root: Expression, lane: Axis, across: Axis) -> Iterator[Read]:
        """The reads that are contiguous along ``across`` and far apart along ``lane``, at every point of both."""
        parts = list(walk(root))
        if any(isinstance(part, Guarded) for part in parts):
            return  # what is read under a guard may not exist
        produced = {c.statement.value for c, _ in nest.leaves() if isinstance(c.statement, Statement)}
        path = nest.path(self.within)
        point = nest.point(path)
        for read in dict.fromkeys(part for part in parts if isinstance(part, Read) and part.value not in produced):
            index = memory_index(read.value, read.indices).substitute(point)
            if (index.is_affine and index.coefficient(across) == 1
                    and abs(index.coefficient(lane)) >= across.extent):
                yield read
