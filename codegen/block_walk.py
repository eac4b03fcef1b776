"""From a nest whose loops are shared among the threads of GPU blocks to a function of the loop IR.

The body of a block is written once, for every thread: what no shared loop surrounds, each thread computes for itself,
and one of them stores it. Barriers stand where a thread is about to touch what another one may still use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from codegen.block_leaves import BlockLeaves
from codegen.block_sharing import Pending, Sharing
from codegen.index import Index
from codegen.loop_builder import INDEX, literal
from codegen.loops import Allocate, Atom, Barrier, Buffer, For, Function, Literal, LoopKind
from codegen.nest import Item, Kind, Loop, Nest, Path
from codegen.realize import NestWalk
from codegen.steps import ScheduleError
from ir.dtype import dtypes


def realize_block(nest: Nest, name: str, parameters: Sequence[Buffer], buffers: Mapping[Any, Buffer],
                  symbols: tuple[str, ...] = ()) -> Function:
    """``codegen.realize.realize_nest`` for a nest with loops that the threads of a block share."""
    walk = BlockWalk(nest, buffers)
    walk.items(nest.body, ())
    return Function(name, tuple(parameters), symbols, walk.builder.scope.statements)


class BlockWalk(NestWalk):
    """``NestWalk`` for nests with shared loops."""

    def __init__(self, nest: Nest, buffers: Mapping[Any, Buffer]) -> None:
        super().__init__(nest, buffers)
        self.sharing = Sharing(nest, self.placement)
        leaves = BlockLeaves(nest, self.builder, self.placement, buffers, self.sharing)
        leaves.meet = self.barrier
        self.leaves: BlockLeaves = leaves
        self.axes, self.variables = self.leaves.axes, self.leaves.variables
        self.pending = Pending()
        self.block_is_open = False
        self.shared_loops = 0

    # ------------------------------------------------------------------------------------------------- bodies

    def items(self, items: Sequence[Item], path: Path) -> None:
        """Writes one body, with barriers between items that meet in memory."""
        if not self.block_is_open:
            if len(items) == 1 and isinstance(items[0], Loop) and items[0].kind is Kind.BLOCK:
                self.item(items[0], path)
            else:
                self.block(lambda: self.items(items, path))
            return
        for value, scratch in self.placement.scratches.items():
            if scratch.path == path and value in self.sharing.private and scratch.buffer is not None:
                self.builder.written.add(scratch.buffer)
                self.builder.append(Allocate(scratch.buffer))
        if self.shared_loops:  # within one sweep, threads keep to what is their own
            for item in items:
                self.item(item, path)
            return
        for item in items:
            self.meet(item)
            self.item(item, path)
            self.pending.add(self.sharing.accesses(item))
        if path and path[-1].kind is Kind.SERIAL:  # the next iteration begins
            for item in items:
                self.meet(item)

    def meet(self, item: Item) -> None:
        """A barrier, if ``item`` touches what other threads may still be using."""
        if self.pending.conflicts(self.sharing.accesses(item)):
            self.barrier()

    def block(self, write: Callable[[], None]) -> None:
        """Opens the threads of a block around what ``write`` writes; shared memory is allocated before them."""
        self.block_is_open = True
        for buffer in self.leaves.shared_buffers():
            self.builder.written.add(buffer)
            self.builder.append(Allocate(buffer))
        dimensions = [number for number, size in enumerate(self.sharing.sizes) if size > 1]
        self._threads(dimensions, write)
        self.block_is_open = False

    def _threads(self, dimensions: Sequence[int], write: Callable[[], None]) -> None:
        if not dimensions:
            write()
            return
        dimension = dimensions[0]
        variable = self.builder.variable(f"thread_{'xyz'[dimension]}", INDEX, self.builder.depth + 1)
        self.variables[self.leaves.threads[dimension]] = variable
        with self.builder.body() as scope:
            self.leaves.accumulators.open_branch()
            self._threads(dimensions[1:], write)
            self.leaves.accumulators.close_branch()
        size = literal(self.sharing.sizes[dimension], dtypes.int64)
        self.builder.append(For(variable, literal(0, dtypes.int64), size, 1, LoopKind.THREAD, scope.statements, [],
                                dimension))

    def barrier(self) -> None:
        """All threads meet; what was loaded before may have changed."""
        if self.shared_loops:
            raise ScheduleError("a barrier would stand inside a loop that each thread repeats as often as it needs")
        self.builder.append(Barrier())
        for buffer in self.builder.written:
            self.builder.forget(buffer)
        self.pending.clear()

    # -------------------------------------------------------------------------------------------------- loops

    def concurrent(self, loop: Loop, path: Path, extent: int, tail: int) -> None:
        """A loop over threads binds its axis to the number of the thread."""
        if loop.kind is not Kind.THREAD:
            super().concurrent(loop, path, extent, tail)
            return
        if loop.axis.limit is not None or tail or extent != self.sharing.sizes[loop.dimension]:
            raise ScheduleError(f"{self.nest.name(loop.axis)} must have an iteration for every thread: Tile it")
        if extent == 1:
            self.bound(loop, path, Index())
            return
        self.variables[loop.axis] = self.variables[self.leaves.threads[loop.dimension]]
        with self.leaves.distributed(loop.dimension):
            self.bound(loop, path, Index(((loop.axis, 1),)))

    def span(self, loop: Loop, path: Path, extent: int, stop: Atom) -> None:
        if loop.kind is Kind.SHARED:
            self.shared(loop, path, extent, stop)
        else:
            super().span(loop, path, extent, stop)

    def shared(self, loop: Loop, path: Path, extent: int, stop: Atom) -> None:
        """Thread t takes the iterations t, t + threads, t + 2 * threads, ..."""
        if self.tail(loop.axis):
            raise ScheduleError(f"{self.nest.name(loop.axis)} is shared, and its last block is shorter")
        size = self.sharing.sizes[loop.dimension]
        variable = self.builder.variable(self.nest.name(loop.axis), INDEX, self.builder.depth + 1)
        self.variables[loop.axis] = variable
        everyone = isinstance(stop, Literal) and extent >= size
        with self.builder.body(conditional=not everyone) as scope, self._inside_shared(loop.dimension):
            self.leaves.accumulators.open_loop()
            self.bound(loop, path, Index(((loop.axis, 1),)))
            carried = self.leaves.accumulators.close_loop()
        thread = self.variables[self.leaves.threads[loop.dimension]]
        self.builder.append(For(variable, thread, stop, size, LoopKind.SERIAL, scope.statements, carried))

    @contextmanager
    def _inside_shared(self, dimension: int) -> Iterator[None]:
        self.shared_loops += 1
        with self.leaves.distributed(dimension):
            yield
        self.shared_loops -= 1

