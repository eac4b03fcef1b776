"""Programs: what a device compiles and runs in one call.

A program is a list of commands over numbered storages. It knows neither the graph nor Python objects of the user, so
that it can be compiled once for every graph of the same structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Union

if TYPE_CHECKING:
    from codegen.loops import Function
    from ir.dtype import DType
    from ir.node import Location


class Storage(NamedTuple):
    """Bytes that launches read and write.

    argument: memory of the caller, whose address is given at each run. temporary: ``offset`` bytes into the program's
    arena (a multiple of 64); storages that are never alive together may overlap. The offset is -1 until planned.
    """

    id: int
    nbytes: int
    dtype: DType
    kind: Literal["argument", "temporary"]
    offset: int = -1


class KernelRecord(NamedTuple):
    """What a launch is for: its kernel's name and strategy, the bytes and operations it costs, the user's lines.

    part: 0 for a kernel's first launch, which carries its whole cost; 1, 2, ... for those that finish it.
    """

    name: str
    strategy: str
    bytes_moved: int
    flops: int
    locations: tuple[Location, ...] = ()
    part: int = 0


@dataclass(frozen=True, eq=False)
class Launch:
    """One call of ``function`` over all its tasks; ``arguments`` are storage ids in the order of its parameters."""

    function: Function
    arguments: tuple[int, ...]
    record: KernelRecord | None = None

    def renumbered(self, numbers: Mapping[int, int]) -> Launch:
        """The same launch in a program that numbers its storages otherwise."""
        return Launch(self.function, tuple(numbers[key] for key in self.arguments), self.record)


@dataclass(frozen=True, eq=False)
class Region:
    """Launches that do not depend on each other: their tasks run together, and all are done before the next command."""

    launches: tuple[Launch, ...]


@dataclass(frozen=True, eq=False)
class Repeat:
    """``body`` once for every value 0 .. count-1 of ``symbol`` (count-1 .. 0 with ``reverse``)."""

    symbol: str
    count: int
    reverse: bool
    body: tuple[Command, ...]


Command = Union[Region, Repeat]


@dataclass(frozen=True, eq=False)
class Program:
    """Commands in order.

    arguments: the storage ids whose addresses the caller gives, in that order.
    symbols: the names of the run-time integers; their position is their slot in the symbol table. A run is given a
      value for each; a Repeat overwrites the slot of its own symbol.
    arena_bytes: how much memory the temporaries need together.
    """

    commands: tuple[Command, ...]
    storages: tuple[Storage, ...]
    arguments: tuple[int, ...]
    symbols: tuple[str, ...] = ()
    arena_bytes: int = 0

    def launches(self) -> Iterator[Launch]:
        """Every launch in order, those of a Repeat once."""
        for _, region in walk(self.commands):
            yield from region.launches

    def functions(self) -> tuple[Function, ...]:
        """The distinct functions, in order of first use."""
        return tuple({id(launch.function): launch.function for launch in self.launches()}.values())


def walk(commands: Sequence[Command]) -> Iterator[tuple[tuple[Repeat, ...], Region]]:
    """Every region in order, with the repeats around it (outermost first)."""
    pending: list[tuple[tuple[Repeat, ...], Command]] = [((), command) for command in reversed(commands)]
    while pending:
        around, command = pending.pop()
        if isinstance(command, Region):
            yield around, command
        else:
            pending.extend(((*around, command), inner) for inner in reversed(command.body))
