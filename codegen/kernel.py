"""Kernels: what scheduling decides and lowering reads.

A kernel is a list of statements under shared outer loops. A statement computes one value of the graph at every point
of its loop axes; the views and inlined producers between stored values have disappeared into its expression. Every
value has a home in every kernel that uses it (``Home``), and that is the whole of what a schedule says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Union

from codegen.choices import RULES, Choices
from codegen.index import Axis, Index
from ir.dtype import DType
from ir.node import Node


class Home(Enum):
    """Where a value lives within one kernel."""

    REGISTER = "register"  # produced and consumed at the same point of the same loops
    SCRATCH = "scratch"  # computed under a shared outer loop, thread-local and cache-resident
    ACCUMULATOR = "accumulator"  # a reduction over the kernel's own outer loops, complete only after them
    MEMORY = "memory"  # a buffer of its own, visible to other kernels


# ------------------------------------------------------------------------------------------------ expressions


class Guard(NamedTuple):
    """The condition low <= index <= high."""

    index: Index  # type: ignore[assignment]  # shadows tuple.index, which nobody needs
    low: int
    high: int


class Read(NamedTuple):
    """The element of ``value`` at ``indices``, one per dimension of ``value.shape``.

    ``value`` is a buffer, or a node that a statement of this or of an earlier kernel computes. Where axes were joined
    (an elementwise kernel over [768, 128] runs one axis c of 98304) an index is a digit of one (c // 128, c % 128), and
    the address is simple again: quotients and remainders cancel in it (``codegen.schedule.coalesce.flat_address``).
    """

    value: Node
    indices: tuple[Index, ...]


class Constant(NamedTuple):
    """A literal of ``dtype``."""

    value: float | int | bool
    dtype: DType


class IndexValue(NamedTuple):
    """The number that an index expression is, as an integer of ``dtype`` (iota after views)."""

    index: Index  # type: ignore[assignment]  # shadows tuple.index, which nobody needs
    dtype: DType


class Apply(NamedTuple):
    """An elementwise op (the name of an ``ir.ops`` elementwise op, 'cast' or 'bitcast') on scalar operands."""

    code: str
    operands: tuple[Expression, ...]
    dtype: DType


class Guarded(NamedTuple):
    """``inside`` where every guard holds, else ``fill``; ``inside`` is evaluated (and loads) only where they hold."""

    guards: tuple[Guard, ...]
    inside: Expression
    fill: Expression


Expression = Union[Read, Constant, IndexValue, Apply, Guarded]


# ------------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True)
class Contraction:
    """A sum of products, by which axes each operand's index uses.

    batch: in both operands and the output; m: left operand and output; n: right operand and output; k: both, reduced.
    """

    left: Expression
    right: Expression
    batch: tuple[Axis, ...]
    m: tuple[Axis, ...]
    n: tuple[Axis, ...]
    k: tuple[Axis, ...]


@dataclass
class Statement:
    """One value, computed at every point of ``axes`` by ``expression``.

    reduced: the axes that ``monoid`` ('sum', 'prod', 'max', 'min', 'argmax', 'argmin') reduces over; empty and None
      for a pointwise value. argmax and argmin yield the number of the first extreme element, counted by ``position``.
    indices: where the result lands, one index per dimension of ``value.shape``, over the unreduced axes.
    scatter: for a scatter, how updates combine with what is there: 'add', 'set', 'max' or 'min' (``indices`` then
      contains dynamic atoms, ``guards`` drop updates that fall outside).
    """

    value: Node
    axes: tuple[Axis, ...]
    expression: Expression
    indices: tuple[Index, ...]
    reduced: frozenset[Axis] = frozenset()
    monoid: str | None = None
    position: Index | None = None
    guards: tuple[Guard, ...] = ()
    scatter: str | None = None
    contraction: Contraction | None = None
    home: Home = Home.MEMORY


@dataclass
class ScanStatement:
    """A recurrence along ``axis`` whose body is pointwise, for every point of ``axes`` (which do not contain it).

    Steps are counted in the order in which they happen: a scan from the end indexes its values by length - 1 - axis.

    carries: (name node, value at the start, value after one step), as expressions in ``axes`` and ``axis``; a step
      reads a carry as Read(name node, ()).
    outputs: (value, expression of one step, indices), stored at every step; finals: (value, carry number, indices).
    """

    axes: tuple[Axis, ...]
    axis: Axis
    carries: tuple[tuple[Node, Expression, Expression], ...]
    outputs: tuple[tuple[Node, Expression, tuple[Index, ...]], ...]
    finals: tuple[tuple[Node, int, tuple[Index, ...]], ...] = ()


class Boundary(NamedTuple):
    """Why ``value`` is in memory although ``reader`` could have computed it: the legality clause that failed."""

    value: Node
    reader: Node | None
    reason: str


@dataclass
class SortStatement:
    """The positions of the elements along ``axis`` in order, for every point of ``axes`` (which do not contain it).

    ``expression`` is an element, in ``axes`` and ``axis``; the position of the one that comes at place ``axis`` is
    stored as ``value`` at ``indices``, for the first ``count`` places. Equal elements stay in their order, NaN counts
    as larger than everything.
    """

    value: Node
    axes: tuple[Axis, ...]
    axis: Axis
    expression: Expression
    indices: tuple[Index, ...]
    descending: bool
    count: int


AnyStatement = Union[Statement, ScanStatement, SortStatement]


@dataclass
class Kernel:
    """Statements in order under the shared outer loops ``axes``. Equal loops are the same Axis object throughout:
    the outer axes in every statement, inner axes wherever the crossing read uses a bare axis.

    Contractions come first; pointwise values that one statement reads at its own point are part of its expression.
    Shared loops are independent of each other: only accumulators and scatters write an element in several iterations.

    inputs: the values read from memory; outputs: the values stored to memory (in order of first use).
    in_place: outputs that have no storage of their own, with the node whose storage they are written to: the buffer of
      an assignment, or the value of which the output is a part (what a scatter adds to, an operand of a concat, the
      start of a loop's carry). Outputs of one kernel that share a storage are disjoint parts of it.
    boundaries: for each output, why the kernel ends there.
    choices: what a search has found to be better for the strategy to do than its own rules.
    """

    name: str
    strategy: str
    axes: tuple[Axis, ...]
    statements: list[AnyStatement]
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    in_place: dict[Node, Node] = field(default_factory=dict)
    boundaries: list[Boundary] = field(default_factory=list)
    bytes_moved: int = 0
    flops: int = 0
    choices: Choices = RULES


@dataclass
class KernelBatch:
    """Independent kernels of one level that run in one parallel region."""

    kernels: list[Kernel]


@dataclass
class ScanLoop:
    """A scan whose body is more than pointwise: its own schedule, run once per step with ``step`` as run-time symbol.

    The body's kernels address step inputs and outputs through ``step`` (a codegen.index.Symbol), which is the number of
    the step also with ``reverse``. A carry lives in the storage of its final value (``project(scan, i)``): written
    before the loop, read by the body, and overwritten by a kernel of the body that lists it in ``in_place``.
    """

    step: object
    count: int
    reverse: bool
    body: Schedule


@dataclass
class Schedule:
    """What runs, in order. ``stored``: every value with a buffer of its own, including the graph's outputs."""

    steps: list[KernelBatch | ScanLoop]
    stored: tuple[Node, ...]
    outputs: tuple[Node, ...]
