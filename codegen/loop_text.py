"""The loop IR as text, for dumps and golden tests.

    function add(a: float32[64] readonly, b: float32[64])
      parallel i = 0 .. 64 by 16
        x: float32x16 = load a[i]
        store b[i] = x
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Union

from codegen.loops import (
    Allocate,
    Atom,
    AtomicAdd,
    Barrier,
    Buffer,
    Comment,
    Convert,
    Extract,
    Fma,
    For,
    Function,
    GatherLoad,
    If,
    LaneIndex,
    Let,
    Literal,
    Load,
    LoopKind,
    LoopStatement,
    Mma,
    Operation,
    Reinterpret,
    ScatterStore,
    Shuffle,
    Splat,
    Store,
    SymbolValue,
    Value,
    ValueType,
    Variable,
    VectorReduce,
    WarpShuffle,
)


def format_function(function: Function) -> str:
    """``function`` as text, one line a statement, two spaces a level."""
    parameters = ", ".join(map(_declared, function.parameters))
    symbols = f" symbols({', '.join(function.symbols)})" if function.symbols else ""
    lines = [f"function {function.name}({parameters}){symbols}"]
    pending: list[tuple[Union[LoopStatement, str], int]] = [(statement, 1) for statement in reversed(function.body)]
    while pending:
        statement, depth = pending.pop()
        margin = "  " * depth
        if isinstance(statement, For):
            lines.append(margin + _loop(statement))
            pending.extend(reversed([(carried, depth + 1) for carried in _handed_on(statement)]))
            pending.extend((inner, depth + 1) for inner in reversed(statement.body))
        elif isinstance(statement, If):
            lines.append(f"{margin}if {_atom(statement.condition)}")
            if statement.otherwise:
                pending.extend((inner, depth + 1) for inner in reversed(statement.otherwise))
                pending.append(("else", depth))
            pending.extend((inner, depth + 1) for inner in reversed(statement.then))
        else:
            lines.append(margin + (statement if isinstance(statement, str) else _statement(statement)))
    return "\n".join(lines)


def _loop(loop: For) -> str:
    kind = loop.kind.value
    if loop.kind in (LoopKind.BLOCK, LoopKind.THREAD):
        kind = f"{kind}.{'xyz'[loop.dimension]}"
    step = f" by {loop.step}" if loop.step != 1 else ""
    carried = ", ".join(f"{one.inside.name}: {_type(one.inside.type)} = {_atom(one.initial)}" for one in loop.carried)
    return (f"{kind} {loop.index.name} = {_atom(loop.start)} .. {_atom(loop.stop)}{step}"
            + (f" carrying {carried}" if carried else ""))


def _handed_on(loop: For) -> list[str]:
    return [f"next {one.inside.name} = {_atom(one.next)}, at the end {one.result.name}" for one in loop.carried]


def _statement(statement: LoopStatement) -> str:
    match statement:
        case Let(variable, value):
            return f"{variable.name}: {_type(variable.type)} = {format_value(value)}"
        case Store(buffer, index, value, mask, streaming):
            how = "stream" if streaming else "store"
            return f"{how} {buffer.name}[{_atom(index)}] = {_atom(value)}{_masked(mask)}"
        case ScatterStore(buffer, indices, value, mask):
            return f"scatter {buffer.name}[{_atom(indices)}] = {_atom(value)}{_masked(mask)}"
        case AtomicAdd(buffer, index, value):
            return f"atomic {buffer.name}[{_atom(index)}] += {_atom(value)}"
        case Allocate(buffer):
            return f"allocate {_declared(buffer)} {buffer.space.value}"
        case Barrier():
            return "barrier"
        case Comment(text):
            return f"# {text}"
    raise TypeError(f"no statement of the loop IR: {statement!r}")


def format_value(value: Value) -> str:
    """The right-hand side of a ``Let``."""
    match value:
        case Literal() | Variable():
            return _atom(value)
        case Operation(code, operands):
            return _called(code, operands)
        case Convert(operand):
            return _called("convert", [operand])
        case Reinterpret(operand):
            return _called("reinterpret", [operand])
        case Fma(a, b, c):
            return _called("fma", [a, b, c])
        case Splat(operand):
            return _called("splat", [operand])
        case LaneIndex():
            return "lanes"
        case Load(buffer, index, _, mask):
            return f"load {buffer.name}[{_atom(index)}]{_masked(mask)}"
        case GatherLoad(buffer, indices, _, mask):
            return f"gather {buffer.name}[{_atom(indices)}]{_masked(mask)}"
        case VectorReduce(monoid, operand):
            return _called(f"reduce_{monoid}", [operand])
        case Extract(operand, lane):
            return f"{_atom(operand)}.{lane}"
        case Shuffle(first, second, order):
            return f"lanes {list(order)} of {_atom(first)}, {_atom(second)}"
        case WarpShuffle(operand, offset):
            return f"shuffle({_atom(operand)}, lane ^ {offset})"
        case Mma(shape, a, b, c):
            return f"mma{list(shape)}({'; '.join(', '.join(map(_atom, part)) for part in (a, b, c))})"
        case SymbolValue(name):
            return f"symbol {name}"
    raise TypeError(f"no value of the loop IR: {value!r}")


def _called(name: str, operands: Iterable[Atom]) -> str:
    return f"{name}({', '.join(map(_atom, operands))})"


def _masked(mask: Atom | None) -> str:
    return "" if mask is None else f" where {_atom(mask)}"


def _atom(atom: Atom) -> str:
    return atom.name if isinstance(atom, Variable) else str(atom.value)


def _type(type_: ValueType) -> str:
    return type_.dtype.name + (f"x{type_.lanes}" if type_.lanes > 1 else "")


def _declared(buffer: Buffer) -> str:
    return f"{buffer.name}: {buffer.dtype.name}[{buffer.size}]" + (" readonly" if buffer.readonly else "")
