"""Executes loop IR on NumPy arrays: what a function means, without a compiler.

Slow and strict: an access outside its buffer, a name used before it is bound and a value of the wrong number of lanes
are errors. Elementwise ops are evaluated by the ops' own NumPy references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

import ir
from codegen import loops
from codegen.loops import Atom, Literal, LoopKind, LoopStatement, ValueType, Variable
from ir.dtype import DType, bfloat16_to_float32, dtypes, float32_to_bfloat16

Array = Any
_INDEX_ARITHMETIC: dict[str, Any] = {"add": np.add, "mul": np.multiply, "minimum": np.minimum}
_REDUCE = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


class LoopError(AssertionError):
    """The function does something that no machine should do."""


def run(function: loops.Function, arguments: Sequence[Array], symbols: Mapping[str, int] | None = None) -> None:
    """Executes ``function``; stores go into ``arguments`` (one flat array a parameter, bfloat16 as uint16)."""
    _Machine(function, arguments, symbols or {}).block(function.body)


class _Machine:
    def __init__(self, function: loops.Function, arguments: Sequence[Array], symbols: Mapping[str, int]) -> None:
        if len(arguments) != len(function.parameters):
            raise LoopError(f"{function.name} takes {len(function.parameters)} arguments, got {len(arguments)}")
        self.memory: dict[loops.Buffer, Array] = {}
        for parameter, argument in zip(function.parameters, arguments, strict=True):
            if argument.size != parameter.size or argument.dtype != parameter.dtype.numpy:
                raise LoopError(f"{parameter} was given {argument.dtype}[{argument.size}]")
            self.memory[parameter] = argument.reshape(-1)
        self.symbols = symbols
        self.values: dict[Variable, Array] = {}

    # ------------------------------------------------------------------------------------------- statements

    def block(self, body: Sequence[LoopStatement]) -> None:
        for statement in body:
            if isinstance(statement, loops.Let):
                self.values[statement.variable] = self._bound(statement.variable, self.value(statement.value))
            elif isinstance(statement, loops.For):
                self.loop(statement)
            elif isinstance(statement, loops.If):
                self.block(statement.then if bool(self.atom(statement.condition)) else statement.otherwise)
            elif isinstance(statement, (loops.Store, loops.ScatterStore)):
                self.store(statement)
            elif isinstance(statement, loops.Allocate):
                fresh = np.full(statement.buffer.size, 0x5A, np.uint8).astype(statement.buffer.dtype.numpy)
                self.memory[statement.buffer] = fresh
            elif not isinstance(statement, loops.Comment):
                raise LoopError(f"the interpreter does not execute {type(statement).__name__}")

    def loop(self, loop: loops.For) -> None:
        if loop.kind in (LoopKind.PARALLEL, LoopKind.BLOCK) and loop.carried:
            raise LoopError("independent iterations carry nothing")
        states = [self.atom(carried.initial) for carried in loop.carried]
        order = range(int(self.atom(loop.start)), int(self.atom(loop.stop)), loop.step)
        for number in reversed(order) if loop.kind is LoopKind.PARALLEL else order:
            self.values[loop.index] = np.int64(number)
            for carried, state in zip(loop.carried, states, strict=True):
                self.values[carried.inside] = self._bound(carried.inside, state)
            self.block(loop.body)
            states = [self.atom(carried.next) for carried in loop.carried]
        for carried, state in zip(loop.carried, states, strict=True):
            self.values[carried.result] = self._bound(carried.result, state)

    def store(self, statement: loops.Store | loops.ScatterStore) -> None:
        if any(b is statement.buffer and b.readonly for b in self.memory):
            raise LoopError(f"{statement.buffer.name} is read-only")
        value = self._stored(self.atom(statement.value), statement.buffer.dtype)
        lanes = statement.value.type.lanes
        if isinstance(statement, loops.Store):
            places = int(self.atom(statement.index)) + np.arange(lanes)
        else:
            places = self.atom(statement.indices)
        active = np.ones(lanes, bool) if statement.mask is None else self.atom(statement.mask)
        self._check(statement.buffer, places[active])
        self.memory[statement.buffer][places[active]] = np.broadcast_to(value, (lanes,))[active]

    # ---------------------------------------------------------------------------------------------- values

    def atom(self, atom: Atom) -> Array:
        if isinstance(atom, Literal):
            with np.errstate(all="ignore"):
                scalar = np.asarray(atom.value).astype(atom.type.dtype.held)
            return scalar[()] if atom.type.lanes == 1 else np.full(atom.type.lanes, scalar)
        if atom not in self.values:
            raise LoopError(f"{atom.name} is used before it is bound")
        return self.values[atom]

    def _bound(self, variable: Variable, value: Array) -> Array:
        lanes = 1 if np.ndim(value) == 0 else len(value)
        if lanes != variable.type.lanes or np.asarray(value).dtype != variable.type.dtype.held:
            raise LoopError(f"{variable} cannot hold {np.asarray(value).dtype}x{lanes}")
        return value

    def value(self, value: loops.Value) -> Array:
        if isinstance(value, (Literal, Variable)):
            return self.atom(value)
        method = getattr(self, f"_{type(value).__name__.lower()}", None)
        if method is None:
            raise LoopError(f"the interpreter does not evaluate {type(value).__name__}")
        with np.errstate(all="ignore"):
            return method(value)

    def _operation(self, value: loops.Operation) -> Array:
        if {operand.type.lanes for operand in value.operands} != {value.type.lanes}:
            raise LoopError(f"{value.code} of different numbers of lanes")
        return _elementwise(value.code, [(self.atom(o), o.type) for o in value.operands], value.type)

    def _convert(self, value: loops.Convert) -> Array:
        return _elementwise("cast", [(self.atom(value.operand), value.operand.type)], value.type)

    def _reinterpret(self, value: loops.Reinterpret) -> Array:
        return _elementwise("bitcast", [(self.atom(value.operand), value.operand.type)], value.type)

    def _fma(self, value: loops.Fma) -> Array:
        a, b, c = (np.asarray(self.atom(x)).astype(np.float64) for x in (value.a, value.b, value.c))
        return (a * b + c).astype(value.type.dtype.held)[()]

    def _splat(self, value: loops.Splat) -> Array:
        return np.full(value.type.lanes, self.atom(value.operand))

    def _laneindex(self, value: loops.LaneIndex) -> Array:
        return np.arange(value.type.lanes, dtype=value.type.dtype.numpy)

    def _load(self, value: loops.Load) -> Array:
        places = int(self.atom(value.index)) + np.arange(value.type.lanes)
        return self._gathered(value, places, value.mask)

    def _gatherload(self, value: loops.GatherLoad) -> Array:
        return self._gathered(value, self.atom(value.indices), value.mask)

    def _gathered(self, value: loops.Load | loops.GatherLoad, places: Array, mask: Atom | None) -> Array:
        active = np.ones(value.type.lanes, bool) if mask is None else np.atleast_1d(self.atom(mask))
        self._check(value.buffer, places[active])
        result = np.zeros(value.type.lanes, value.type.dtype.held)
        result[active] = _held(self.memory[value.buffer][places[active]], value.type.dtype)
        return result if value.type.lanes > 1 else result[0]

    def _vectorreduce(self, value: loops.VectorReduce) -> Array:
        return _REDUCE[value.monoid].reduce(self.atom(value.operand)).astype(value.type.dtype.held)

    def _extract(self, value: loops.Extract) -> Array:
        return self.atom(value.operand)[value.lane]

    def _shuffle(self, value: loops.Shuffle) -> Array:
        return np.concatenate([self.atom(value.first), self.atom(value.second)])[list(value.order)]

    def _symbolvalue(self, value: loops.SymbolValue) -> Array:
        return np.int64(self.symbols[value.name])

    def _check(self, buffer: loops.Buffer, places: Array) -> None:
        if buffer not in self.memory:
            raise LoopError(f"{buffer.name} is not allocated")
        if places.size and (places.min() < 0 or places.max() >= buffer.size):
            raise LoopError(f"{buffer.name}[{places.min()}..{places.max()}] is outside its {buffer.size} elements")

    def _stored(self, value: Array, dtype: DType) -> Array:
        return float32_to_bfloat16(value) if dtype is dtypes.bfloat16 else value


def _held(values: Array, dtype: DType) -> Array:
    return bfloat16_to_float32(values) if dtype is dtypes.bfloat16 else values


def _elementwise(code: str, operands: Sequence[tuple[Array, ValueType]], type: ValueType) -> Array:
    """The op's own reference, on parameters in place of the operands."""
    if type.dtype is dtypes.int64 and code in _INDEX_ARITHMETIC:
        return _INDEX_ARITHMETIC[code](*[value for value, _ in operands])
    node = _node(code, tuple([t for _, t in operands]), type)
    return np.asarray(node.op.evaluate(node, [np.asarray(value) for value, _ in operands]))[()]


@cache
def _node(code: str, operands: tuple[ValueType, ...], type: ValueType) -> ir.Node:
    shape = (type.lanes,) if type.lanes > 1 else ()
    nodes = [ir.parameter(number, operand.dtype, shape) for number, operand in enumerate(operands)]
    attributes = (type.dtype,) if code in ("cast", "bitcast") else ()
    node: ir.Node = getattr(ir, code)(*nodes, *attributes)
    return node
