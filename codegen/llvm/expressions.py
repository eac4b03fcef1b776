"""The values of the loop IR: what a ``Let`` may bind, one rule each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codegen import loops
from codegen.llvm import memory
from codegen.llvm.builder import Value, extract, fma, shuffle, shuffle_two, splat
from codegen.llvm.conversions import convert, reinterpret
from codegen.llvm.operations import UnsupportedOperation, apply
from codegen.llvm.types import kind_of, register_type, round_narrow

if TYPE_CHECKING:
    from codegen.llvm.emitter import FunctionEmitter

_MONOIDS = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}


def _operation(emitter: FunctionEmitter, value: loops.Operation) -> Value:
    operands = [emitter.atom(operand) for operand in value.operands]
    type_ = value.type if value.code == "where" else value.operands[0].type
    return apply(value.code, type_.dtype.name, kind_of(type_), operands)


def _convert(emitter: FunctionEmitter, value: loops.Convert) -> Value:
    return convert(emitter.atom(value.operand), value.operand.type.dtype.name, value.type.dtype.name)


def _reinterpret(emitter: FunctionEmitter, value: loops.Reinterpret) -> Value:
    return reinterpret(emitter.atom(value.operand), value.operand.type.dtype.name, value.type.dtype.name)


def _fma(emitter: FunctionEmitter, value: loops.Fma) -> Value:
    a, b, c = emitter.atom(value.a), emitter.atom(value.b), emitter.atom(value.c)
    return round_narrow(fma(a, b, c) if a.type.is_float else a * b + c, value.type.dtype.name)


def _splat(emitter: FunctionEmitter, value: loops.Splat) -> Value:
    return splat(emitter.atom(value.operand), value.type.lanes)


def _lane_index(emitter: FunctionEmitter, value: loops.LaneIndex) -> Value:
    type_ = register_type(value.type)
    if type_.lanes == 1:
        return emitter.builder.constant(type_, 0)
    numbers = ", ".join(f"{type_.element} {lane}" for lane in range(type_.lanes))
    return Value(emitter.builder, type_, f"<{numbers}>")


def _load(emitter: FunctionEmitter, value: loops.Load) -> Value:
    name, lanes = value.type.dtype.name, value.type.lanes
    pointer = emitter.element(value.buffer, value.index)
    if value.mask is None:
        return memory.load(pointer, name, lanes, value.aligned)
    zero = emitter.builder.constant(register_type(value.type), 0)
    return memory.masked_load(pointer, name, emitter.atom(value.mask), zero, value.aligned)


def _gather(emitter: FunctionEmitter, value: loops.GatherLoad) -> Value:
    pointers = emitter.element(value.buffer, value.indices)
    mask = memory.all_lanes(pointers) if value.mask is None else emitter.atom(value.mask)
    return memory.gather(pointers, value.type.dtype.name, mask)


def _vector_reduce(emitter: FunctionEmitter, value: loops.VectorReduce) -> Value:
    """Halves against halves: lane l with lane l + n/2, then again, so that the order never depends on the machine."""
    result = emitter.atom(value.operand)
    lanes = result.type.lanes
    if lanes & (lanes - 1):
        raise UnsupportedOperation(f"a VectorReduce needs a power of two of lanes, not {lanes}")
    if value.monoid not in _MONOIDS:
        raise UnsupportedOperation(f"a VectorReduce combines by {', '.join(_MONOIDS)}, not by {value.monoid!r}")
    code, dtype, kind = _MONOIDS[value.monoid], value.type.dtype.name, kind_of(value.type)
    while lanes > 1:
        lanes //= 2
        if lanes > 1:
            halves = shuffle(result, range(lanes)), shuffle(result, range(lanes, 2 * lanes))
        else:
            halves = extract(result, 0), extract(result, 1)
        result = apply(code, dtype, kind, halves)
    return result


def _extract(emitter: FunctionEmitter, value: loops.Extract) -> Value:
    vector = emitter.atom(value.operand)
    return vector if vector.type.lanes == 1 else extract(vector, value.lane)


def _shuffle(emitter: FunctionEmitter, value: loops.Shuffle) -> Value:
    return shuffle_two(emitter.atom(value.first), emitter.atom(value.second), value.order)


def _symbol(emitter: FunctionEmitter, value: loops.SymbolValue) -> Value:
    if value.name not in emitter.symbols:
        raise UnsupportedOperation(f"symbol {value.name!r} is not declared in Function.symbols")
    return emitter.symbols[value.name]


def _atom(emitter: FunctionEmitter, value: loops.Atom) -> Value:
    return emitter.atom(value)


EXPRESSIONS: dict[type[Any], Callable[[FunctionEmitter, Any], Value]] = {
    loops.Literal: _atom,
    loops.Variable: _atom,
    loops.Operation: _operation,
    loops.Convert: _convert,
    loops.Reinterpret: _reinterpret,
    loops.Fma: _fma,
    loops.Splat: _splat,
    loops.LaneIndex: _lane_index,
    loops.Load: _load,
    loops.GatherLoad: _gather,
    loops.VectorReduce: _vector_reduce,
    loops.Extract: _extract,
    loops.Shuffle: _shuffle,
    loops.SymbolValue: _symbol,
}
