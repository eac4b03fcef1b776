"""Expressions at a point: from kernel expressions and index arithmetic to values of the loop IR.

A point fixes every axis: to a loop variable, to a number (an unrolled iteration), or to the lanes of a vector. Whatever
does not vary along the lanes stays scalar until it meets something that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from codegen.index import Atom as IndexAtom
from codegen.index import Axis, Dynamic, Index, Quotient, Remainder, Symbol
from codegen.kernel import Apply, Constant, Expression, Guard, Guarded, IndexValue, Read
from codegen.loop_builder import INDEX, LoopBuilder, literal
from codegen.loops import Atom, Buffer, GatherLoad, Literal, Load, Reinterpret, SymbolValue, ValueType, Variable
from ir.dtype import DType, dtypes

Conditions = tuple[Atom, ...]
_INTERLEAVED = 4  # the longest step between lanes at which vectors are loaded whole
_INT32 = range(-(1 << 31), 1 << 31)


@dataclass(frozen=True)
class Point:
    """Where expressions are evaluated.

    axes: every axis as an index in loop axes. vector: the loop axis that runs along the ``lanes``, if any.
    mask: the lanes that take part (None: all of them).
    """

    axes: Mapping[IndexAtom, Index]
    vector: Axis | None = None
    lanes: int = 1
    mask: Atom | None = None


class Places(Protocol):
    """Where values of the kernel are found."""

    def register(self, read: Read, evaluator: Evaluator) -> Atom | None:
        """The value that is already computed at the point of the read, if it is in a register."""

    def address(self, read: Read, evaluator: Evaluator) -> tuple[Buffer, Index]:
        """The buffer that holds the value, and the element in it (an index in loop axes)."""

    @property
    def holding(self) -> frozenset[Guard]:
        """Conditions that are known to hold, with resolved indices."""


class Evaluator:
    """Evaluates at one point. ``variables`` are the loop variables of the loop axes."""

    def __init__(self, builder: LoopBuilder, places: Places, variables: Mapping[Axis, Atom], point: Point) -> None:
        self.builder, self.places, self.variables, self.point = builder, places, variables, point

    # ---------------------------------------------------------------------------------------------- indices

    def resolve(self, index: Index) -> Index:
        """``index`` in the axes of the loops."""
        return index.substitute(self.point.axes)

    def varies(self, atom: IndexAtom) -> bool:
        """True where the atom of a resolved index differs between lanes."""
        vector = self.point.vector
        if vector is None or isinstance(atom, Symbol):
            return False
        if isinstance(atom, (Quotient, Remainder)):
            return any(self.varies(inner) for inner in atom.index.atoms())
        if isinstance(atom, Dynamic):
            return any(self.varies(inner) for axis in atom.axes for inner in self.resolve(Index.of(axis)).atoms())
        return atom is vector

    def lane_stride(self, index: Index) -> int | None:
        """By how much a resolved index grows from lane to lane; None where that is no constant."""
        vector = self.point.vector
        if any(self.varies(atom) for atom, _ in index.terms if atom is not vector):
            return None
        return index.coefficient(vector) if vector is not None else 0

    def first_lane(self, index: Index) -> Index:
        """A resolved index at lane 0."""
        return index.substitute({self.point.vector: Index()}) if self.point.vector is not None else index

    def last_lane(self, index: Index) -> Index:
        """A resolved index at the last lane."""
        assert self.point.vector is not None
        return index.substitute({self.point.vector: Index.of(self.point.lanes - 1)})

    def index(self, index: Index, dtype: DType = dtypes.int64) -> Atom:
        """A resolved index as a number of an integer ``dtype``: a vector where it varies, else a scalar.

        Terms are added outermost first and the constant last, so that what is common to neighbours is shared.
        """
        terms = [self._term(atom, factor, dtype) for atom, factor in index.terms]
        terms.sort(key=lambda term: (term.type.lanes, self.builder.depth_of(term)))
        total: Atom | None = None
        pending = index.constant
        for term in terms:
            if total is not None and term.type.lanes > total.type.lanes and pending:
                total, pending = self.builder.apply("add", total, literal(pending, dtype)), 0
            total = term if total is None else self.builder.apply("add", total, term)
        if total is None:
            return literal(pending, dtype)
        return self.builder.apply("add", total, literal(pending, dtype)) if pending else total

    def _term(self, atom: IndexAtom, factor: int, dtype: DType) -> Atom:
        if atom is self.point.vector:
            value = self.builder.lane_index(dtype, self.point.lanes)
        else:
            value = self.builder.convert(self._atom(atom), dtype)
        return value if factor == 1 else self.builder.apply("mul", value, literal(factor, dtype))

    def _atom(self, atom: IndexAtom) -> Atom:
        if isinstance(atom, Axis):
            return self.variables[atom]
        if isinstance(atom, Symbol):
            return self.builder.let(SymbolValue(atom.name, INDEX), atom.name)
        if isinstance(atom, Dynamic):
            return self.builder.convert(self.expression(atom.expression), dtypes.int64)
        code = "floordiv" if isinstance(atom, Quotient) else "mod"
        return self.builder.apply(code, self.index(atom.index), literal(atom.divisor, dtypes.int64))

    # ----------------------------------------------------------------------------------------------- guards

    def conditions(self, guards: tuple[Guard, ...]) -> Conditions | None:
        """What must be tested for the guards to hold: nothing where they always do; None where one never does."""
        tests: list[Atom] = []
        for guard in guards:
            index = self.resolve(guard.index)
            if self.places.holding and guard._replace(index=index) in self.places.holding:
                continue
            low, high = index.bounds
            if index.dynamics:
                low, high = guard.low - 1, guard.high + 1
            if high < guard.low or low > guard.high:
                return None
            if low < guard.low or high > guard.high:
                value = self.index(index, self._guard_dtype(index, guard))
                if low < guard.low:
                    tests.append(self.builder.compare("less_equal", literal(guard.low, value.type.dtype), value))
                if high > guard.high:
                    tests.append(self.builder.compare("less_equal", value, literal(guard.high, value.type.dtype)))
        return tuple(dict.fromkeys(tests))

    def _guard_dtype(self, index: Index, guard: Guard) -> DType:
        """Vectors of indices are compared as int32, twice as many to a register, where nothing overflows."""
        narrow = (self.lane_stride(index) and not index.dynamics
                  and all(number in _INT32 for number in (*index.bounds, guard.low, guard.high)))
        return dtypes.int32 if narrow else dtypes.int64

    # ------------------------------------------------------------------------------------------- expressions

    def expression(self, root: Expression, conditions: Conditions = ()) -> Atom:
        """The value of ``root``, evaluated (and loaded) only where the conditions hold."""
        known: dict[tuple[int, Conditions], Atom] = {}
        tests: dict[int, Conditions | None] = {}
        stack = [(root, conditions)]
        while stack:
            expression, inside = stack[-1]
            key = id(expression), inside
            if key in known:
                stack.pop()
                continue
            operands = self._operands(expression, inside, tests)
            missing = [operand for operand in operands if (id(operand[0]), operand[1]) not in known]
            if missing:
                stack.extend(reversed(missing))
                continue
            values = [known[id(operand), under] for operand, under in operands]
            known[key] = self._value(expression, values, inside, tests)
            stack.pop()
        return known[id(root), conditions]

    def _operands(self, expression: Expression, inside: Conditions,
                  tests: dict[int, Conditions | None]) -> list[tuple[Expression, Conditions]]:
        if isinstance(expression, Apply):
            return [(operand, inside) for operand in expression.operands]
        if not isinstance(expression, Guarded):
            return []
        if id(expression) not in tests:
            tests[id(expression)] = self.conditions(expression.guards)
        test = tests[id(expression)]
        if test is None:
            return [(expression.fill, inside)]
        chosen = expression.inside, tuple(dict.fromkeys((*inside, *test)))
        if isinstance(expression.fill, Constant) or not test:
            return [chosen, (expression.fill, inside)] if test else [chosen]
        return [chosen, (expression.fill, (*inside, self._negation(test)))]

    def _negation(self, test: Conditions) -> Atom:
        """Where the guards fail: only there may their fill be loaded."""
        condition = self.builder.conjunction(test)
        assert condition is not None
        return self.builder.apply("bit_not", condition)

    def _value(self, expression: Expression, operands: list[Atom], inside: Conditions,
               tests: dict[int, Conditions | None]) -> Atom:
        if isinstance(expression, Constant):
            return literal(expression.value, expression.dtype)
        if isinstance(expression, IndexValue):
            return self._index_value(expression)
        if isinstance(expression, Read):
            return self._read(expression, inside)
        if isinstance(expression, Apply):
            return self._apply(expression, operands)
        test = tests[id(expression)]
        if not test:
            return operands[0]
        value, fill = operands
        if isinstance(value, Variable) and self._yields_zero(expression, value, (*inside, *test)) and _is_zero(fill):
            return value
        condition = self.builder.conjunction(test)
        assert condition is not None
        return self.builder.where(condition, value, fill)

    def _index_value(self, expression: IndexValue) -> Atom:
        direct = expression.dtype if expression.dtype.is_integer else dtypes.int64
        return self.builder.convert(self.index(self.resolve(expression.index), direct), expression.dtype)

    def _apply(self, expression: Apply, operands: list[Atom]) -> Atom:
        if expression.code == "cast":
            return self.builder.convert(operands[0], expression.dtype)
        if expression.code == "bitcast":
            type = ValueType(expression.dtype, operands[0].type.lanes)
            return self.builder.let(Reinterpret(operands[0], type))
        return self.builder.apply(expression.code, *operands, dtype=expression.dtype)

    # ------------------------------------------------------------------------------------------------ memory

    def _read(self, read: Read, conditions: Conditions) -> Atom:
        register = self.places.register(read, self)
        if register is not None:
            return register
        buffer, index = self.places.address(read, self)
        return self.load(buffer, index, read.value.dtype, self._required(read, buffer, index, conditions))

    def _required(self, read: Read, buffer: Buffer, index: Index, conditions: Conditions) -> Conditions:
        """The conditions that keep a load inside its buffer: none where every value of the index is inside."""
        ranges = [Guard(Index.of(atom), 0, atom.extent - 1) for axis in read.indices for atom in axis.dynamics]
        if ranges:
            return tuple(dict.fromkeys((*conditions, *(self.conditions(tuple(ranges)) or ()))))
        return () if _is_inside(index, buffer) else conditions

    def load(self, buffer: Buffer, index: Index, dtype: DType, conditions: Conditions = ()) -> Atom:
        """The element at a resolved index, or one element for every lane; nothing outside the conditions is read."""
        if buffer.size == 0:
            return literal(0, dtype)
        lanes, stride = self.point.lanes, self.lane_stride(index)
        if stride == 0 and all(condition.type.lanes == 1 for condition in conditions):
            return self._load_scalar(buffer, index, dtype, conditions)
        masks = conditions if self.point.mask is None else (*conditions, self.point.mask)
        test = self.builder.conjunction(masks)
        mask = None if test is None else self.builder.splat(test, lanes)
        type, safe = ValueType(dtype, lanes), _is_inside(index, buffer)
        if stride == 1:
            load = Load(buffer, self.index(self.first_lane(index)), type, mask)
            return self.builder.let(load, buffer.name, safe)
        if stride == -1:
            turned = None if mask is None else self.builder.backwards(mask)
            load = Load(buffer, self.index(self.last_lane(index)), type, turned)
            return self.builder.backwards(self.builder.let(load, buffer.name, safe))
        indices = self.builder.splat(self.index(index), lanes)
        return self.builder.let(GatherLoad(buffer, indices, type, mask), buffer.name, safe)

    def _load_interleaved(self, buffer: Buffer, index: Index, type: ValueType, stride: int) -> Atom:
        """Every ``stride``-th of consecutive elements: whole vectors are loaded, and their lanes chosen."""
        lanes, first = type.lanes, self.first_lane(index)
        elements = [divmod(number, stride) for number in range(stride * lanes)]
        mask = self._active if first.bounds[1] + stride * lanes > buffer.size else None
        parts = []
        for start in range(0, stride * lanes, lanes):
            wanted = [lane if rest == 0 else lanes for lane, rest in elements[start:start + lanes]]
            covered = mask and self.builder.shuffle(mask, literal(False, dtypes.bool, lanes), wanted)
            load = Load(buffer, self.index(first + start), type, covered)
            parts.append(self.builder.let(load, buffer.name, covered is None))
        total, chosen = parts[0], [divmod(number, lanes) for number in range(0, stride * lanes, stride)]
        for number, part in enumerate(parts[1:], 1):
            order = [lanes + lane if source == number else 0 if source > number else lane if number == 1 else at
                     for at, (source, lane) in enumerate(chosen)]
            total = self.builder.shuffle(total, part, order)
        return total

    def _repeats(self, index: Index) -> int:
        """How many neighbouring lanes share an element, where a resolved index grows by one from then on; else 0."""
        varying = [(atom, factor) for atom, factor in index.terms if self.varies(atom)]
        if len(varying) != 1 or varying[0][1] != 1 or not isinstance(varying[0][0], Quotient):
            return 0
        atom = varying[0][0]
        return atom.divisor if atom.index.bare is self.point.vector and self.point.lanes % atom.divisor == 0 else 0

    def _load_repeated(self, buffer: Buffer, index: Index, type: ValueType, times: int) -> Atom:
        """Consecutive elements, each for ``times`` neighbouring lanes."""
        lanes, first = type.lanes, Index(tuple([term for term in index.terms if not self.varies(term[0])]),
                                         index.constant)
        count = lanes // times
        mask = None
        if first.bounds[1] + count > buffer.size:
            mask = self.builder.shuffle(self._active, self._active, range(0, lanes, times))
        load = Load(buffer, self.index(first), ValueType(type.dtype, count), mask)
        vector = self.builder.let(load, buffer.name, mask is None)
        return self.builder.shuffle(vector, vector, [lane // times for lane in range(lanes)])

    @property
    def _active(self) -> Atom:
        """The lanes that take part, as a mask."""
        return self.point.mask or literal(True, dtypes.bool, self.point.lanes)

    def _load_scalar(self, buffer: Buffer, index: Index, dtype: DType, conditions: Conditions) -> Atom:
        type, address = ValueType(dtype), self.index(index)
        test = self.builder.conjunction(conditions)
        if test is None:
            return self.builder.let(Load(buffer, address, type), buffer.name, _is_inside(index, buffer))
        checked = self.builder.where(test, address, literal(0, dtypes.int64))
        value = self.builder.let(Load(buffer, checked, type), buffer.name, False)
        return self.builder.where(test, value, literal(0, dtype))

    def _yields_zero(self, expression: Guarded, value: Variable, conditions: Conditions) -> bool:
        """True where ``value`` is a load that is already 0 wherever the conditions fail."""
        read = expression.inside
        if not isinstance(read, Read):
            return False
        if self.places.register(read, self) is not None:
            return False
        buffer, index = self.places.address(read, self)
        return self._required(read, buffer, index, conditions) == conditions


def _is_inside(index: Index, buffer: Buffer) -> bool:
    """True where an index lies in its buffer whatever its atoms are."""
    low, high = index.bounds
    return low >= 0 and high < buffer.size and not index.dynamics


def _is_zero(atom: Atom) -> bool:
    return isinstance(atom, Literal) and atom.value == 0
