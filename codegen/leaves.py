"""The leaves of a nest: statements computed, reduced, scanned, scattered and stored at one point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from codegen.accumulators import Accumulators, Key
from codegen.evaluate import Conditions, Evaluator, Point
from codegen.expression import dtype_of
from codegen.guarded_loops import is_false, masks
from codegen.index import Atom as IndexAtom
from codegen.index import Axis, Index
from codegen.kernel import Apply, Expression, Guard, Home, Read, ScanStatement, SortStatement, Statement
from codegen.loop_builder import LoopBuilder, literal
from codegen.loops import Atom, Buffer, If, ScatterStore
from codegen.monoids import (
    State,
    accumulator_dtype,
    add_product,
    combine,
    combine_lanes,
    combine_tree,
    identity,
    join_later,
    outcome,
    select,
)
from codegen.nest import Compute, Nest, produced_values
from codegen.placement import Placement, memory_index
from codegen.sorting import SHORTEST, RowSort, key_dtype, places_by_counting, rising_key
from codegen.steps import ScheduleError
from codegen.transposition import transposed
from ir.dtype import DType, dtypes
from ir.node import Node

STREAMED_BYTES = 16 << 20  # values from this size on bypass the caches


class Lanes(NamedTuple):
    """Iterations that exist at once: the first ``active`` along ``axis``."""

    axis: Axis
    active: int


class LeafWriter:
    """Writes leaves where the walk stands.

    axes: the bound loop axes, as indices; variables: the loop variables; vector: (axis, lanes, mask) inside a vector
    loop; separate: the unrolled reduced axes whose iterations have accumulators of their own; holding: conditions that
    the loops around ensure, as resolved here.
    """

    def __init__(self, nest: Nest, builder: LoopBuilder, placement: Placement, buffers: Mapping[Any, Buffer]) -> None:
        self.nest, self.builder, self.placement, self.buffers = nest, builder, placement, buffers
        self.accumulators = Accumulators(builder)
        self.axes: dict[IndexAtom, Index] = {}
        self.variables: dict[Axis, Atom] = {}
        self.vector: tuple[Axis, int, Atom | None] | None = None
        self.separate: list[Axis] = []
        self.holding: frozenset[Guard] = frozenset()
        self._masks: dict[int, tuple[Guard, ...]] = {
            compute.number: masks(compute.statement) for compute, _ in nest.leaves()}
        self._masks.update((number, masks(s)) for number, s in enumerate(nest.kernel.statements))
        self.produced = produced_values(nest.kernel).keys() | {
            name for s in nest.kernel.statements if isinstance(s, ScanStatement) for name, _, _ in s.carries} | {
            c.statement.value for c, _ in nest.leaves() if isinstance(c.statement, Statement)}
        self._flat: dict[int, tuple[Index, Read]] = {}  # the read is kept alive, so that its id stays its own
        self.scattered = {c.statement.value for c, _ in nest.leaves()
                          if isinstance(c.statement, Statement) and c.statement.scatter}

    # ---------------------------------------------------------------------------------- places (for Evaluator)

    def register(self, read: Read, evaluator: Evaluator) -> Atom | None:
        """The register of the value; one with lanes serves only readers whose own lanes run along the same axis."""
        if read.value not in self.produced:
            return None
        indices = self._resolved(read.indices, evaluator)
        found = self.builder.register((read.value, indices))
        if found is None or found.type.lanes == 1 or not indices:
            return found
        lanes = self.vector[0] if self.vector else None
        return found if any(lanes in index.axes for index in indices) else None

    def address(self, read: Read, evaluator: Evaluator) -> tuple[Buffer, Index]:
        if read.value in self.placement.scratches or read.value not in self.buffers:
            return self._place(read.value, self._resolved(read.indices, evaluator))
        known = self._flat.get(id(read))
        if known is None:
            known = self._flat[id(read)] = memory_index(read.value, read.indices), read
        return self.buffers[read.value], evaluator.resolve(known[0])

    def _place(self, value: Node, indices: tuple[Index, ...]) -> tuple[Buffer, Index]:
        scratch = self.placement.scratches.get(value)
        if scratch is not None and scratch.buffer is not None:
            return scratch.buffer, scratch.index(indices).substitute(self.axes)
        if value not in self.buffers:
            raise ScheduleError(f"{value} is read before it is computed, or at another point, and is not in memory")
        return self.buffers[value], memory_index(value, indices)

    def hold(self, guards: tuple[Guard, ...]) -> frozenset[Guard]:
        """Here the guards hold, besides those that held before, which are returned."""
        before, axes = self.holding, self.resolved()
        self.holding = before.union(guard._replace(index=guard.index.substitute(axes)) for guard in guards)
        return before

    # ------------------------------------------------------------------------------------------------- points

    def resolved(self) -> dict[IndexAtom, Index]:
        """Every axis that is known here, in the axes of the loops."""
        return self.nest.resolve(self.axes)

    def point(self) -> Point:
        axes = self.resolved()
        return Point(axes, *self.vector) if self.vector else Point(axes)

    def evaluator(self, point: Point) -> Evaluator:
        return Evaluator(self.builder, self, self.variables, point)

    def index(self, index: Index) -> Atom:
        """An index in any axes that are bound, as a scalar."""
        evaluator = self.evaluator(Point(self.resolved()))
        return evaluator.index(evaluator.resolve(index))

    # ------------------------------------------------------------------------------------------------- leaves

    def write(self, compute: Compute) -> None:
        """Computes one statement at the current point."""
        statement, point = compute.statement, self.point()
        if isinstance(statement, ScanStatement):
            self._scan(compute.number, statement, point)
        elif isinstance(statement, SortStatement):
            self._sort(compute.number, statement)
        elif statement.scatter:
            self._scatter(statement, point)
        elif statement.reduced:
            self._accumulate(compute, statement, point)
        else:
            evaluator = self.evaluator(point)
            self._define(compute, statement, evaluator.expression(statement.expression),
                         self._resolved(statement.indices, evaluator), point)

    def _resolved(self, indices: tuple[Index, ...], evaluator: Evaluator) -> tuple[Index, ...]:
        return tuple([evaluator.resolve(index) for index in indices])

    def _define(self, compute: Compute, statement: Statement, value: Atom, indices: tuple[Index, ...],
                point: Point) -> None:
        """The statement's value at ``indices`` is known: keep it where its readers look."""
        reduction = self.placement.reductions.get(compute.number)
        if statement.value not in self.scattered and not (reduction and reduction.stored):
            self.builder.scope.registers[statement.value, indices] = value
        self._keep(statement, value, indices, point)

    def _keep(self, statement: Statement, value: Atom, indices: tuple[Index, ...], point: Point) -> None:
        """Stores the value where it lives, unless that is a register."""
        if statement.value in self.placement.scratches or statement.home is Home.MEMORY:
            conditions = self.evaluator(point).conditions(statement.guards)
            if conditions is not None:
                if statement.value in self.placement.scratches:
                    self.store(*self._place(statement.value, indices), value, point, conditions)
                if statement.home is Home.MEMORY:
                    index = memory_index(statement.value, indices)
                    self.store(self.buffers[statement.value], index, value, point, conditions,
                               self._is_streamed(statement))

    def _is_streamed(self, statement: Statement) -> bool:
        """True where a value is too large for its readers to find it in a cache, and is only written here.

        Stores past the caches then save the reading of every line before it is overwritten.
        """
        value = statement.value
        reduction = next((r for r in self.placement.reductions.values() if r.compute.statement is statement), None)
        return (self.buffers[value].size * value.dtype.itemsize >= STREAMED_BYTES
                and value not in self.nest.kernel.in_place and value not in self.placement.reread
                and not (reduction and reduction.stored))

    def store(self, buffer: Buffer, index: Index, value: Atom, point: Point, conditions: Conditions = (),
              streaming: bool = False) -> None:
        """Writes to the element at a resolved index, or to one for every lane, where the conditions hold."""
        evaluator = self.evaluator(point)
        value = self.builder.convert(value, buffer.dtype)
        stride = evaluator.lane_stride(index)
        if stride == 0:
            if value.type.lanes > 1:
                raise ScheduleError(f"{buffer.name}: all lanes would write one element")
            self._store_scalar(buffer, evaluator.index(index), value, conditions)
            return
        masks = conditions if point.mask is None else (*conditions, point.mask)
        test = self.builder.conjunction(masks)
        mask = None if test is None else self.builder.splat(test, point.lanes)
        vector = self.builder.splat(value, point.lanes)
        if stride == 1:
            self.builder.store(buffer, evaluator.index(evaluator.first_lane(index)), vector, mask, streaming)
        elif stride == -1:
            turned = None if mask is None else self.builder.backwards(mask)
            self.builder.store(buffer, evaluator.index(evaluator.last_lane(index)), self.builder.backwards(vector),
                               turned, streaming)
        else:
            indices = self.builder.splat(evaluator.index(index), point.lanes)
            self.builder.append(ScatterStore(buffer, indices, vector, mask))

    def _store_scalar(self, buffer: Buffer, address: Atom, value: Atom, conditions: Conditions) -> None:
        test = self.builder.conjunction(conditions)
        if test is None:
            self.builder.store(buffer, address, value)
            return
        with self.builder.body() as scope:
            self.builder.store(buffer, address, value)
        self.builder.append(If(test, scope.statements, []))

    def copy_transposed(self, compute: Compute, along: Lanes, across: Lanes) -> None:
        """Copies a square in registers; its source is contiguous ``along`` one axis, its target along the other."""
        statement = compute.statement
        assert isinstance(statement, Statement)
        size = along.axis.extent
        rows: list[Atom] = [literal(0, statement.value.dtype, size)] * size
        for number in range(across.active):
            with self._lanes_along(along, across.axis, number) as point:
                value = self.evaluator(point).expression(statement.expression)
                rows[number] = self.builder.splat(value, size)
        columns = transposed(self.builder, rows)
        for number in range(along.active):
            with self._lanes_along(across, along.axis, number) as point:
                self._keep(statement, columns[number], self._resolved(statement.indices, self.evaluator(point)), point)

    @contextmanager
    def _lanes_along(self, lanes: Lanes, other: Axis, number: int) -> Iterator[Point]:
        """The point with lanes along one axis, and the other axis at a number."""
        axis, mask = lanes.axis, self.lane_mask(lanes)
        self.axes[axis], self.axes[other] = Index(((axis, 1),)), Index((), number)
        self.vector = axis, axis.extent, mask
        yield self.point()
        self.vector = None
        del self.axes[axis], self.axes[other]

    def lane_mask(self, lanes: Lanes) -> Atom | None:
        """The lanes that exist; None where all of them do."""
        axis = lanes.axis
        if axis.limit is not None:
            numbers = self.builder.lane_index(dtypes.int64, axis.extent)
            return self.builder.compare("less", numbers, self.index(axis.limit))
        if lanes.active == axis.extent:
            return None
        numbers = self.builder.lane_index(dtypes.int32, axis.extent)
        return self.builder.compare("less", numbers, literal(lanes.active, dtypes.int32))

    # --------------------------------------------------------------------------------------------- reductions

    def _accumulate(self, compute: Compute, statement: Statement, point: Point) -> None:
        reduction = self.placement.reductions[compute.number]
        evaluator = self.evaluator(point)
        if reduction.inner_home is None:
            self.accumulators.begin(compute.number)
        key = Key(compute.number, self._resolved(statement.indices, evaluator),
                  tuple([self.axes[axis] for axis in self.separate]))
        state = self.accumulators.get(key, point, lambda: self._start(compute, statement, key, point))
        absent = any(is_false(guard, evaluator.resolve(guard.index)) for guard in self._masks[compute.number])
        joined = state if absent else self._joined(statement, state, evaluator)
        if point.mask is not None and self._reduces_lanes(compute, point):
            joined = select(self.builder, point.mask, joined, state)
        self.accumulators.set(key, joined)
        if reduction.inner_home is None:
            self.finish(compute)

    def _start(self, compute: Compute, statement: Statement, key: Key, point: Point) -> State:
        """The state before the first value: what storage holds, or the identity."""
        assert statement.monoid is not None
        if self._continues(compute, key, point):
            return (self.builder.splat(self._stored(statement, key.indices, point), point.lanes),)
        dtype = accumulator_dtype(statement.monoid, _reduced_dtype(statement))
        return identity(statement.monoid, dtype, point.lanes)

    def _continues(self, compute: Compute, key: Key, point: Point) -> bool:
        """True where the state begins with what storage holds: lanes and separate accumulators must not repeat it."""
        stored = self.placement.reductions[compute.number].stored
        return stored and not key.separate and not self._reduces_lanes(compute, point)

    def _stored(self, statement: Statement, indices: tuple[Index, ...], point: Point) -> Atom:
        buffer, index = self._place(statement.value, indices)
        value = self.evaluator(point).load(buffer, index, buffer.dtype)
        assert statement.monoid is not None
        return self.builder.convert(value, accumulator_dtype(statement.monoid, _reduced_dtype(statement)))

    def _reduces_lanes(self, compute: Compute, point: Point) -> bool:
        return point.vector is not None and self.nest.reduces(compute, point.vector)

    def _joined(self, statement: Statement, state: State, evaluator: Evaluator) -> State:
        """The state after the value at this point."""
        assert statement.monoid is not None
        dtype = state[0].type.dtype
        factors = _factors(statement, dtype)
        if factors is not None:
            left, right = (self.builder.convert(evaluator.expression(factor), dtype) for factor in factors)
            return add_product(self.builder, state, left, right)
        value = self.builder.convert(evaluator.expression(statement.expression), dtype)
        if len(state) == 1:
            return combine(self.builder, statement.monoid, state, (self.builder.splat(value, state[0].type.lanes),))
        assert statement.position is not None
        position = evaluator.index(evaluator.resolve(statement.position), dtypes.int32)
        if len(statement.reduced) == 1:  # each accumulator meets its positions in rising order
            lanes = state[0].type.lanes
            return join_later(self.builder, statement.monoid, state, *(self.builder.splat(x, lanes)
                                                                      for x in (value, position)))
        return combine(self.builder, statement.monoid, state, (value, position))

    def finish(self, compute: Compute) -> None:
        """The reduction is complete here: combine what was accumulated separately, and define the results."""
        statement = compute.statement
        states = self.accumulators.finish(compute.number)
        if isinstance(statement, ScanStatement):
            self._finish_scan(statement, states)
            return
        assert isinstance(statement, Statement) and statement.monoid is not None
        groups: dict[tuple[Index, ...], list[Key]] = {}
        for key in states:
            groups.setdefault(key.indices, []).append(key)
        for indices, keys in groups.items():
            point = self.accumulators.points[keys[0]]
            begins_anew = self.placement.reductions[compute.number].stored and not self._continues(
                compute, keys[0], point)  # asked before the lanes are combined
            total = combine_tree(self.builder, statement.monoid, [states[key] for key in keys])
            if self._reduces_lanes(compute, point):
                total = combine_lanes(self.builder, statement.monoid, total)
                point = Point(point.axes)
            total = self.across_threads(compute, total)
            if begins_anew:
                total = combine(self.builder, statement.monoid, (self._stored(statement, indices, point),), total)
            found = outcome(self.builder, statement.monoid, total)
            for key in keys:
                del self.accumulators.points[key]
            self._define(compute, statement, self.builder.convert(found, statement.value.dtype), indices, point)

    def state_dtypes(self, compute: Compute) -> tuple[DType, ...]:
        """The types of what a reduction accumulates: the value and, for argmax and argmin, its position."""
        statement = compute.statement
        assert isinstance(statement, Statement) and statement.monoid is not None
        dtype = accumulator_dtype(statement.monoid, _reduced_dtype(statement))
        return (dtype, dtypes.int32) if statement.monoid.startswith("arg") else (dtype,)

    def across_threads(self, compute: Compute, state: State) -> State:
        """The whole result, where several threads accumulated it (GPU)."""
        return state

    # -------------------------------------------------------------------------------------- scan and scatter

    def _scan(self, number: int, statement: ScanStatement, point: Point) -> None:
        """One step of a recurrence."""
        evaluator = self.evaluator(point)
        where = tuple([evaluator.resolve(Index.of(axis)) for axis in statement.axes])
        keys = [Key(number, where, (Index((), carry),)) for carry in range(len(statement.carries))]
        for key, (name, start, _) in zip(keys, statement.carries, strict=True):
            def initial(start: Expression = start) -> State:
                return (self.builder.splat(evaluator.expression(start), point.lanes),)
            self.builder.scope.registers[name, ()] = self.accumulators.get(key, point, initial)[0]
        results = [evaluator.expression(step) for _, _, step in statement.carries]
        for value, expression, indices in statement.outputs:
            self.store(*self._place(value, self._resolved(indices, evaluator)), evaluator.expression(expression), point)
        for key, result in zip(keys, results, strict=True):
            self.accumulators.set(key, (self.builder.splat(result, point.lanes),))

    def _finish_scan(self, statement: ScanStatement, states: dict[Key, State]) -> None:
        for key, state in states.items():
            point = self.accumulators.points.pop(key)
            for value, carry, indices in statement.finals:
                if key.separate == (Index((), carry),):
                    place = self.buffers[value], memory_index(value, self._resolved(indices, self.evaluator(point)))
                    self.store(*place, state[0], point)

    def _sort(self, number: int, statement: SortStatement) -> None:
        """The positions of one row, in order."""
        if self.vector is not None:
            raise ScheduleError("a row is sorted element by element: its loops cannot be lanes")
        length, dtype = statement.axis.extent, key_dtype(dtype_of(statement.expression))
        if length < SHORTEST:
            self._sort_by_counting(statement)
            return
        axis = Axis(length)

        def key(position: Atom) -> Atom:
            self.variables[axis], self.axes[statement.axis] = position, Index(((axis, 1),))
            value = self.evaluator(self.point()).expression(statement.expression)
            del self.axes[statement.axis]
            return rising_key(self.builder, value, statement.descending)

        def store(place: Atom, position: Atom) -> None:
            self.variables[axis], self.axes[statement.axis] = place, Index(((axis, 1),))
            point = self.point()
            indices = self._resolved(statement.indices, self.evaluator(point))
            self.store(*self._place(statement.value, indices), position, point)
            del self.axes[statement.axis]

        RowSort(self.builder, length, statement.count, dtype, f"sort{number}").write(key, store)

    def _sort_by_counting(self, statement: SortStatement) -> None:
        """A short row in the lanes of one vector: each position goes to the place that counting gives."""
        length, builder = statement.axis.extent, self.builder
        row = Axis(1 << (length - 1).bit_length())
        lanes = row.extent
        mask = self.lane_mask(Lanes(row, length))
        self.vector, self.axes[statement.axis] = (row, lanes, mask), Index.of(row)
        point = self.point()
        value = builder.splat(self.evaluator(point).expression(statement.expression), lanes)
        self.vector, self.axes[statement.axis] = None, Index()
        places = places_by_counting(builder, rising_key(builder, value, statement.descending), length)
        point = self.point()
        buffer, index = self._place(statement.value, self._resolved(statement.indices, self.evaluator(point)))
        ones = memory_index(statement.value, statement.indices).coefficient(statement.axis)
        wide = builder.convert(places, dtypes.int64)
        scaled = builder.apply("mul", wide, literal(ones, dtypes.int64)) if ones != 1 else wide
        indices = builder.apply("add", builder.splat(self.evaluator(point).index(index), lanes), scaled)
        if statement.count < length:
            wanted = builder.compare("less", places, literal(statement.count, dtypes.int32))
            mask = wanted if mask is None else builder.apply("bit_and", mask, wanted)
        builder.append(ScatterStore(buffer, indices, builder.lane_index(dtypes.int32, lanes), mask))
        del self.axes[statement.axis]

    def _scatter(self, statement: Statement, point: Point) -> None:
        """One update (or one for every lane, along an axis on which the target does not depend dynamically)."""
        evaluator = self.evaluator(point)
        inside = [Guard(Index.of(atom), 0, atom.extent - 1) for index in statement.indices for atom in index.dynamics]
        conditions = evaluator.conditions((*statement.guards, *inside))
        if conditions is None:
            return
        buffer = self.buffers[statement.value]
        index = memory_index(statement.value, self._resolved(statement.indices, evaluator))
        if evaluator.lane_stride(index) is None:
            raise ScheduleError("lanes of a scatter could collide: vectorise an axis that the index does not depend on")
        if not all(condition.type.lanes == 1 for condition in conditions):
            raise ScheduleError("updates of a scatter are dropped whole, not by lanes")
        with self.builder.body(conditional=True) as scope:
            value = evaluator.expression(statement.expression)
            if statement.scatter != "set":
                monoid = "sum" if statement.scatter == "add" else statement.scatter
                assert monoid is not None
                old = evaluator.load(buffer, index, statement.value.dtype)
                value = combine(self.builder, monoid, (old,), (value,))[0]
            self.store(buffer, index, value, point)
        test = self.builder.conjunction(conditions)
        if test is None:
            self.builder.scope.statements.extend(scope.statements)
        else:
            self.builder.append(If(test, scope.statements, []))


def _factors(statement: Statement, dtype: DType) -> tuple[Expression, Expression] | None:
    """The two factors of a sum of floating-point products, so that each is added with one rounding."""
    root = statement.expression
    if statement.contraction is not None and dtype.is_float:
        return statement.contraction.left, statement.contraction.right
    if statement.monoid == "sum" and isinstance(root, Apply) and root.code == "mul" and dtype.is_float:
        left, right = root.operands
        return left, right
    return None


def _reduced_dtype(statement: Statement) -> DType:
    """The type that values are accumulated in, before widening: that of the result, but of the operand for argmax."""
    if statement.monoid not in ("argmax", "argmin"):
        return statement.value.dtype
    return dtype_of(statement.expression)
