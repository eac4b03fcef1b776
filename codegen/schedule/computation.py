"""Computations: the values that are not views, each with its loops and its expression over those loops.

They are made consumers first. A reader hands its own axes to what it reads wherever it reads digit by digit, so that
most of a graph shares axes by identity and inlining needs no substitution.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from codegen.index import Axis, Index
from codegen.kernel import Contraction, Expression, Guard
from ir.node import Node

if TYPE_CHECKING:
    from codegen.kernel import ScanLoop, ScanStatement, SortStatement


class Kind(Enum):
    """How a value is computed."""

    POINTWISE = "pointwise"
    REDUCTION = "reduction"
    SCATTER = "scatter"
    SCAN = "scan"
    SORT = "sort"
    JOIN = "join"  # a value that others write in parts: nothing is left to compute


class Loops(NamedTuple):
    """The loops over one dimension, outermost first, and the index that they make."""

    axes: tuple[Axis, ...]
    index: Index  # type: ignore[assignment]  # shadows tuple.index, which nobody needs


class Access(NamedTuple):
    """A read as scheduling sees it: which element of which value, whatever is then done with it.

    injective: no two points of the reader's loops read the same element through the views between.
    """

    value: Node
    indices: tuple[Index, ...]
    injective: bool


class Row(NamedTuple):
    """The axes of a value that a kernel holds a tile of rows at a time: which row it is, and the place along it."""

    outer: frozenset[Axis]
    along: frozenset[Axis]


KINDS_ALONE = frozenset({Kind.SCATTER, Kind.SCAN, Kind.SORT, Kind.JOIN})  # never in one kernel with another computation
READERS_OF_MEMORY = frozenset({Kind.SCAN, Kind.SORT})  # into which nothing is inlined


@dataclass(eq=False)
class Computation:
    """One value: ``expression`` at every point of ``axes``, reduced over ``reduced``, stored at ``indices``.

    loops: the loops over each dimension of what the expression yields (for a reduction: of its result).
    monoid, position, guards, mode: as in ``codegen.kernel.Statement`` (mode: how a scatter combines).
    whole: whether these loops write each element of the value once (not so for scatter, scan, a part of a value).
    owner: the value or buffer whose storage it is written to, for an assignment and for parts of a value.
    overwrites: the version of a value that is lost when this is written.
    values: what others read of it, where that is not ``node`` itself: the results of a scan.
    required: it must be in memory whoever reads it: an output, ``contiguous``, an operand of a loop.
    after: computations that must have run before this one although it does not read them.
    row: of a wide value and of a contraction that closes its rows (``along`` is empty): see ``streaming``.
    stage: how many rows must be closed, one after the other, before it can begin.
    """

    node: Node
    kind: Kind
    axes: tuple[Axis, ...]
    indices: tuple[Index, ...]
    expression: Expression
    loops: tuple[Loops, ...] = ()
    whole: bool = True
    reduced: frozenset[Axis] = frozenset()
    monoid: str | None = None
    position: Index | None = None
    guards: tuple[Guard, ...] = ()
    mode: str | None = None
    owner: Node | None = None
    overwrites: Node | None = None
    values: tuple[Node, ...] = ()
    required: bool = False
    number: int = 0
    operations: int = 1
    accesses: list[Access] = field(default_factory=list)
    readers: list[Computation] = field(default_factory=list)
    after: list[Computation] = field(default_factory=list)
    inlined: bool = False
    contraction: Contraction | None = None
    row: Row | None = None
    stage: int = 0
    scan: ScanLoop | ScanStatement | SortStatement | None = None

    def __post_init__(self) -> None:
        self.values = self.values or (self.node,)

    @cached_property
    def outer(self) -> tuple[Axis, ...]:
        """The axes that the value varies along."""
        return tuple(axis for axis in self.axes if axis not in self.reduced)

    @cached_property
    def volume(self) -> int:
        """How many times the expression is evaluated."""
        return prod(axis.extent for axis in self.axes)

    @cached_property
    def size(self) -> int:
        """How many elements the computation writes."""
        return prod(axis.extent for axis in self.outer)

    @property
    def nbytes(self) -> int:
        """The bytes that are written where the value is stored."""
        return self.size * self.node.dtype.itemsize

    def digits(self, indices: tuple[Index, ...]) -> dict[Axis, Index] | None:
        """Which point of this computation's loops writes the element at ``indices``; None where that is unknown."""
        if not self.whole:
            return None
        result: dict[Axis, Index] = {}
        for index, (axes, _) in zip(indices, self.loops, strict=True):
            inside = 1
            for axis in reversed(axes):
                digit = index // inside if inside > 1 else index
                result[axis] = digit if axis is axes[0] else digit % axis.extent
                inside *= axis.extent
        return result

    def __repr__(self) -> str:
        return f"<{self.number}: {self.kind.value} {self.node!r}>"


def is_identity(digits: Mapping[Axis, Index]) -> bool:
    """Whether every loop of the producer is the loop of the same name of the reader."""
    return all(index.bare is axis for axis, index in digits.items())


def producers_of(order: Iterable[Computation]) -> dict[Node, Computation]:
    """Which computation computes each value."""
    return {value: computation for computation in order for value in computation.values}
