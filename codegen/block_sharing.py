"""What the threads of a GPU block hand to each other: which scratch is shared, and where barriers must stand.

A value that the thread reads which wrote it needs no barrier, and no shared memory where that is short. Every other
value that passes from one sweep to a later one lies in shared or global memory, with a barrier in between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from codegen.index import Axis, Index
from codegen.kernel import Statement
from codegen.loops import Buffer, Space
from codegen.nest import Compute, Item, Kind, Loop, Nest, Path, reads_of
from codegen.partials import Temporary
from codegen.placement import Placement, Scratch
from codegen.steps import ScheduleError
from ir.node import Node

SHARED_BYTES = 48 << 10  # what every GPU gives a block
_PARTIAL_BYTES = 16  # of one thread's partial result, at most: a double and a position
_PRIVATE_ELEMENTS = 1 << 12
_DISTRIBUTED = (Kind.THREAD, Kind.SHARED)
_WARP = 32


class Access(NamedTuple):
    """A value that passes between threads, or the partial results of a reduction, read or written."""

    what: Hashable
    writes: bool


class Sharing:
    """The decisions for one nest. ``sizes``: the threads of a block along x, y and z."""

    def __init__(self, nest: Nest, placement: Placement) -> None:
        self.nest, self.placement = nest, placement
        self.sizes = block_sizes(nest)
        self.leaves = list(nest.leaves())
        self.paths = {compute.number: path for compute, path in self.leaves}
        self.private: set[object] = set()
        self.slots: dict[object, tuple[int, ...]] = {}  # for each shared scratch: dimensions with a copy per thread
        self.communicated = self._communicated()
        self._place()
        self._accesses: dict[int, frozenset[Access]] = {}

    # --------------------------------------------------------------------------------------------- distribution

    def team(self, path: Path) -> tuple[tuple[Axis, int], ...]:
        """The loops that say which thread does what, with their dimensions."""
        return tuple((loop.axis, loop.dimension) for loop in path if loop.kind in _DISTRIBUTED)

    def covers(self, path: Path) -> bool:
        """True where every thread of the block has iterations of its own."""
        used = {dimension for _, dimension in self.team(path)}
        return all(size == 1 or dimension in used for dimension, size in enumerate(self.sizes))

    def combined(self, number: int) -> frozenset[int]:
        """The dimensions along which threads accumulate parts of the reduction."""
        reduction = self.placement.reductions.get(number)
        if reduction is None:
            return frozenset()
        below = reduction.path[reduction.path.index(reduction.home):]
        return frozenset(loop.dimension for loop in below
                         if loop.kind is Kind.SHARED and self.nest.reduces(reduction.compute, loop.axis))

    def needs_partials(self, dimensions: frozenset[int]) -> bool:
        """True where warp shuffles do not reach all threads along the dimensions."""
        return 1 in dimensions or (0 in dimensions and self.sizes[0] > _WARP)

    def _written_at(self, compute: Compute, path: Path) -> Path:
        """The loops around the point where the statement's value is complete."""
        reduction = self.placement.reductions.get(compute.number)
        return path if reduction is None or reduction.stored else path[:path.index(reduction.home)]

    def _communicated(self) -> set[object]:
        """The values that some thread reads although another one wrote them."""
        found: set[object] = set()
        old = dict(self.nest.kernel.in_place)
        through_memory = {*self.placement.scratches, *self.placement.reread, *old}
        writers: dict[object, tuple[Compute, Path]] = {}
        for compute, path in self.leaves:
            value = getattr(compute.statement, "value", None)
            if value in through_memory:
                writers[value] = writers[old.get(value, value)] = compute, self._written_at(compute, path)
        for compute, path in self.leaves:
            for read in reads_of(compute.statement):
                if read.value in writers and not self._same_thread(*writers[read.value], read.indices, compute, path):
                    found |= {read.value, old.get(read.value, read.value)}
        return found

    def _same_thread(self, writer: Compute, source: Path, wanted: tuple[Index, ...], reader: Compute,
                     path: Path) -> bool:
        assert isinstance(writer.statement, Statement)
        points = self.nest.point(self.paths[writer.number]), self.nest.point(path)
        written = [index.substitute(points[0]) for index in writer.statement.indices]
        return (self.team(source) == self.team(path) and self.covers(path)
                and written == [index.substitute(points[1]) for index in wanted])

    # ------------------------------------------------------------------------------------------------- scratch

    def _place(self) -> None:
        """Gives every scratch a buffer: shared while there is room, first for what threads hand to each other."""
        room = SHARED_BYTES - sum(self._partial_bytes(number) for number in self.placement.reductions)
        scratches = sorted(self.placement.scratches.items(), key=lambda item: item[0] not in self.communicated)
        for number, (value, scratch) in enumerate(scratches):
            if isinstance(value, Temporary):
                scratch.extents = value.shape  # the layout of a tile, with its padding
            slots = self._slots(value, scratch)
            elements = scratch.size
            for dimension in slots:
                elements *= self.sizes[dimension]
            nbytes = -(-elements * scratch.dtype.itemsize // 16) * 16
            if nbytes <= room:
                room -= nbytes
                self.slots[value] = slots
                scratch.buffer = Buffer(f"shared{number}", scratch.dtype, max(1, elements), Space.SHARED)
            elif value in self.communicated:
                raise ScheduleError(f"{value} takes {nbytes} bytes of shared memory; {room} are left")
            else:
                self._place_privately(value, scratch, number)

    def _partial_bytes(self, number: int) -> int:
        """An upper bound of what combining the threads of one reduction takes."""
        dimensions = self.combined(number)
        if not self.needs_partials(dimensions):
            return 0
        columns = max(1, self.sizes[0] // _WARP) if 0 in dimensions else self.sizes[0]
        return columns * self.sizes[1] * _PARTIAL_BYTES

    def _slots(self, value: Node, scratch: Scratch) -> tuple[int, ...]:
        """The dimensions along which each thread works on a point of its own outside the scratch."""
        writer = next(path for c, path in self.leaves if getattr(c.statement, "value", None) is value)
        below = {loop.dimension for loop in writer[len(scratch.path):] if loop.kind in _DISTRIBUTED}
        outside = {loop.dimension for loop in scratch.path if loop.kind is Kind.THREAD}
        return tuple(sorted(outside - below))

    def _place_privately(self, value: Node, scratch: Scratch, number: int) -> None:
        writer = next(c for c, _ in self.leaves if getattr(c.statement, "value", None) is value)
        assert isinstance(writer.statement, Statement)
        point = self.nest.point(self.paths[writer.number])
        written = tuple([index.substitute(point) for index in writer.statement.indices])
        _, high = self.private_index(scratch.index(written)).bounds
        if high >= _PRIVATE_ELEMENTS:
            raise ScheduleError(f"{value} has {high + 1} elements a thread, and does not fit shared memory")
        self.private.add(value)
        scratch.buffer = Buffer(f"private{number}", scratch.dtype, high + 1, Space.SCRATCH)

    def private_index(self, index: Index) -> Index:
        """Where a thread keeps the element ``index`` of its own part: the iterations of a shared loop, counted."""
        loops = {loop.axis: loop.dimension for _, path in self.leaves for loop in path if loop.kind is Kind.SHARED}
        counted: dict[Any, Index] = {axis: Index.of(axis) // self.sizes[loops[axis]]
                                     for axis in index.axes if axis in loops}
        return index.substitute(counted)

    # ---------------------------------------------------------------------------------------------- accesses

    def accesses(self, item: Item) -> frozenset[Access]:
        """What the threads hand to each other within ``item``."""
        known = self._accesses.get(id(item))
        if known is None:
            known = self._accesses[id(item)] = frozenset(self._accesses_of(item))
        return known

    def _accesses_of(self, item: Item) -> Iterator[Access]:
        pending: list[Item] = [item]
        while pending:
            part = pending.pop()
            if isinstance(part, Loop):
                pending.extend(part.body)
                continue
            statement = part.statement
            for read in reads_of(statement):
                if read.value in self.communicated:
                    yield Access(self._place_of(read.value), False)
            value = getattr(statement, "value", None)
            if value in self.communicated:
                yield Access(self._place_of(value), True)
            if self.needs_partials(self.combined(part.number)):
                yield Access(part.number, True)

    def _place_of(self, value: Any) -> Hashable:
        place: Hashable = self.nest.kernel.in_place.get(value, value)
        return place


class Pending:
    """The accesses since the last barrier."""

    def __init__(self) -> None:
        self.kinds: dict[Hashable, set[bool]] = defaultdict(set)

    def conflicts(self, accesses: frozenset[Access]) -> bool:
        """True where a read follows another thread's write, or a write another thread's access."""
        return any(True in self.kinds[what] or (writes and self.kinds[what]) for what, writes in accesses)

    def add(self, accesses: frozenset[Access]) -> None:
        for what, writes in accesses:
            self.kinds[what].add(writes)

    def clear(self) -> None:
        self.kinds.clear()


def block_sizes(nest: Nest) -> tuple[int, int, int]:
    """The threads of a block along x, y and z."""
    sizes = [nest.threads.get(dimension, 1) for dimension in range(3)]
    for loop, _ in nest.loops():
        if loop.kind is Kind.THREAD:
            sizes[loop.dimension] = max(sizes[loop.dimension], loop.axis.extent)
    return sizes[0], sizes[1], sizes[2]
