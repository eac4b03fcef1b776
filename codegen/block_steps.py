"""Schedule steps for GPUs: how the threads of one block share the work below the loops over blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from codegen.index import Axis, Index
from codegen.kernel import Apply, Expression, Home, Read, Statement
from codegen.nest import Compute, Item, Kind, Loop, Nest
from codegen.partials import Temporary
from codegen.staging import operand_dtype, with_operand
from codegen.steps import Step

MAXIMUM_THREADS = 1024


@dataclass(frozen=True, repr=False)
class Tile(Step):
    """Cuts a loop into blocks of ``factor`` iterations, of which the last may run past the end.

        for i < 100:              for i.o < 7:
            S(i)           =>         for i.i < 16:
                                          S(min(16 * i.o + i.i, 99)), stored where 16 * i.o + i.i < 100

    Past the end the last iteration is computed again and nothing is stored, so all threads of a block take the same
    path and meet at every barrier. Illegal over a reduced axis.
    """

    name: str
    factor: int

    def apply(self, nest: Nest) -> None:
        axis, loops = self.axis(nest, self.name), self.loops(nest, self.name)
        for compute, path in nest.leaves():
            if any(loop in path for loop in loops) and nest.reduces(compute, axis):
                raise self.refuse(f"statement {compute.number} reduces over {self.name}")
        outer, inner = Axis(-(-axis.extent // self.factor), f"{self.name}.o"), Axis(self.factor, f"{self.name}.i")
        nest.add_axis(f"{self.name}.o", outer, nest.origins[axis])
        nest.add_axis(f"{self.name}.i", inner, nest.origins[axis])
        meaning = Index(((outer, self.factor),)) + Index(((inner, 1),))
        nest.definitions.setdefault(axis, []).append(meaning)
        if axis.limit is not None or axis.extent % self.factor:
            nest.overrun.append(axis)
        for loop in loops:
            loop.axis, loop.body = outer, [Loop(inner, loop.body)]


@dataclass(frozen=True, repr=False)
class Share(Step):
    """Deals the iterations of a loop out, in turn, to ``threads`` threads of the block along one of its dimensions.

        for k < 1000:             for k = thread; k < 1000; k += 256:
            S(k)           =>         S(k)

    A reduced axis may be shared: each thread accumulates, and the threads' results are combined after the loop in a
    fixed order; every thread then has the whole.
    """

    name: str
    threads: int
    dimension: int = 0
    within: int | None = None

    def apply(self, nest: Nest) -> None:
        if self.threads not in [1 << power for power in range(1, 11)]:
            raise self.refuse(f"the number of threads must be a power of two up to {MAXIMUM_THREADS}")
        if nest.threads.setdefault(self.dimension, self.threads) != self.threads:
            raise self.refuse(f"the block already has {nest.threads[self.dimension]} threads along that dimension")
        for loop in self.loops(nest, self.name, self.within):
            if loop.kind is not Kind.SERIAL:
                raise self.refuse(f"{self.name} is already {loop.kind.value}")
            for compute, path in nest.leaves():
                if loop in path and not (isinstance(compute.statement, Statement) and not compute.statement.scatter):
                    raise self.refuse(f"statement {compute.number} needs its iterations in order")
            loop.kind, loop.dimension = Kind.SHARED, self.dimension


@dataclass(frozen=True, repr=False)
class StageTile(Step):
    """All threads copy an operand's tile of the contraction ``within`` into shared memory, before the loop ``at``.

        for k.o:                                for k.o:
            for k.i:                                for k.i, m.tile: tile[k.i, m.tile] = A[m, k]
                C[m, n] += A[m, k] * B[k, n]  =>    barrier
                                                    for k.i: C[m, n] += tile[k.i, m] * B[k, n]
                                                    barrier

    operand: 'left' or 'right'. at: the loop over the tile's reduced axis. along: the block's axis (before it was cut
    into threads and registers) along which the tile extends. lanes_along_at: neighbouring threads copy neighbours along
    ``at`` (where the operand is contiguous along it), else along ``along``. padding: unused elements after each row
    of the tile, against bank conflicts. threads: of the block's two dimensions.
    """

    operand: str
    within: int
    at: str
    along: str
    lanes_along_at: bool
    threads: tuple[int, int]
    padding: int = 0

    def apply(self, nest: Nest) -> None:
        compute = next(c for c, _ in nest.leaves() if c.number == self.within)
        statement = compute.statement
        if not isinstance(statement, Statement) or statement.contraction is None:
            raise self.refuse(f"statement {self.within} is no contraction")
        (top,) = self.loops(nest, self.at, self.within)
        k, block = self.axis(nest, self.at), self.axis(nest, self.along)
        tile = Axis(block.extent, f"{self.along}.tile")
        nest.add_axis(f"{self.along}.tile", tile, nest.origins[block])
        nest.definitions.setdefault(block, []).append(Index(((tile, 1),)))
        source: Expression = getattr(statement.contraction, self.operand)
        value: Any = Temporary(operand_dtype(source, statement), (k.extent, block.extent + self.padding))
        place = Index.of(k), Index(((tile, 1),))
        number = 1 + max(c.number for c, _ in nest.leaves())
        copy: Item = Compute(Statement(value, (k, tile), source, place, home=Home.SCRATCH), number)
        container = next(body for loop, body in nest.loops() if loop is top)
        for axis, dimension in ((k, 0 if self.lanes_along_at else 1), (tile, 1 if self.lanes_along_at else 0)):
            threads = self.threads[dimension]
            if nest.threads.setdefault(dimension, threads) != threads:
                raise self.refuse(f"the block already has {nest.threads[dimension]} threads along {'xy'[dimension]}")
            copy = Loop(axis, [copy], Kind.SHARED, dimension=dimension)
        container.insert(container.index(top), copy)
        contraction = with_operand(statement.contraction, self.operand, Read(value, (place[0], Index.of(block))))
        product = Apply("mul", (contraction.left, contraction.right), statement.value.dtype)
        compute.statement = replace(statement, contraction=contraction, expression=product)
