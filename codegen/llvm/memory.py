"""Loads and stores: plain, masked, gathered and scattered.

Narrow dtypes change their form on the way (``types.from_memory``). Lanes that a mask turns off touch no memory.
The intrinsics are written in the form that every LLVM since 15 reads (the alignment as an operand).
"""

from __future__ import annotations

from collections.abc import Callable

from codegen.llvm.builder import Type, Value, vector
from codegen.llvm.types import REPRESENTATIONS, from_memory, memory_type, to_memory

CACHE_LINE = 64  # every buffer begins on one


def element_pointer(base: Value, index: Value, dtype_name: str) -> Value:
    """The address of element ``index``; a vector of addresses for a vector of indices."""
    element = REPRESENTATIONS[dtype_name].memory
    return base.builder.value(index.type.with_element("ptr"),
                              f"getelementptr inbounds {element}, {base.typed}, {index.typed}")


def load(pointer: Value, dtype_name: str, lanes: int, aligned: bool) -> Value:
    """``lanes`` consecutive elements. aligned: the address is a multiple of their bytes (at most a cache line)."""
    type_ = memory_type(dtype_name, lanes)
    alignment = _alignment(dtype_name, lanes, aligned)
    stored = pointer.builder.value(type_, f"load {type_.text}, {pointer.typed}, align {alignment}")
    return from_memory(stored, dtype_name)


def masked_load(pointer: Value, dtype_name: str, mask: Value, fill: Value, aligned: bool) -> Value:
    """The elements where ``mask`` is on, ``fill`` elsewhere."""
    lanes = mask.type.lanes
    if lanes == 1:
        return _if(mask, lambda: load(pointer, dtype_name, 1, aligned), fill)
    builder, type_ = pointer.builder, memory_type(dtype_name, lanes)
    name = f"llvm.masked.load.{type_.suffix}.p0"
    builder.module.declare(name, type_.text, ["ptr", "i32 immarg", mask.type.text, type_.text])
    stored_fill = to_memory(fill, dtype_name)
    stored = builder.value(type_, f"call {type_.text} @{name}({pointer.typed}, "
                                  f"i32 {_alignment(dtype_name, lanes, aligned)}, {mask.typed}, {stored_fill.typed})")
    return from_memory(stored, dtype_name)


def gather(pointers: Value, dtype_name: str, mask: Value) -> Value:
    """One element from each address; 0 where ``mask`` is off."""
    lanes = mask.type.lanes
    type_ = memory_type(dtype_name, lanes)
    builder = pointers.builder
    if lanes == 1:
        zero = builder.constant(vector(REPRESENTATIONS[dtype_name].register, 1), 0)
        return _if(mask, lambda: load(pointers, dtype_name, 1, False), zero)
    name = f"llvm.masked.gather.{type_.suffix}.{pointers.type.suffix}"
    builder.module.declare(name, type_.text, [pointers.type.text, "i32 immarg", mask.type.text, type_.text])
    itemsize = REPRESENTATIONS[dtype_name].itemsize
    stored = builder.value(type_, f"call {type_.text} @{name}({pointers.typed}, i32 {itemsize}, {mask.typed}, "
                                  f"{type_.text} zeroinitializer)")
    return from_memory(stored, dtype_name)


def store(value: Value, pointer: Value, dtype_name: str, streaming: bool) -> None:
    """To consecutive elements. streaming: past the caches; the address must be a multiple of the value's bytes.

    Other threads see streamed data after the atomic operations with which the pool ends a region.
    """
    stored = to_memory(value, dtype_name)
    alignment = _alignment(dtype_name, value.type.lanes, streaming)
    hint = ", !nontemporal !0" if streaming else ""
    pointer.builder.emit(f"store {stored.typed}, {pointer.typed}, align {alignment}{hint}")


def masked_store(value: Value, pointer: Value, dtype_name: str, mask: Value) -> None:
    """Only the lanes where ``mask`` is on."""
    if mask.type.lanes == 1:
        return _if_on(mask, lambda: store(value, pointer, dtype_name, False))
    stored, builder = to_memory(value, dtype_name), pointer.builder
    name = f"llvm.masked.store.{stored.type.suffix}.p0"
    builder.module.declare(name, "void", [stored.type.text, "ptr", "i32 immarg", mask.type.text])
    itemsize = REPRESENTATIONS[dtype_name].itemsize
    builder.emit(f"call void @{name}({stored.typed}, {pointer.typed}, i32 {itemsize}, {mask.typed})")


def scatter(value: Value, pointers: Value, dtype_name: str, mask: Value) -> None:
    """Lane l to address l, in the order of the lanes: on equal addresses the highest lane wins."""
    if mask.type.lanes == 1:
        return _if_on(mask, lambda: store(value, pointers, dtype_name, False))
    stored, builder = to_memory(value, dtype_name), pointers.builder
    name = f"llvm.masked.scatter.{stored.type.suffix}.{pointers.type.suffix}"
    builder.module.declare(name, "void", [stored.type.text, pointers.type.text, "i32 immarg", mask.type.text])
    itemsize = REPRESENTATIONS[dtype_name].itemsize
    builder.emit(f"call void @{name}({stored.typed}, {pointers.typed}, i32 {itemsize}, {mask.typed})")


def all_lanes(like: Value) -> Value:
    """A mask that is on in every lane of ``like``'s type."""
    type_: Type = vector("i1", like.type.lanes)
    return like.builder.constant(type_, 1)


def _alignment(dtype_name: str, lanes: int, aligned: bool) -> int:
    itemsize = REPRESENTATIONS[dtype_name].itemsize
    if not aligned:
        return itemsize
    nbytes = itemsize * lanes
    return min(nbytes & -nbytes, CACHE_LINE)


def _if(condition: Value, inside: Callable[[], Value], otherwise: Value) -> Value:
    builder = condition.builder
    before, then, done = builder.block, builder.label("then"), builder.label("done")
    builder.branch_if(condition, then, done)
    builder.place(then)
    result = inside()
    leaving = builder.block
    builder.branch(done)
    builder.place(done)
    return builder.phi(result.type, [(otherwise, before), (result, leaving)])


def _if_on(condition: Value, inside: Callable[[], None]) -> None:
    builder = condition.builder
    then, done = builder.label("then"), builder.label("done")
    builder.branch_if(condition, then, done)
    builder.place(then)
    inside()
    builder.branch(done)
    builder.place(done)
