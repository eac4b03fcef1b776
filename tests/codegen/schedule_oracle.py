"""Runs schedules in NumPy and checks on the way that they are legal.

Each kernel runs its shared outer loops one iteration at a time, in shuffled order: they are promised to be independent.
A value computed within the kernel may only be read where the same iteration has written it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

import ir
from codegen.expression import walk
from codegen.index import Atom, Axis, Dynamic, Index, Quotient, Remainder, Symbol
from codegen.kernel import (
    Apply,
    Constant,
    Expression,
    Guarded,
    Home,
    IndexValue,
    Kernel,
    KernelBatch,
    Read,
    ScanLoop,
    ScanStatement,
    Schedule,
    Statement,
)
from codegen.schedule.axes import extents
from ir.dtype import DType
from ir.node import Node

_MOST_SERIAL = 400  # iterations of outer loops that run one by one; further axes run as vectors
Values = dict[Atom, Any]


def run_schedule(schedule: Schedule, feeds: Mapping[Node, Any], symbols: Mapping[str, int] | None = None) -> list[Any]:
    """The outputs of a schedule. ``feeds`` gives an array for each buffer, which assignments do not change."""
    machine = Machine(feeds, symbols or {})
    machine.run(schedule)
    return [machine.result(node) for node in schedule.outputs]


class Machine:
    """Memory, and the execution of schedules on it."""

    def __init__(self, feeds: Mapping[Node, Any], symbols: Mapping[str, int]) -> None:
        self.memory: dict[Node, Any] = {}
        self.symbols = dict(symbols)
        self.shuffle = random.Random(0)
        for node, array in feeds.items():
            whole = self.allocate(node)
            whole[tuple(slice(0, size) for size in np.shape(array))] = array
            self.memory[node] = whole

    def allocate(self, node: Node) -> Any:
        garbage = np.nan if node.dtype.is_float else (True if node.dtype.is_bool else 99)
        return np.full(extents(node), garbage, node.dtype.held)

    def storage(self, node: Node) -> Any:
        if node not in self.memory:
            self.memory[node] = self.allocate(node)
        return self.memory[node]

    def result(self, node: Node) -> Any:
        sizes = [ir.evaluate_dimension(size, self.symbols) for size in node.shape]
        return self.storage(node)[tuple(slice(0, size) for size in sizes)].copy()

    def run(self, schedule: Schedule) -> None:
        for step in schedule.steps:
            if isinstance(step, ScanLoop):
                assert isinstance(step.step, Symbol)
                for number in reversed(range(step.count)) if step.reverse else range(step.count):
                    self.symbols[step.step.name] = number
                    self.run(step.body)
            else:
                self._batch(step)

    def _batch(self, batch: KernelBatch) -> None:
        written = [node for kernel in batch.kernels for node in kernel.outputs]
        touched = [node for kernel in batch.kernels for node in {*kernel.inputs, *kernel.in_place.values()}]
        assert not set(written) & set(touched), "kernels of one batch depend on each other"
        for kernel in self.shuffle.sample(batch.kernels, len(batch.kernels)):
            KernelRun(self, kernel).run()


class KernelRun:
    """One execution of one kernel."""

    def __init__(self, machine: Machine, kernel: Kernel) -> None:
        self.machine, self.kernel = machine, kernel
        self.local: dict[Node, Any] = {}
        self.stamp: dict[Node, Any] = {}
        self.iteration = 0
        self.accumulators: dict[Node, Any] = {}
        for output in kernel.outputs:
            if output in kernel.in_place:
                machine.memory[output] = machine.storage(kernel.in_place[output])
        check_kernel(kernel)

    def run(self) -> None:
        if isinstance(self.kernel.statements[0], ScanStatement):
            self._scan(self.kernel.statements[0])
            return
        serial: list[Axis] = []
        total = 1
        for axis in self.kernel.axes:
            if total * axis.extent <= _MOST_SERIAL:
                serial.append(axis)
                total *= axis.extent
        points = list(product(*(range(self.extent(axis)) for axis in serial)))
        self.machine.shuffle.shuffle(points)
        for point in points:
            self.iteration += 1
            values: Values = dict(zip(serial, point, strict=True))
            for statement in self.kernel.statements:
                assert isinstance(statement, Statement)
                self._statement(statement, values)
        for statement in self.kernel.statements:
            assert isinstance(statement, Statement)
            if statement.value in self.accumulators:
                whole = self.accumulators[statement.value]
                self.machine.storage(statement.value)[...] = whole

    def extent(self, axis: Axis) -> int:
        if axis.limit is None:
            return axis.extent
        return int(evaluate_index(axis.limit, {}, self.machine.symbols, None))

    def _vectors(self, axes: Sequence[Axis], values: Values) -> tuple[Values, tuple[int, ...]]:
        free = [axis for axis in axes if axis not in values]
        result = dict(values)
        shape = tuple(self.extent(axis) for axis in free)
        for place, axis in enumerate(free):
            result[axis] = np.arange(shape[place]).reshape((-1,) + (1,) * (len(free) - 1 - place))
        return result, shape

    def _statement(self, statement: Statement, values: Values) -> None:
        inner = [axis for axis in statement.axes if axis not in statement.reduced]
        last = [axis for axis in statement.axes if axis in statement.reduced]
        point, shape = self._vectors([*inner, *last], values)
        result = np.broadcast_to(self.evaluate(statement.expression, point), shape)
        if statement.monoid is not None:
            result = self._reduced(statement, result, point, [axis for axis in last if axis not in values])
        point, shape = self._vectors(inner, values)
        indices = tuple(np.broadcast_to(self.index(index, point), shape) for index in statement.indices)
        if statement.scatter is not None:
            self._scatter(statement, indices, result, point, shape)
        elif any(axis in values for axis in last):
            assert statement.home is Home.ACCUMULATOR, f"{statement.value} is read before its loops are complete"
            self._accumulate(statement, indices, result)
        else:
            self._write(statement, indices, result)

    def _reduced(self, statement: Statement, result: Any, point: Values, last: Sequence[Axis]) -> Any:
        places = tuple(range(result.ndim - len(last), result.ndim))
        name = statement.monoid
        if name in ("argmax", "argmin"):
            assert statement.position is not None
            position = np.broadcast_to(self.index(statement.position, point), result.shape)
            extreme = (np.max if name == "argmax" else np.min)(result, axis=places, keepdims=True)
            hits = (result == extreme) | (np.isnan(result) if result.dtype.kind == "f" else False)
            return np.min(np.where(hits, position, np.iinfo(np.int64).max), axis=places).astype(np.int32)
        if not places:
            return result
        if 0 in result.shape:
            return np.full(result.shape[:-len(last)], ir.identity(name or "", statement.value.dtype))
        function = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}[name or ""]
        return function(result.astype(statement.value.dtype.computed), axis=places)

    def _write(self, statement: Statement, indices: tuple[Any, ...], result: Any) -> None:
        value = statement.value
        result = value.dtype.rounded(result)
        if value not in self.local:
            self.local[value] = self.machine.allocate(value)
            self.stamp[value] = np.zeros(extents(value), np.int64)
        self.local[value][indices] = result
        self.stamp[value][indices] = self.iteration
        if statement.home is Home.MEMORY:
            self.machine.storage(value)[indices] = result

    def _accumulate(self, statement: Statement, indices: tuple[Any, ...], result: Any) -> None:
        value, name = statement.value, statement.monoid or ""
        if value not in self.accumulators:
            identity = ir.identity(name, value.dtype)
            self.accumulators[value] = np.full(extents(value), identity, value.dtype.held)
        combine = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[name]
        whole = self.accumulators[value]
        whole[indices] = combine(whole[indices], result)

    def _scatter(self, statement: Statement, indices: tuple[Any, ...], result: Any, point: Values,
                 shape: tuple[int, ...]) -> None:
        inside = np.ones(shape, bool)
        for guard in statement.guards:
            number = self.index(guard.index, point)
            inside = inside & (number >= guard.low) & (number <= guard.high)
        where = tuple(index[inside] for index in indices)
        target, updates = self.machine.storage(statement.value), np.broadcast_to(result, shape)[inside]
        if statement.scatter == "set":
            for number, update in enumerate(updates):
                target[tuple(index[number] for index in where)] = update
        else:
            {"add": np.add, "max": np.maximum, "min": np.minimum}[statement.scatter or ""].at(target, where, updates)

    # --------------------------------------------------------------------------------------------- expressions

    def evaluate(self, root: Expression, point: Values) -> Any:
        known: dict[int, Any] = {}
        guarded = any(isinstance(part, Guarded) for part in walk(root))
        for part in walk(root):
            known[id(part)] = self._value(part, point, known, guarded)
        return known[id(root)]

    def _value(self, part: Expression, point: Values, known: dict[int, Any], guarded: bool) -> Any:
        if isinstance(part, Constant):
            return np.asarray(part.value, part.dtype.held)
        if isinstance(part, IndexValue):
            return part.dtype.rounded(self.index(part.index, point, known))
        if isinstance(part, Read):
            return self._read(part, point, known, guarded)
        if isinstance(part, Guarded):
            inside = np.asarray(True)
            for guard in part.guards:
                number = self.index(guard.index, point, known)
                inside = inside & (number >= guard.low) & (number <= guard.high)
            return np.where(inside, known[id(part.inside)], known[id(part.fill)])
        return apply(part, [known[id(operand)] for operand in part.operands])

    def _read(self, read: Read, point: Values, known: dict[int, Any], guarded: bool) -> Any:
        indices = []
        for index, extent in zip(read.indices, extents(read.value), strict=True):
            number = np.asarray(self.index(index, point, known))
            if not guarded:
                assert number.size == 0 or (number.min() >= 0 and number.max() < extent), f"{read} reads outside"
            indices.append(np.clip(number, 0, extent - 1))
        place = tuple(indices)
        if read.value not in self.local:
            assert read.value in self.kernel.inputs or read.value in self.scan_names, f"{read.value} is no input"
            assert read.value in self.machine.memory, f"{read.value} is read before it is written"
            return self.machine.memory[read.value][place]
        if not guarded:
            assert np.all(self.stamp[read.value][place] == self.iteration), f"{read} reads another iteration's value"
        return self.local[read.value][place]

    scan_names: frozenset[Node] = frozenset()

    def index(self, index: Index, point: Values, known: dict[int, Any] | None = None) -> Any:
        loaded = {atom: self.evaluate(atom.expression, point) if known is None or id(atom.expression) not in known
                  else known[id(atom.expression)] for atom in index.dynamics}
        return evaluate_index(index, point, self.machine.symbols, loaded)

    # ---------------------------------------------------------------------------------------------------- scans

    def _scan(self, scan: ScanStatement) -> None:
        self.scan_names = frozenset(name for name, _, _ in scan.carries)
        point, shape = self._vectors(scan.axes, {})
        steps = range(self.extent(scan.axis))
        for name, start, _ in scan.carries:
            self.local[name] = np.broadcast_to(self.evaluate(start, point), shape)
        for step in steps:
            here = {**point, scan.axis: step}
            for value, expression, indices in scan.outputs:
                self._store(value, self._step(expression, here, scan), indices, here, shape)
            new = [np.broadcast_to(self._step(after, here, scan), shape) for _, _, after in scan.carries]
            for (name, _, _), array in zip(scan.carries, new, strict=True):
                self.local[name] = name.dtype.rounded(array)
        for value, number, indices in scan.finals:
            self._store(value, self.local[scan.carries[number][0]], indices, point, shape)

    def _step(self, expression: Expression, point: Values, scan: ScanStatement) -> Any:
        known: dict[int, Any] = {}
        guarded = any(isinstance(part, Guarded) for part in walk(expression))
        for part in walk(expression):
            carried = isinstance(part, Read) and part.value in self.scan_names
            known[id(part)] = self.local[part.value] if carried else self._value(part, point, known, guarded)
        return known[id(expression)]

    def _store(self, value: Node, result: Any, indices: tuple[Index, ...], point: Values,
               shape: tuple[int, ...]) -> None:
        place = tuple(np.broadcast_to(self.index(index, point), shape) for index in indices)
        self.machine.storage(value)[place] = value.dtype.rounded(np.broadcast_to(result, shape))


def evaluate_index(index: Index, point: Mapping[Atom, Any], symbols: Mapping[str, int],
                   loaded: Mapping[Dynamic, Any] | None) -> Any:
    """The number that an index is at a point (arrays for vectors of points)."""
    total: Any = index.constant
    for atom, factor in index.terms:
        if isinstance(atom, Quotient):
            value = evaluate_index(atom.index, point, symbols, loaded) // atom.divisor
        elif isinstance(atom, Remainder):
            value = evaluate_index(atom.index, point, symbols, loaded) % atom.divisor
        elif isinstance(atom, Symbol):
            value = symbols[atom.name]
        elif isinstance(atom, Dynamic):
            assert loaded is not None
            value = np.asarray(loaded[atom]).astype(np.int64)
        else:
            value = point[atom]
        total = total + factor * value
    return total


def apply(part: Apply, operands: Sequence[Any]) -> Any:
    """One elementwise op, with the interpreter's own rules."""
    sources = [dtype_of(operand) for operand in part.operands]
    if part.code in ("cast", "bitcast"):
        builder = ir.cast if part.code == "cast" else ir.bitcast
        node = builder(ir.parameter(0, sources[0], ()), part.dtype)
        return operands[0] if node.op.name == "parameter" else node.op.evaluate(node, [np.asarray(operands[0])])
    op = ir.ELEMENTWISE[part.code]
    with np.errstate(all="ignore"):
        arrays = [np.asarray(x).astype(dtype.computed, copy=False) for x, dtype in zip(operands, sources, strict=True)]
        return part.dtype.rounded(op.function(*arrays))


