"""The schedulable form of a kernel: a tree of loops with its statements as leaves.

A fresh nest has the kernel's shared axes outside and, in order, one sweep of inner loops for each run of statements
that can share it. Steps (``codegen.steps``) rewrite the tree. Expressions keep the kernel's axes: a step that replaces
an axis by others records what the axis is in terms of them, and realization substitutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Union

from codegen.expression import walk
from codegen.index import Atom, Axis, Index
from codegen.kernel import (
    AnyStatement,
    Expression,
    Guard,
    Home,
    Kernel,
    Read,
    ScanStatement,
    SortStatement,
    Statement,
)


class Kind(Enum):
    """How the iterations of a loop are carried out."""

    SERIAL = "serial"
    UNROLL = "unroll"  # written out: one instance of every value per iteration
    VECTOR = "vector"  # one lane per iteration
    TRANSPOSED = "transposed"  # around one vector loop over a copy: lanes that become instances, and the reverse
    PARALLEL = "parallel"  # independent tasks
    BLOCK = "block"  # GPU: blockIdx
    THREAD = "thread"  # GPU: threadIdx
    SHARED = "shared"  # GPU: dealt out in turn to the threads of a block

    @property
    def instanced(self) -> bool:
        """True where all iterations exist at once, as registers or lanes."""
        return self in (Kind.UNROLL, Kind.VECTOR)


@dataclass(eq=False)
class Compute:
    """A leaf: one statement, computed at every point of the loops around it."""

    statement: AnyStatement
    number: int


@dataclass(eq=False)
class Loop:
    """A loop over ``axis``.

    separate: of an unrolled reduced axis: each iteration has an accumulator of its own, combined after the loop.
    dimension: which of the three grid or block dimensions (GPU).
    start, stop: of a serial loop, in the axes of the loops outside: iterations before and from there on are left out.
    pieces: where the second and later parts begin of a serial loop that is written as several, one after the other.
    guards: conditions of statements inside that hold in every iteration which is not left out.
    """

    axis: Axis
    body: list[Item]
    kind: Kind = Kind.SERIAL
    separate: bool = False
    dimension: int = 0
    start: Index | None = None
    stop: Index | None = None
    pieces: tuple[int, ...] = ()
    guards: tuple[Guard, ...] = ()


Item = Union[Loop, Compute]
Path = tuple[Loop, ...]


class SplitRecord(NamedTuple):
    """parent == outer * factor + inner. ``peel``: the last, shorter iteration of ``outer`` is written out by itself;
    otherwise the loop over ``inner`` ends early, by a bound that is computed."""

    parent: Axis
    outer: Axis
    inner: Axis
    factor: int
    peel: bool


@dataclass
class Nest:
    """The loops of one kernel, as far as steps have shaped them.

    definitions: for a replaced axis, what it is in terms of newer axes (alternatives, where sweeps differ).
    origins: for each loop axis, the axes of the kernel that it runs along.
    overrun: cut axes whose last block runs past their end. threads: of a GPU block, along dimensions with shared loops.
    splits and inner_splits: the splits that made an axis, by their outer and by their inner axis.
    """

    kernel: Kernel
    body: list[Item]
    definitions: dict[Axis, list[Index]] = field(default_factory=dict)
    origins: dict[Axis, frozenset[Axis]] = field(default_factory=dict)
    splits: dict[Axis, SplitRecord] = field(default_factory=dict)
    inner_splits: dict[Axis, SplitRecord] = field(default_factory=dict)
    names: dict[str, Axis] = field(default_factory=dict)
    overrun: list[Axis] = field(default_factory=list)
    threads: dict[int, int] = field(default_factory=dict)
    _resolved: dict[tuple[Index, tuple[Index, ...]], Index] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------ names

    def name(self, axis: Axis) -> str:
        """The name of ``axis`` in printed steps."""
        return next(name for name, known in self.names.items() if known is axis)

    def add_axis(self, name: str, axis: Axis, origins: frozenset[Axis]) -> None:
        """Registers an axis under a name, made unique by a number where it is taken."""
        unique, number = name, 1
        while unique in self.names:
            number += 1
            unique = f"{name}{number}"
        self.names[unique] = axis
        self.origins[axis] = origins

    # ----------------------------------------------------------------------------------------------- walking

    def leaves(self) -> Iterator[tuple[Compute, Path]]:
        """Every leaf in order, with the loops around it, outermost first."""
        pending: list[tuple[Item, Path]] = [(item, ()) for item in reversed(self.body)]
        while pending:
            item, path = pending.pop()
            if isinstance(item, Compute):
                yield item, path
            else:
                pending.extend((below, (*path, item)) for below in reversed(item.body))

    def loops(self) -> Iterator[tuple[Loop, list[Item]]]:
        """Every loop, outermost first, with the body that contains it."""
        pending = [(item, self.body) for item in reversed(self.body)]
        while pending:
            item, container = pending.pop()
            if isinstance(item, Loop):
                yield item, container
                pending.extend((below, item.body) for below in reversed(item.body))

    def path(self, number: int) -> Path:
        """The loops around statement ``number``."""
        return next(path for compute, path in self.leaves() if compute.number == number)

    def loops_over(self, axis: Axis, within: int | None = None) -> list[Loop]:
        """The loops over ``axis``: all of them, or the one around statement ``within``."""
        if within is not None:
            return [loop for loop in self.path(within) if loop.axis is axis]
        return [loop for loop, _ in self.loops() if loop.axis is axis]

    # ------------------------------------------------------------------------------------------------ meaning

    def resolve(self, axes: Mapping[Atom, Index]) -> dict[Atom, Index]:
        """The value of every axis that ``axes`` (those of the loops around a leaf) determine."""
        known = dict(axes)
        for axis, alternatives in reversed(self.definitions.items()):
            for definition in alternatives:
                if axis not in known and all(part in known for part in definition.axes):
                    key = definition, tuple([known[part] for part in definition.axes])
                    value = self._resolved.get(key)
                    if value is None:
                        value = self._resolved[key] = definition.substitute(known)
                    known[axis] = value
        return known

    def point(self, path: Path) -> dict[Atom, Index]:
        """Every axis at a leaf as an expression in the axes of the loops on ``path``."""
        return self.resolve({loop.axis: Index.of(loop.axis) for loop in path})

    def reduces(self, compute: Compute, axis: Axis) -> bool:
        """True where the loop over ``axis`` runs along an axis that the statement reduces (or scans) over."""
        statement = compute.statement
        along = statement.reduced if isinstance(statement, Statement) else frozenset(_serial_axes(statement))
        return not along.isdisjoint(self.origins[axis])


# --------------------------------------------------------------------------------------------------- construction


def build_nest(kernel: Kernel) -> Nest:
    """The nest of a kernel before any step."""
    nest = Nest(kernel, [])
    _name_axes(nest, kernel)
    sweeps: list[Item] = []
    last: _Sweep | None = None
    for number, statement in enumerate(kernel.statements):
        compute = Compute(statement, number)
        inner = _inner_axes(kernel, statement)
        if last is not None and last.accepts(statement, inner):
            last.add(compute)
            if not inner:  # there is no loop that holds the sweep's statements
                sweeps.append(compute)
            continue
        last = _Sweep(inner)
        last.add(compute)
        sweeps.extend(_wrap(inner, last.computes))
    nest.body = _wrap(kernel.axes, sweeps)
    return nest


def _name_axes(nest: Nest, kernel: Kernel) -> None:
    for number, axis in enumerate(kernel.axes):
        nest.add_axis(f"i{number}", axis, frozenset({axis}))
    for statement in kernel.statements:
        reduced = statement.reduced if isinstance(statement, Statement) else _serial_axes(statement)
        for axis in _inner_axes(kernel, statement):
            if axis not in nest.origins:
                prefix = "k" if axis in reduced else "j"
                number = sum(name.startswith(prefix) for name in nest.names)
                nest.add_axis(f"{prefix}{number}", axis, frozenset({axis}))


def _inner_axes(kernel: Kernel, statement: AnyStatement) -> tuple[Axis, ...]:
    axes = statement.axes if isinstance(statement, Statement) else (*statement.axes, *_serial_axes(statement))
    outer = set(kernel.axes)
    return tuple(axis for axis in axes if axis not in outer)


def _serial_axes(statement: ScanStatement | SortStatement) -> tuple[Axis, ...]:
    """The axes of loops whose iterations depend on each other (a sort writes its own loops)."""
    return (statement.axis,) if isinstance(statement, ScanStatement) else ()


def _wrap(axes: tuple[Axis, ...], body: list[Item]) -> list[Item]:
    for axis in reversed(axes):
        body = [Loop(axis, body)]
    return body


class _Sweep:
    """Statements that share their inner loops."""

    def __init__(self, inner: tuple[Axis, ...]) -> None:
        self.inner = inner
        self.computes: list[Item] = []
        self.produced: dict[object, Statement | None] = {}
        self.contracts = False

    def add(self, compute: Compute) -> None:
        self.computes.append(compute)
        statement = compute.statement
        if isinstance(statement, Statement):
            self.contracts = statement.contraction is not None
            # a reduction is complete only after the sweep: nothing inside may read it
            self.produced[statement.value] = None if statement.reduced or statement.scatter else statement
        elif isinstance(statement, SortStatement):
            self.produced[statement.value] = None
        else:
            for value, _, _ in (*statement.outputs, *statement.finals):
                self.produced[value] = None

    def accepts(self, statement: AnyStatement, inner: tuple[Axis, ...]) -> bool:
        """True where the statement can be computed in the same iterations."""
        if not isinstance(statement, Statement) or statement.scatter or set(inner) != set(self.inner):
            return False
        if inner and (self.contracts or statement.contraction is not None):
            return False  # a contraction has a sweep of its own
        if statement.value in self.produced:
            return False
        for read in reads_of(statement):
            if read.value in self.produced:
                producer = self.produced[read.value]
                if producer is None or producer.indices != read.indices:
                    return False
        return True


def expressions_of(statement: AnyStatement) -> tuple[Expression, ...]:
    """The root expressions of a statement."""
    if not isinstance(statement, ScanStatement):
        return (statement.expression,)
    carries = tuple(expression for _, start, step in statement.carries for expression in (start, step))
    return (*carries, *(expression for _, expression, _ in statement.outputs))


def reads_of(statement: AnyStatement) -> Iterator[Read]:
    """Every read of a statement, also those inside dynamic indices and guards."""
    roots = list(expressions_of(statement))
    if isinstance(statement, Statement):
        indices = [*statement.indices, *(guard.index for guard in statement.guards)]
        roots.extend(atom.expression for index in indices for atom in index.dynamics)
    for expression in walk(*roots):
        if isinstance(expression, Read):
            yield expression


def produced_values(kernel: Kernel) -> dict[object, AnyStatement]:
    """Every value that a statement of the kernel computes (the last such statement of each)."""
    produced: dict[object, AnyStatement] = {}
    for statement in kernel.statements:
        if not isinstance(statement, ScanStatement):
            produced[statement.value] = statement
        else:
            for value, _, _ in (*statement.outputs, *statement.finals):
                produced[value] = statement
    return produced


def is_bounded(loop: Loop) -> bool:
    """Whether the loop leaves out iterations that nobody needs, or is written as several."""
    return loop.start is not None or loop.stop is not None or bool(loop.pieces)


def is_accumulator(statement: AnyStatement) -> bool:
    return isinstance(statement, Statement) and statement.home is Home.ACCUMULATOR


# ------------------------------------------------------------------------------------------------------- printing


def format_nest(nest: Nest) -> str:
    """The loop tree as text, one line a loop or statement."""
    lines: list[str] = []
    pending: list[tuple[Item, int]] = [(item, 0) for item in reversed(nest.body)]
    while pending:
        item, depth = pending.pop()
        margin = "  " * depth
        if isinstance(item, Loop):
            kind = item.kind.value + (" separate" if item.separate else "")
            first = "" if item.start is None else f"{item.start} <= "
            bound = "" if item.stop is None else f", {item.stop}"
            lines.append(f"{margin}{kind} {first}{nest.name(item.axis)} < {item.axis.extent}{bound}")
            pending.extend((below, depth + 1) for below in reversed(item.body))
        else:
            lines.append(f"{margin}[{item.number}] {_describe(item.statement)}")
    return "\n".join(lines)


def _describe(statement: AnyStatement) -> str:
    if isinstance(statement, ScanStatement):
        return f"scan of {len(statement.carries)} values"
    if isinstance(statement, SortStatement):
        return f"order of {statement.axis.extent} elements"
    what = (statement.scatter and f"scatter {statement.scatter}") or statement.monoid or "point"
    return f"{what} -> {statement.home.value}"
