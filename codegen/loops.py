"""The structured loop IR that strategies produce and both emitters (LLVM IR, CUDA C) read.

Values are in administrative normal form: an operand is a ``Literal`` or a ``Variable``, and every other value is bound
by a ``Let``. Loops carry their accumulators as values (``Carried``), so that a register stays a register. Emitters walk
statements in order and never search for common subexpressions: the producer of this IR has already shared them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Union

from ir.dtype import DType


class ValueType(NamedTuple):
    """A scalar (lanes == 1) or a vector of ``lanes`` elements."""

    dtype: DType
    lanes: int = 1


class Space(Enum):
    GLOBAL = "global"  # a buffer that the program owns: a parameter of the function
    SCRATCH = "scratch"  # private to one task (CPU) or one thread (GPU)
    SHARED = "shared"  # one per thread block (GPU only)


class LoopKind(Enum):
    SERIAL = "serial"
    UNROLL = "unroll"  # the emitter writes the body once per iteration (constant bounds, no carried values)
    PARALLEL = "parallel"  # outermost only: iterations are independent tasks of the thread pool (CPU)
    BLOCK = "block"  # outermost only: blockIdx (GPU); `dimension` 0..2
    THREAD = "thread"  # threadIdx (GPU); `dimension` 0..2


@dataclass(frozen=True)
class Buffer:
    """Memory of ``size`` elements. ``readonly`` holds for parameters; one that is written may overlap another."""

    name: str
    dtype: DType
    size: int
    space: Space = Space.GLOBAL
    readonly: bool = False


# ------------------------------------------------------------------------------------------------------ values


@dataclass(frozen=True)
class Literal:
    """A constant; with several lanes, the same in each."""

    value: float | int | bool
    type: ValueType


@dataclass(frozen=True, eq=False)
class Variable:
    """A name bound once, by Let, For or Carried. Compared by identity; names are unique within a function."""

    name: str
    type: ValueType


Atom = Union[Literal, Variable]


@dataclass(frozen=True)
class Operation:
    """An elementwise op of ``ir.ops`` by name, lane by lane: add, sub, mul, div, floordiv, mod, maximum, exp, less,
    where, ... Index arithmetic is the same ops on int64."""

    code: str
    operands: tuple[Atom, ...]
    type: ValueType


@dataclass(frozen=True)
class Convert:
    """Numeric conversion to ``type.dtype`` (ir cast: float to int truncates, to bool is != 0)."""

    operand: Atom
    type: ValueType


@dataclass(frozen=True)
class Reinterpret:
    """The same bits as another dtype of equal size."""

    operand: Atom
    type: ValueType


@dataclass(frozen=True)
class Fma:
    """a * b + c with one rounding."""

    a: Atom
    b: Atom
    c: Atom
    type: ValueType


@dataclass(frozen=True)
class Splat:
    """A scalar in every lane."""

    operand: Atom
    type: ValueType


@dataclass(frozen=True)
class LaneIndex:
    """0, 1, 2, ... in an integer type."""

    type: ValueType


@dataclass(frozen=True)
class Load:
    """``lanes`` consecutive elements from ``index`` on (a scalar for lanes == 1).

    mask: a bool vector of the same lanes; a lane that is off is not read and yields 0.
    """

    buffer: Buffer
    index: Atom
    type: ValueType
    mask: Atom | None = None
    aligned: bool = False


@dataclass(frozen=True)
class GatherLoad:
    """Lane l reads element indices[l] (an int64 vector); lanes that ``mask`` turns off read nothing and yield 0."""

    buffer: Buffer
    indices: Atom
    type: ValueType
    mask: Atom | None = None


@dataclass(frozen=True)
class VectorReduce:
    """All lanes combined into a scalar, in a fixed tree order: 'sum', 'prod', 'max' or 'min' (NaN wins max and min)."""

    monoid: str
    operand: Atom
    type: ValueType


@dataclass(frozen=True)
class Extract:
    """One lane of a vector."""

    operand: Atom
    lane: int
    type: ValueType


@dataclass(frozen=True)
class Shuffle:
    """Lanes of two vectors of the same type: lane l is lane ``order[l]`` of ``first`` followed by ``second``."""

    first: Atom
    second: Atom
    order: tuple[int, ...]
    type: ValueType


@dataclass(frozen=True)
class WarpShuffle:
    """GPU: the operand of the thread ``lane ^ offset`` in the same warp (all 32 threads take part)."""

    operand: Atom
    offset: int
    type: ValueType


@dataclass(frozen=True)
class Mma:
    """GPU matrix multiply-accumulate on fragments: ``shape`` is (m, n, k) of one warp instruction."""

    shape: tuple[int, int, int]
    a: tuple[Atom, ...]
    b: tuple[Atom, ...]
    c: tuple[Atom, ...]
    type: ValueType


@dataclass(frozen=True)
class SymbolValue:
    """A run-time integer of the program (a bounded dimension, the step of a scan), as int64."""

    name: str
    type: ValueType


Value = Union[
    Literal, Variable, Operation, Convert, Reinterpret, Fma, Splat, LaneIndex, Load, GatherLoad, VectorReduce, Extract,
    Shuffle, WarpShuffle, Mma, SymbolValue,
]


# -------------------------------------------------------------------------------------------------- statements


@dataclass
class Let:
    variable: Variable
    value: Value


@dataclass
class Store:
    """``value`` to consecutive elements from ``index`` on; lanes that ``mask`` turns off are not written."""

    buffer: Buffer
    index: Atom
    value: Atom
    mask: Atom | None = None
    streaming: bool = False  # non-temporal: large, write-only, not read again soon


@dataclass
class ScatterStore:
    """Lane l writes element indices[l]; on equal indices the highest lane wins."""

    buffer: Buffer
    indices: Atom
    value: Atom
    mask: Atom | None = None


@dataclass
class AtomicAdd:
    """GPU: buffer[index] += value, indivisibly. Order is not fixed; only for integers (bitwise reproducible)."""

    buffer: Buffer
    index: Atom
    value: Atom


@dataclass
class Carried:
    """A value that a loop hands from one iteration to the next.

    ``inside`` is its value during an iteration, ``initial`` before the first, ``next`` (an atom bound in the body, or
    outside) at the end of each, ``result`` the name of the final value after the loop.
    """

    inside: Variable
    initial: Atom
    next: Atom
    result: Variable


@dataclass
class For:
    """``index`` runs from ``start`` below ``stop`` by ``step`` (int64)."""

    index: Variable
    start: Atom
    stop: Atom
    step: int
    kind: LoopKind
    body: list[LoopStatement]
    carried: list[Carried]
    dimension: int = 0


@dataclass
class If:
    """Side effects under a scalar condition; values do not leave the branches."""

    condition: Atom
    then: list[LoopStatement]
    otherwise: list[LoopStatement]


@dataclass
class Allocate:
    """A SCRATCH or SHARED buffer, alive until the end of the enclosing body. Uninitialised, 64-byte aligned."""

    buffer: Buffer


@dataclass
class Barrier:
    """GPU: every thread of the block waits for the others."""


@dataclass
class Comment:
    """A line for the reader of dumps."""

    text: str


LoopStatement = Union[Let, Store, ScatterStore, AtomicAdd, For, If, Allocate, Barrier, Comment]


@dataclass
class Function:
    """One launch. ``parameters`` in the order in which the program passes their addresses; ``symbols`` by name.

    On a CPU the body is one PARALLEL loop, whose iterations are the tasks, or has none (then it is a single task).
    On a GPU the body's outermost loops are BLOCK and THREAD loops with constant bounds: the grid and block sizes.
    digest: of all that lowering decided the function by; equal digests, equal functions ("" where nothing is known).
    """

    name: str
    parameters: tuple[Buffer, ...]
    symbols: tuple[str, ...]
    body: list[LoopStatement]
    digest: str = ""
