"""Copies of square blocks: what lies across the lanes of a statement is turned to lie along them, in registers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from codegen.expression import Rewriter, walk
from codegen.index import Axis, Index
from codegen.kernel import Guarded, Home, Read, ScanStatement, Statement
from codegen.nest import Compute, Kind, Loop, Nest, expressions_of
from codegen.partials import Temporary
from codegen.placement import memory_index
from codegen.steps import Reorder, Split, Step
from ir.dtype import DType


@dataclass(frozen=True, repr=False)
class CopyBlock(Step):
    """Copies the block of each value that statement ``within`` reads across its lanes, just before the loop ``at``.

        for j:                                  for i: block[0:16, i] = X[i, 0:16]      (transposed in registers)
            for i: Y[j, i] = f(X[i, j])   =>    for j:
                                                    for i: Y[j, i] = f(block[j, i])

    at: the loop over ``j``, along which what is read is contiguous. lane: the loop over ``i`` below it. Where the
    statement is a scan along ``j``, what it stores across its lanes goes through a block too, copied after the loop.
    Of the two extents one is a multiple of the other: a block is copied in squares.
    """

    within: int
    at: str
    lane: str

    def apply(self, nest: Nest) -> None:
        compute = next(c for c, _ in nest.leaves() if c.number == self.within)
        statement = compute.statement
        if isinstance(statement, Statement) and (statement.reduced or statement.scatter):
            raise self.refuse(f"statement {self.within} is neither pointwise nor a scan")
        (top,) = self.loops(nest, self.at, self.within)
        blocks = _Blocks(nest, compute, top, self.axis(nest, self.lane))
        copied = {read: blocks.before(read) for read in blocks.crossing_reads()}
        rewriter = Rewriter({}, lambda read: copied.get(read, read))
        if isinstance(statement, Statement):
            compute.statement = replace(statement, expression=rewriter(statement.expression))
            return
        assert isinstance(statement, ScanStatement)
        outputs = []
        for value, expression, indices in statement.outputs:
            if blocks.crosses(value, indices):
                value, indices = blocks.after(value, indices)
            outputs.append((value, rewriter(expression), indices))
        carries = tuple([(name, start, rewriter(after)) for name, start, after in statement.carries])
        compute.statement = replace(statement, carries=carries, outputs=tuple(outputs))


@dataclass(frozen=True, repr=False)
class CopySquares(Step):
    """Lets the copy ``within`` read along the loop ``along``, and turns squares of what it read in registers.

        for k < 64:                            for k.o < 4:
            for i < 16: Y[k, i] = X[i, k]  =>      for k.i < 16, i < 16: Y[16 k.o + k.i, i] = X[i, 16 k.o + k.i]

    lane: the innermost loop, over ``i``, along which the copy is stored. Each line of X is then read once, and whole.
    """

    within: int
    along: str
    lane: str

    def apply(self, nest: Nest) -> None:
        compute, path = next((c, path) for c, path in nest.leaves() if c.number == self.within)
        (source,), (lanes,) = self.loops(nest, self.along, self.within), self.loops(nest, self.lane, self.within)
        if not isinstance(compute.statement, Statement) or compute.statement.reduced or path[-1] is not lanes:
            raise self.refuse(f"statement {self.within} is no copy whose innermost loop is {self.lane}")
        size = lanes.axis.extent
        if size & (size - 1) or any(axis.limit is not None for axis in (source.axis, lanes.axis)):
            raise self.refuse("a square has a power of two of rows, and loops of constant extent")
        lanes.kind = Kind.SERIAL
        known = set(nest.names)
        Split(self.along, size, self.within).apply(nest)
        _, rows = [name for name in nest.names if name not in known]
        below = [nest.name(loop.axis) for loop in path[path.index(source) + 1:-1]]
        Reorder((*below, rows, self.lane), self.within).apply(nest)
        turned, lanes = nest.path(self.within)[-2:]
        turned.kind, lanes.kind = Kind.TRANSPOSED, Kind.VECTOR


class _Blocks:
    """The blocks of one statement: its loop ``top`` runs across the lanes, which run along ``lane``."""

    def __init__(self, nest: Nest, compute: Compute, top: Loop, lane: Axis) -> None:
        self.nest, self.top, self.across, self.lane = nest, top, top.axis, lane
        self.statement = compute.statement
        self.point = nest.point(nest.path(compute.number))
        self.container = next(body for loop, body in nest.loops() if loop is top)
        self.inside: set[Any] = {c.statement.value for c, _ in nest.leaves() if isinstance(c.statement, Statement)}
        if isinstance(self.statement, ScanStatement):
            self.inside.update(name for name, _, _ in self.statement.carries)

    def crossing_reads(self) -> list[Read]:
        """The reads that are contiguous along ``across`` and far apart along ``lane``, at every point of both."""
        parts = list(walk(*expressions_of(self.statement)))
        if any(isinstance(part, Guarded) for part in parts):
            return []  # what is read under a guard may not exist
        reads = dict.fromkeys(part for part in parts if isinstance(part, Read) and part.value not in self.inside)
        return [read for read in reads if self.crosses(read.value, read.indices)]

    def crosses(self, value: Any, indices: tuple[Index, ...]) -> bool:
        index = memory_index(value, indices).substitute(self.point)
        return (index.is_affine and abs(index.coefficient(self.across)) == 1
                and abs(index.coefficient(self.lane)) >= self.across.extent)

    def before(self, read: Read) -> Read:
        """The block that holds what ``read`` reads; it is copied before the loop."""
        block = self._block(read.value.dtype)
        self._copy(0, Statement(block.value, (self.lane, self.across), read, block.indices, home=Home.SCRATCH),
                   self.across, self.lane)
        return block

    def after(self, value: Any, indices: tuple[Index, ...]) -> Read:
        """The block in which ``value`` is to be stored; it is copied to its place after the loop."""
        block = self._block(value.dtype)
        self._copy(1, Statement(value, (self.lane, self.across), block, indices), self.lane, self.across)
        return block

    def _block(self, dtype: DType) -> Read:
        value: Any = Temporary(dtype, (self.across.extent, self.lane.extent))
        return Read(value, (Index.of(self.across), Index.of(self.lane)))

    def _copy(self, offset: int, statement: Statement, source: Axis, target: Axis) -> None:
        """Inserts the loops of a copy, in squares; ``source`` and ``target`` are contiguous on either side."""
        nest, number = self.nest, 1 + max(compute.number for compute, _ in self.nest.leaves())
        longer, shorter = (source, target) if source.extent >= target.extent else (target, source)
        loop = Loop(longer, [Loop(shorter, [Compute(statement, number)])])
        self.container.insert(self.container.index(self.top) + offset, loop)
        if longer.extent > shorter.extent:
            Split(nest.name(longer), shorter.extent, number).apply(nest)
        if longer is target:
            Reorder(tuple([nest.name(loop.axis) for loop in reversed(nest.path(number)[-2:])]), number).apply(nest)
        rows, columns = nest.path(number)[-2:]
        rows.kind, columns.kind = Kind.TRANSPOSED, Kind.VECTOR
