"""From a scheduled nest to a function of the loop IR.

The walk follows the loop tree. Unrolled loops are walked once per iteration, vector loops once for all lanes, serial
loops become ``For``. What each leaf computes (``codegen.leaves``) lands in the outermost body that binds its operands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from codegen.index import Axis, Index
from codegen.kernel import Constant, Statement
from codegen.leaves import Lanes, LeafWriter
from codegen.loop_builder import INDEX, LoopBuilder, literal
from codegen.loops import Allocate, Atom, Buffer, For, Function, If, Literal, LoopKind
from codegen.monoids import accumulator_dtype, identity_value
from codegen.nest import Compute, Item, Kind, Loop, Nest, Path
from codegen.placement import Reduction, place_values
from codegen.steps import ScheduleError
from ir.dtype import dtypes

_CONCURRENT = {Kind.PARALLEL: LoopKind.PARALLEL, Kind.BLOCK: LoopKind.BLOCK, Kind.THREAD: LoopKind.THREAD}


def realize_nest(nest: Nest, name: str, parameters: Sequence[Buffer], buffers: Mapping[Any, Buffer],
                 symbols: tuple[str, ...] = ()) -> Function:
    """The function that the nest describes; ``buffers`` are the parameters by the values that they hold."""
    walk = NestWalk(nest, buffers)
    walk.items(nest.body, ())
    return Function(name, tuple(parameters), symbols, walk.builder.scope.statements)


class NestWalk:
    """The state of one walk: which axes are bound to what."""

    def __init__(self, nest: Nest, buffers: Mapping[Any, Buffer]) -> None:
        self.nest = nest
        self.builder = LoopBuilder(buffer for buffer in buffers.values() if not buffer.readonly)
        self.placement = place_values(nest)
        self.leaves = LeafWriter(nest, self.builder, self.placement, buffers)
        self.axes, self.variables = self.leaves.axes, self.leaves.variables
        self.extents: dict[Axis, int] = {}  # of inner axes, while the last block of a split is written
        self.allocated = 0

    # ------------------------------------------------------------------------------------------------- tree

    def items(self, items: Sequence[Item], path: Path) -> None:
        """Writes one body."""
        for scratch in self.placement.scratches.values():
            if scratch.path == path:
                self.allocated += 1
                buffer = scratch.allocate(f"scratch{self.allocated}")
                if scratch.predecessor is None:
                    self.builder.written.add(buffer)
                    self.builder.append(Allocate(buffer))
        for item in items:
            self.item(item, path)

    def item(self, item: Item, path: Path) -> None:
        if isinstance(item, Compute):
            self.leaves.write(item)
            return
        starting = [r for r in self.placement.reductions.values() if item in (r.home, r.inner_home)]
        for reduction in starting:
            if reduction.stored and item is reduction.home:
                self.fill(reduction, path)
            if item is reduction.inner_home:
                self.leaves.accumulators.begin(reduction.compute.number)
        self.iterations(item, (*path, item))
        for reduction in starting:
            if item is reduction.inner_home:
                self.leaves.finish(reduction.compute)

    def fill(self, reduction: Reduction, path: Path) -> None:
        """Writes the identity wherever a reduction that is kept in storage will land."""
        statement = reduction.compute.statement
        assert isinstance(statement, Statement) and statement.monoid is not None
        dtype = accumulator_dtype(statement.monoid, statement.value.dtype)
        start = Constant(identity_value(statement.monoid, dtype), statement.value.dtype)
        filling: Item = Compute(Statement(statement.value, statement.axes, start, statement.indices,
                                          guards=statement.guards, home=statement.home), reduction.compute.number)
        below = reduction.path[reduction.path.index(reduction.home):]
        for loop in reversed(below):
            if not self.nest.reduces(reduction.compute, loop.axis):
                filling = Loop(loop.axis, [filling], loop.kind)
        self.item(filling, path)

    # ------------------------------------------------------------------------------------------------ loops

    def extent(self, axis: Axis) -> int:
        """How many iterations the loop over ``axis`` has here, at most."""
        if axis in self.extents:
            return self.extents[axis]
        record = self.nest.splits.get(axis)
        return axis.extent if record is None else -(-self.extent(record.parent) // record.factor)

    def tail(self, axis: Axis) -> int:
        """The length of the last, shorter block that is written out separately, if ``axis`` counts such blocks."""
        record = self.nest.splits.get(axis)
        return self.extent(record.parent) % record.factor if record is not None and record.peel else 0

    def iterations(self, loop: Loop, path: Path) -> None:
        axis = loop.axis
        record = self.nest.inner_splits.get(axis)
        if record is not None and not record.peel and self.tail(record.parent):
            self.tiles_of_block(loop, path)
            return
        extent, tail = self.extent(axis), self.tail(axis)
        if loop.kind in _CONCURRENT:
            self.concurrent(loop, path, extent, tail)
            return
        full = extent - 1 if tail else extent
        self.span(loop, path, full, self.stop(loop, full))
        if tail:
            self.last(loop, path, axis, full, tail)

    def span(self, loop: Loop, path: Path, extent: int, stop: Atom) -> None:
        """``extent`` equal iterations, of which those below ``stop`` exist."""
        if loop.kind is Kind.VECTOR:
            self.lanes(loop, path)
        elif loop.kind is Kind.TRANSPOSED:
            self.transposed(loop)
        elif loop.kind is Kind.UNROLL:
            for number in range(extent):
                self.bound(loop, path, Index((), number))
        elif extent == 1 and loop.axis.limit is None and loop.start is None and loop.stop is None:
            self.bound(loop, path, Index())
        elif loop.pieces:
            self.in_pieces(loop, path, extent)
        elif extent:
            self.serial(loop, path, stop, LoopKind.SERIAL)

    def start(self, loop: Loop) -> Atom:
        """The first number that the loop variable takes."""
        first = literal(0, dtypes.int64)
        return first if loop.start is None else self.builder.apply("maximum", first, self.leaves.index(loop.start))

    def stop(self, loop: Loop, extent: int) -> Atom:
        """The first number that the loop variable does not take."""
        stop: Atom = literal(extent, dtypes.int64)
        for bound in (loop.axis.limit, loop.stop):
            if bound is not None:
                stop = self.builder.apply("minimum", stop, self.leaves.index(bound))
        return stop

    def bound(self, loop: Loop, path: Path, value: Index) -> None:
        """One iteration: the body with the axis at a number."""
        self.axes[loop.axis] = value
        separate = loop.separate and loop.kind is Kind.UNROLL
        if separate:
            self.leaves.separate.append(loop.axis)
        self.items(loop.body, path)
        if separate:
            self.leaves.separate.pop()
        del self.axes[loop.axis]

    def last(self, loop: Loop, path: Path, counter: Axis, number: int, tail: int) -> None:
        """The last block of a split, with its shorter inner extent. ``counter`` numbers the blocks."""
        inner = self.nest.splits[counter].inner
        self.extents[inner] = tail
        self.bound(loop, path, Index((), number))
        del self.extents[inner]

    def in_pieces(self, loop: Loop, path: Path, extent: int) -> None:
        """The iterations as several loops, so that what depends on the number of the iteration is known in each."""
        starts = (0, *[start for start in loop.pieces if start < extent], extent)
        for start, end in pairwise(starts):
            if end - start == 1:
                self.bound(loop, path, Index((), start))
            else:
                self.serial(loop, path, literal(end - start, dtypes.int64), LoopKind.SERIAL,
                            Axis(end - start, loop.axis.name), start)

    def serial(self, loop: Loop, path: Path, stop: Atom, kind: LoopKind, counter: Axis | None = None,
               offset: int = 0) -> None:
        """A ``For`` that carries the accumulators which its body changes. The axis is ``counter`` plus ``offset``."""
        counter = counter or loop.axis
        variable = self.builder.variable(self.nest.name(loop.axis), INDEX, self.builder.depth + 1)
        self.variables[counter] = variable
        start = self.start(loop)
        with self.builder.body(conditional=not isinstance(stop, Literal) or loop.start is not None) as scope:
            self.leaves.accumulators.open_loop()
            self.axes[loop.axis] = Index(((counter, 1),), offset)
            holding = self.leaves.hold(loop.guards)
            self.items(loop.body, path)
            self.leaves.holding = holding
            del self.axes[loop.axis]
            carried = self.leaves.accumulators.close_loop()
        self.builder.append(For(variable, start, stop, 1, kind, scope.statements, carried, loop.dimension))

    def lanes(self, loop: Loop, path: Path) -> None:
        """All iterations at once, in the lanes of vectors; a mask turns off those that do not exist."""
        axis, lanes, active = loop.axis, loop.axis.extent, self.extent(loop.axis)
        if lanes == 1:
            self.bound(loop, path, Index())
            return
        self.leaves.vector = axis, lanes, self.leaves.lane_mask(Lanes(axis, active))
        self.bound(loop, path, Index(((axis, 1),)))
        self.leaves.vector = None

    def transposed(self, loop: Loop) -> None:
        """A block copied in registers: read along ``loop``, written along the loop inside it."""
        (inside,) = loop.body
        assert isinstance(inside, Loop)
        (copy,) = inside.body
        assert isinstance(copy, Compute)
        along, across = (Lanes(axis, self.extent(axis)) for axis in (loop.axis, inside.axis))
        if across.axis.limit is not None:
            raise ScheduleError(f"{self.nest.name(across.axis)} has too many rows for a block: its extent is computed")
        self.leaves.copy_transposed(copy, along, across)

    # ------------------------------------------------------------------------------- tasks, blocks and threads

    def concurrent(self, loop: Loop, path: Path, extent: int, tail: int) -> None:
        """Iterations that run independently; a shorter last block is a branch of its own."""
        counter = loop.axis
        if extent == 1:
            if tail:
                self.last(loop, path, counter, 0, tail)
            else:
                self.bound(loop, path, Index())
            return
        variable = self.builder.variable(self.nest.name(counter), INDEX, self.builder.depth + 1)
        self.variables[counter] = variable
        here = Index(((counter, 1),))
        with self.builder.body() as scope:
            self.leaves.accumulators.open_branch()
            if tail:
                full = self.builder.compare("less", variable, literal(extent - 1, dtypes.int64))
                self.branch(full, lambda: self.bound(loop, path, here),
                            lambda: self.last(loop, path, counter, extent - 1, tail))
            elif counter.limit is not None:
                self.axes[counter] = here
                exists = self.builder.compare("less", variable, self.leaves.index(counter.limit))
                self.branch(exists, lambda: self.bound(loop, path, here))
            else:
                self.bound(loop, path, here)
            self.leaves.accumulators.close_branch()
        self.builder.append(For(variable, literal(0, dtypes.int64), literal(extent, dtypes.int64), 1,
                                _CONCURRENT[loop.kind], scope.statements, [], loop.dimension))

    def tiles_of_block(self, loop: Loop, path: Path) -> None:
        """The tiles of one block of tiles, where the very last tile of all is shorter and written out separately.

        The block's tiles are ``loop``; the split that counts blocks is not peeled, the one that counts tiles is.
        """
        record = self.nest.inner_splits[loop.axis]
        if loop.kind is not Kind.SERIAL:
            raise ScheduleError(f"{self.nest.name(loop.axis)} must stay serial: its last block is shorter")
        full, tail = self.extent(record.parent) - 1, self.tail(record.parent)
        block = Index(((record.outer, 1),))
        rest = self.leaves.index(Index((), full) - block * record.factor)
        if full:
            self.serial(loop, path, self.builder.apply("minimum", literal(record.factor, dtypes.int64), rest),
                        LoopKind.SERIAL)
        holds_last = self.builder.compare("equal", self.leaves.index(block),
                                          literal(full // record.factor, dtypes.int64))
        self.branch(holds_last, lambda: self.last(loop, path, record.parent, full % record.factor, tail))

    def branch(self, condition: Atom, then: Callable[[], None], otherwise: Callable[[], None] | None = None) -> None:
        """Side effects under a condition that is the same for all lanes."""
        bodies = []
        for write in (then, otherwise):
            with self.builder.body(conditional=True) as scope:
                self.leaves.accumulators.open_branch()
                if write is not None:
                    write()
                self.leaves.accumulators.close_branch()
            bodies.append(scope.statements)
        self.builder.append(If(condition, bodies[0], bodies[1]))
