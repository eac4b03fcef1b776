"""Writing loop IR in administrative normal form: every value is bound once, as far out as its operands allow.

The builder holds the open bodies, outermost first. A pure value is computed in the innermost body that binds one of
its operands, so whatever does not depend on a loop leaves it; a value that is already bound is not computed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from codegen.loops import (
    Atom,
    Buffer,
    Convert,
    GatherLoad,
    LaneIndex,
    Let,
    Literal,
    Load,
    LoopStatement,
    Operation,
    Shuffle,
    Splat,
    Store,
    Value,
    ValueType,
    Variable,
)
from ir.dtype import DType, Scalar, dtypes

INDEX = ValueType(dtypes.int64)
CONDITION = ValueType(dtypes.bool)


class Scope:
    """One open body: its statements so far, and what is known inside it.

    conditional: it may not be executed at all (a branch, a loop whose bound is computed).
    """

    __slots__ = ("conditional", "depth", "known", "registers", "statements")

    def __init__(self, depth: int, conditional: bool = False) -> None:
        self.depth, self.conditional = depth, conditional
        self.statements: list[LoopStatement] = []
        self.known: dict[tuple[Any, ...], Variable] = {}
        self.registers: dict[Any, Atom] = {}


class LoopBuilder:
    """The statements of a function under construction.

    written: buffers that the function also stores to. Their loads stay where they are and are shared only within one
    body, until the next store.
    """

    def __init__(self, written: Iterable[Buffer] = ()) -> None:
        self.written = set(written)
        self._scopes = [Scope(0)]
        self._depths: dict[Variable, int] = {}
        self._names: dict[str, int] = {}

    # ---------------------------------------------------------------------------------------------- bodies

    @property
    def scope(self) -> Scope:
        """The innermost open body."""
        return self._scopes[-1]

    @property
    def depth(self) -> int:
        return len(self._scopes) - 1

    @contextmanager
    def body(self, conditional: bool = False) -> Iterator[Scope]:
        """A new innermost body. The caller puts its statements into a loop or branch, after closing it."""
        scope = Scope(len(self._scopes), conditional)
        self._scopes.append(scope)
        try:
            yield scope
        finally:
            self._scopes.pop()

    @contextmanager
    def at(self, depth: int) -> Iterator[None]:
        """What is bound meanwhile goes to the open body at ``depth``, before the bodies inside it."""
        inner = self._scopes[depth + 1:]
        del self._scopes[depth + 1:]
        try:
            yield
        finally:
            self._scopes.extend(inner)

    def append(self, statement: LoopStatement) -> None:
        """Adds an effect to the innermost body; a store ends what is known of its buffer."""
        self.scope.statements.append(statement)
        buffer = getattr(statement, "buffer", None)
        if buffer is not None:
            self.forget(buffer)

    def forget(self, buffer: Buffer) -> None:
        """Nothing loaded from ``buffer`` so far is valid any more."""
        for scope in self._scopes:
            stale = [key for key in scope.known if key[0] in (Load, GatherLoad) and key[1] is buffer]
            for key in stale:
                del scope.known[key]

    # ------------------------------------------------------------------------------------------- variables

    def variable(self, hint: str, type: ValueType, depth: int | None = None) -> Variable:
        """A fresh name, bound in the innermost body or in the one at ``depth``."""
        number = self._names[hint] = self._names.get(hint, 0) + 1
        variable = Variable(f"{hint}_{number}", type)
        self._depths[variable] = self.depth if depth is None else depth
        return variable

    def depth_of(self, atom: Atom) -> int:
        """The depth of the body that binds ``atom``; 0 for literals."""
        return self._depths[atom] if isinstance(atom, Variable) else 0

    def register(self, key: Any) -> Atom | None:
        """The value kept under ``key`` by an open body."""
        for scope in reversed(self._scopes):
            found = scope.registers.get(key)
            if found is not None:
                return found
        return None

    # --------------------------------------------------------------------------------------------- values

    def let(self, value: Value, hint: str = "v", speculative: bool = True) -> Atom:
        """The atom that holds ``value``, bound as far out as possible.

        A value that is not ``speculative`` (a load that may lie outside its buffer) stays inside conditional bodies.
        """
        if isinstance(value, (Literal, Variable)):
            return value
        key = _key(value)
        pinned = isinstance(value, (Load, GatherLoad)) and value.buffer in self.written
        for scope in (self.scope,) if pinned else reversed(self._scopes):
            known = scope.known.get(key)
            if known is not None:
                return known
        depth = self.depth if pinned else max((self.depth_of(atom) for atom in _atoms(value)), default=0)
        if not speculative:
            depth = max([depth, *(scope.depth for scope in self._scopes if scope.conditional)])
        variable = self.variable(hint, value.type, depth)
        target = self._scopes[depth]
        target.known[key] = variable
        target.statements.append(Let(variable, value))
        return variable

    def apply(self, code: str, *operands: Atom, dtype: DType | None = None) -> Atom:
        """An elementwise operation; scalars are spread over the lanes of the widest operand."""
        lanes = max(operand.type.lanes for operand in operands)
        result = dtype or operands[-1].type.dtype
        spread = tuple([self.splat(operand, lanes) for operand in operands])
        return self.let(Operation(code, spread, ValueType(result, lanes)))

    def compare(self, code: str, left: Atom, right: Atom) -> Atom:
        return self.apply(code, left, right, dtype=dtypes.bool)

    def where(self, condition: Atom, chosen: Atom, other: Atom) -> Atom:
        """``chosen`` where the condition holds, else ``other``."""
        if isinstance(condition, Literal):
            return chosen if condition.value else other
        return self.apply("where", condition, chosen, other)

    def conjunction(self, conditions: tuple[Atom, ...]) -> Atom | None:
        """All of the conditions; None where there are none."""
        result: Atom | None = None
        for condition in conditions:
            result = condition if result is None else self.apply("bit_and", result, condition)
        return result

    def convert(self, operand: Atom, dtype: DType) -> Atom:
        if operand.type.dtype is dtype:
            return operand
        if isinstance(operand, Literal) and dtype.is_integer and operand.type.dtype.is_integer:
            return Literal(dtype.constant(operand.value), ValueType(dtype, operand.type.lanes))
        return self.let(Convert(operand, ValueType(dtype, operand.type.lanes)))

    def splat(self, operand: Atom, lanes: int) -> Atom:
        """``operand`` in every lane."""
        if operand.type.lanes == lanes:
            return operand
        type = ValueType(operand.type.dtype, lanes)
        return Literal(operand.value, type) if isinstance(operand, Literal) else self.let(Splat(operand, type))

    def shuffle(self, first: Atom, second: Atom, order: Iterable[int]) -> Atom:
        """The lanes ``order`` of ``first`` followed by ``second``."""
        lanes = tuple(order)
        return self.let(Shuffle(first, second, lanes, ValueType(first.type.dtype, len(lanes))), "lanes")

    def backwards(self, vector: Atom) -> Atom:
        """The lanes from the last to the first."""
        return vector if isinstance(vector, Literal) else self.shuffle(vector, vector,
                                                                       reversed(range(vector.type.lanes)))

    def lane_index(self, dtype: DType, lanes: int) -> Atom:
        return self.let(LaneIndex(ValueType(dtype, lanes)), "lane")

    def store(self, buffer: Buffer, index: Atom, value: Atom, mask: Atom | None = None,
              streaming: bool = False) -> None:
        self.append(Store(buffer, index, value, mask, streaming))


def literal(value: Scalar, dtype: DType, lanes: int = 1) -> Literal:
    """``value`` as the type holds it, in every lane."""
    return Literal(dtype.constant(value), ValueType(dtype, lanes))


def _atoms(value: Value) -> Iterator[Atom]:
    for field in vars(value).values():
        if isinstance(field, (Variable, Literal)):
            yield field
        elif isinstance(field, tuple):
            yield from (item for item in field if isinstance(item, (Variable, Literal)))


def _key(value: Value) -> tuple[Any, ...]:
    """What makes two values the same computation."""
    return (type(value), *vars(value).values())
