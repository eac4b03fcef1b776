"""The leaves of a nest whose loops are shared among the threads of a GPU block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from codegen.block_sharing import Sharing
from codegen.evaluate import Conditions, Evaluator, Point
from codegen.index import Atom as IndexAtom
from codegen.index import Axis, Index
from codegen.leaves import LeafWriter
from codegen.loop_builder import LoopBuilder, literal
from codegen.loops import Atom, Barrier, Buffer, If, Literal, Load, Space, ValueType, WarpShuffle
from codegen.monoids import State, combine, combine_tree
from codegen.nest import Compute, Nest
from codegen.placement import Placement
from codegen.steps import ScheduleError
from ir.dtype import dtypes
from ir.node import Node

_WARP = 32


class BlockLeaves(LeafWriter):
    """``LeafWriter`` for one thread of a block.

    threads: the axis that stands for the thread's number along each dimension. meet: writes a barrier.
    """

    def __init__(self, nest: Nest, builder: LoopBuilder, placement: Placement, buffers: Mapping[Any, Buffer],
                 sharing: Sharing) -> None:
        super().__init__(nest, builder, placement, buffers)
        self.sharing = sharing
        self.threads = tuple([Axis(size, f"thread_{'xyz'[dimension]}") for dimension, size in enumerate(sharing.sizes)])
        self.meet: Callable[[], None] = lambda: None
        self._used: list[int] = []  # the dimensions that the loops around this point share out
        self._clamped: dict[tuple[Axis, Index], Axis] = {}
        self._original: dict[IndexAtom, Index] = {}
        self._partials: dict[int, tuple[Buffer, ...]] = {}
        self._replaced = set(nest.kernel.in_place.values())

    @contextmanager
    def distributed(self, dimension: int) -> Iterator[None]:
        """Inside, every thread along ``dimension`` has iterations of its own."""
        self._used.append(dimension)
        yield
        self._used.pop()

    # ------------------------------------------------------------------------------------------------- points

    def resolved(self) -> dict[IndexAtom, Index]:
        """Every known axis; one that a tile runs past is held at its last element."""
        known: dict[IndexAtom, Index] = dict(self.axes)
        for axis, alternatives in reversed(self.nest.definitions.items()):
            for definition in alternatives:
                if axis not in known and all(atom in known for atom in definition.axes):
                    index = definition.substitute(known)
                    known[axis] = self._held(axis, index) if axis in self.nest.overrun else index
        return known

    def _held(self, axis: Axis, index: Index) -> Index:
        """``index`` as far as ``axis`` goes."""
        if index.bounds[1] < axis.extent and axis.limit is None:
            return index
        vector, lanes = (self.vector[0], self.vector[1]) if self.vector and self.vector[0] in index.axes else (None, 1)
        first = index if vector is None else index.substitute({vector: Index()})
        if (axis.limit is not None and vector is not None) or axis.extent % lanes:
            raise ScheduleError(f"vectors along {self.nest.name(axis)} could end inside it")
        last = literal(axis.extent - lanes, dtypes.int64)
        evaluator = self._plain()
        if axis.limit is not None:
            last = self.builder.apply("minimum", last, evaluator.index(axis.limit - 1))  # type: ignore[assignment]
        held = self._clamped.setdefault((axis, first), Axis(axis.extent, axis.name))
        self._original[held] = first
        self.variables[held] = self.builder.apply("minimum", evaluator.index(first), last)
        return Index(((held, 1),)) if vector is None else Index(((held, 1),)) + Index(((vector, 1),))

    def _plain(self) -> Evaluator:
        return Evaluator(self.builder, self, self.variables, Point({}))

    def _existing(self, point: Point) -> Conditions:
        """What holds where the iteration exists: no tile has run past the end of its axis."""
        tests = []
        for axis, index in point.axes.items():
            for atom in index.atoms() if axis in self.nest.overrun else ():
                if atom in self._original and isinstance(axis, Axis):
                    limit = self._plain().index(Index.of(axis.extent) if axis.limit is None else axis.limit)
                    number = self._plain().index(self._original[atom])
                    tests.append(self.builder.compare("less", number, limit))
        return tuple(dict.fromkeys(tests))

    def _is_leader(self) -> Conditions:
        """Only the first of the threads that all compute the same value stores it."""
        return tuple([self.builder.compare("equal", self.variables[self.threads[dimension]], literal(0, dtypes.int64))
                      for dimension, size in enumerate(self.sharing.sizes)
                      if size > 1 and dimension not in self._used])

    # ------------------------------------------------------------------------------------------------ storage

    def shared_buffers(self) -> Iterator[Buffer]:
        """Everything that the threads of a block share."""
        for scratch in self.placement.scratches.values():
            if scratch.buffer is not None and scratch.buffer.space is Space.SHARED:
                yield scratch.buffer
        for number, reduction in self.placement.reductions.items():
            dimensions = self.sharing.combined(number)
            if self.sharing.needs_partials(dimensions):
                columns, rows = self._partial_extents(dimensions)
                self._partials[number] = tuple([
                    Buffer(f"partial{number}_{part}", dtype, columns * rows, Space.SHARED)
                    for part, dtype in enumerate(self.state_dtypes(reduction.compute))])
                yield from self._partials[number]

    def _place(self, value: Node, indices: tuple[Index, ...]) -> tuple[Buffer, Index]:
        scratch = self.placement.scratches.get(value)
        if scratch is None or scratch.buffer is None:
            return super()._place(value, indices)
        exact = tuple([index.substitute(self._original) for index in indices])
        place = scratch.index(exact).substitute(self.axes)
        if value in self.sharing.private:
            return scratch.buffer, self.sharing.private_index(place)
        stride = scratch.size
        for dimension in self.sharing.slots[value]:
            place = place + Index.of(self.threads[dimension]) * stride
            stride *= self.sharing.sizes[dimension]
        return scratch.buffer, place

    def store(self, buffer: Buffer, index: Index, value: Atom, point: Point, conditions: Conditions = (),
              streaming: bool = False) -> None:
        leader = () if buffer.space is Space.SCRATCH else self._is_leader()
        if leader and buffer in [self.buffers[place] for place in self._replaced]:
            self.meet()  # the other threads have loaded what is replaced
        existing = self._existing(point) if buffer.space is Space.GLOBAL else ()
        test = self.builder.conjunction((*leader, *existing))
        if test is None:
            super().store(buffer, index, value, point, conditions, streaming)
            return
        with self.builder.body(conditional=True) as scope:
            super().store(buffer, index, value, point, conditions, streaming)
        self.builder.append(If(test, scope.statements, []))
        self.builder.forget(buffer)

    # --------------------------------------------------------------------------------------------- reductions

    def _continues(self, compute: Compute, key: Any, point: Point) -> bool:
        return not self.sharing.combined(compute.number) and super()._continues(compute, key, point)

    def across_threads(self, compute: Compute, state: State) -> State:
        """The parts of all threads: lanes of a warp by shuffles, then warps (and rows of threads) in order."""
        dimensions = self.sharing.combined(compute.number)
        monoid = getattr(compute.statement, "monoid", None)
        if not dimensions or all(isinstance(atom, Literal) for atom in state):
            return state
        assert monoid is not None
        if 0 in dimensions:
            offset = min(_WARP, self.sharing.sizes[0]) // 2
            while offset:
                other = tuple([self._shuffled(atom, offset) for atom in state])
                state = combine(self.builder, monoid, state, other)
                offset //= 2
        if not self.sharing.needs_partials(dimensions):
            return state
        return self._through_shared_memory(monoid, state, dimensions, self._partials[compute.number])

    def _shuffled(self, atom: Atom, offset: int) -> Atom:
        return self.builder.let(WarpShuffle(atom, offset, atom.type), "other")

    def _partial_extents(self, dimensions: frozenset[int]) -> tuple[int, int]:
        """How many partial results there are along x and along y."""
        x, y, _ = self.sharing.sizes
        return (max(1, x // _WARP) if 0 in dimensions else x), y

    def _through_shared_memory(self, monoid: str, state: State, dimensions: frozenset[int],
                               buffers: tuple[Buffer, ...]) -> State:
        columns, rows = self._partial_extents(dimensions)
        x, y = (Index.of(self.threads[dimension]) for dimension in (0, 1))
        column = x // _WARP if 0 in dimensions and columns > 1 else Index() if 0 in dimensions else x
        evaluator = self._plain()
        place = evaluator.index(y * columns + column)
        first = None
        if 0 in dimensions:
            lane = evaluator.index(x % min(_WARP, self.sharing.sizes[0]))
            first = self.builder.compare("equal", lane, literal(0, dtypes.int64))
        with self.builder.body(conditional=True) as scope:
            for buffer, atom in zip(buffers, state, strict=True):
                self.builder.store(buffer, place, atom)
        if first is None:
            self.builder.scope.statements.extend(scope.statements)
        else:
            self.builder.append(If(first, scope.statements, []))
        self.builder.append(Barrier())
        for buffer in buffers:
            self.builder.forget(buffer)
        states = []
        for row in [Index((), number) for number in range(rows)] if 1 in dimensions else [y]:
            for part in [Index((), number) for number in range(columns)] if 0 in dimensions else [x]:
                index = evaluator.index(row * columns + part)
                states.append(tuple([self.builder.let(Load(buffer, index, ValueType(buffer.dtype)), "part")
                                     for buffer in buffers]))
        return combine_tree(self.builder, monoid, states)