def dtype_of(expression: Expression) -> DType:
    while isinstance(expression, Guarded):
        expression = expression.inside
    return expression.value.dtype if isinstance(expression, Read) else expression.dtype


# ------------------------------------------------------------------------------------------------ static checks


def check_kernel(kernel: Kernel) -> None:
    """What every kernel promises to lowering."""
    if isinstance(kernel.statements[0], ScanStatement):
        return
    seen: set[Node] = set()
    read: dict[Node, None] = {}
    for statement in kernel.statements:
        assert isinstance(statement, Statement)
        if statement.scatter is None:
            assert set(kernel.axes) <= set(statement.axes), "a statement outside the shared loops"
        assert len(set(statement.axes)) == len(statement.axes)
        assert statement.reduced <= set(statement.axes)
        roots = [statement.expression, *(a.expression for index in statement.indices for a in index.dynamics)]
        for part in walk(*roots):
            if isinstance(part, Read) and part.value not in seen:
                read.setdefault(part.value)
        assert statement.value not in seen, "a value is computed twice"
        seen.add(statement.value)
        stored = statement.home in (Home.MEMORY, Home.ACCUMULATOR)
        assert stored == (statement.value in kernel.outputs), f"{statement.value}: {statement.home}"
        accumulated = bool(statement.reduced & set(kernel.axes))
        assert accumulated == (statement.home is Home.ACCUMULATOR)
    assert set(read) == set(kernel.inputs), "the inputs are not what is read"
    assert not set(read) & seen, "a value is read before it is computed"
