"""Where the values that a kernel computes are found again: a register, scratch, or their buffer in memory.

A value stays in a register where everything that reads it does so at the point where it was computed, and the loops
between the two are written out. Otherwise, if it has no buffer in memory, it gets scratch, indexed by the part of its
indices that varies below the loops that producer and readers share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from codegen.index import Atom, Index
from codegen.kernel import Home, ScanStatement, SortStatement, Statement
from codegen.loops import Buffer, Space
from codegen.nest import Compute, Kind, Loop, Nest, Path, reads_of
from codegen.steps import ScheduleError
from ir.dtype import DType
from ir.node import Node
from ir.symbolic import upper_bound


def memory_extents(value: Node) -> tuple[int, ...]:
    """The dimensions that the layout of a value in memory is made for."""
    return tuple([upper_bound(dimension) for dimension in value.shape])


def memory_index(value: Node, indices: tuple[Index, ...]) -> Index:
    """The element of a row-major buffer."""
    total, stride = Index(), 1
    for index, extent in zip(reversed(indices), reversed(memory_extents(value)), strict=True):
        total, stride = total + index * stride, stride * extent
    return total


@dataclass
class Scratch:
    """A place for one value below the loops of ``path``, where dimension d is stored at its index minus ``base[d]``."""

    value: Node
    dtype: DType
    path: Path
    base: tuple[Index, ...]
    extents: tuple[int, ...]
    order: tuple[int, ...]  # of the dimensions, outermost first
    predecessor: Scratch | None = field(default=None)  # whose place it takes, element by element
    buffer: Buffer | None = field(default=None)

    @property
    def size(self) -> int:
        return prod(self.extents)

    def index(self, indices: tuple[Index, ...]) -> Index:
        """The element that holds the value at resolved ``indices``."""
        total, stride = Index(), 1
        for dimension in reversed(self.order):
            total = total + (indices[dimension] - self.base[dimension]) * stride
            stride *= self.extents[dimension]
        return total

    def has_form_of(self, other: Scratch) -> bool:
        """Whether both lay their elements out alike, in the same body."""
        return (self.dtype is other.dtype and self.path == other.path and self.base == other.base
                and self.extents == other.extents and self.order == other.order)

    def allocate(self, name: str) -> Buffer:
        """The buffer that holds the value: its own, or that of its predecessor, which is allocated earlier."""
        if self.predecessor is not None:
            assert self.predecessor.buffer is not None
            self.buffer = self.predecessor.buffer
            return self.buffer
        self.buffer = Buffer(name, self.dtype, max(1, self.size), Space.SCRATCH)
        return self.buffer


@dataclass
class Reduction:
    """How a reduction is carried out on its path.

    home: the outermost loop along a reduced axis. inner_home: below it, the loop from which on the state is carried in
    registers (None: not even one); where that is not ``home``, the state lives in storage in between (``stored``).
    """

    compute: Compute
    path: Path
    home: Loop
    inner_home: Loop | None
    stored: bool


@dataclass
class Placement:
    """All decisions for one nest."""

    scratches: dict[Node, Scratch]
    reductions: dict[int, Reduction]
    reread: frozenset[Node]  # values of MEMORY that the kernel itself reads again from there


def place_values(nest: Nest) -> Placement:
    """Decides where every value of the nest lives."""
    leaves = list(nest.leaves())
    points = {compute.number: nest.point(path) for compute, path in leaves}
    reductions = {compute.number: found for compute, path in leaves
                  if (found := _reduction(nest, compute, path)) is not None}
    producers: dict[object, _Producer] = {
        producer.value: producer for compute, path in leaves for producer in _producers(nest, compute, path)}
    shared: dict[object, Path] = {}
    for compute, path in leaves:
        statement = compute.statement
        reduction = reductions.get(compute.number)
        if reduction is not None and reduction.stored and isinstance(statement, Statement):
            _share(shared, statement.value, path[:path.index(reduction.home)])
        for read in reads_of(statement):
            if read.value in producers and read.value is not getattr(statement, "value", None):
                producer = producers[read.value]
                common = _common(producer.path, path)
                written = _resolved(producer.indices, points[producer.compute.number])
                wanted = _resolved(read.indices, points[compute.number])
                if written != wanted or not _in_registers(nest, producer, written, path, common):
                    _share(shared, read.value, common)
    scratches = {value: _scratch(producers[value], path, points) for value, path in shared.items()
                 if producers[value].home is not Home.MEMORY}
    _take_places(leaves, scratches)  # type: ignore[arg-type]  # keys are nodes
    reread = frozenset(value for value in shared if value not in scratches)
    return Placement(scratches, reductions, reread)  # type: ignore[arg-type]  # keys are nodes


def _take_places(leaves: Sequence[tuple[Compute, Path]], scratches: Mapping[Node, Scratch]) -> None:
    """Gives pointwise values the place of a value that they are the last to read, at the very element they replace."""
    readers: defaultdict[Node, list[tuple[Compute, tuple[Index, ...], Path]]] = defaultdict(list)
    for compute, path in leaves:
        for read in reads_of(compute.statement):
            if read.value in scratches:
                readers[read.value].append((compute, read.indices, path))
    taken: set[Node] = set()
    for compute, path in leaves:
        statement = compute.statement
        if not isinstance(statement, Statement) or statement.reduced or statement.value not in scratches:
            continue
        scratch = scratches[statement.value]
        for value in dict.fromkeys(read.value for read in reads_of(statement) if read.value in scratches):
            before = scratches[value]
            in_step = all(indices == statement.indices or _common(other, path) == before.path
                          for _, indices, other in readers[value])
            reads_last, indices, _ = readers[value][-1]
            if (value not in taken and reads_last is compute and indices == statement.indices and in_step
                    and scratch.has_form_of(before)):
                scratch.predecessor = before
                taken.add(value)
                break


class _Producer(NamedTuple):
    """What computes a value, at which of its elements, under which loops, and where the value lives."""

    value: Node
    compute: Compute
    path: Path
    indices: tuple[Index, ...]
    home: Home


def _producers(nest: Nest, compute: Compute, path: Path) -> list[_Producer]:
    statement = compute.statement
    if isinstance(statement, SortStatement):
        return []
    if isinstance(statement, ScanStatement):
        return [_Producer(value, compute, path, indices, Home.MEMORY if value in nest.kernel.outputs else Home.SCRATCH)
                for value, _, indices in statement.outputs]
    return [] if statement.scatter else [_Producer(statement.value, compute, path, statement.indices, statement.home)]


def _reduction(nest: Nest, compute: Compute, path: Path) -> Reduction | None:
    statement = compute.statement
    if isinstance(statement, SortStatement) or (isinstance(statement, Statement) and not statement.reduced):
        return None
    along = [nest.reduces(compute, loop.axis) for loop in path]
    if True not in along:
        return None
    home = along.index(True)
    breaks = [number for number, loop in enumerate(path)
              if number > home and not along[number] and not loop.kind.instanced]
    if not breaks:
        return Reduction(compute, path, path[home], path[home], False)
    if isinstance(statement, ScanStatement):
        raise ScheduleError("a scan carries its values in registers: only unrolled or vector loops may be inside it")
    if statement.monoid is not None and statement.monoid.startswith("arg"):
        raise ScheduleError(f"{statement.monoid} keeps its state in registers: a serial loop may not be inside it")
    inner = next((loop for number, loop in enumerate(path) if number > breaks[-1] and along[number]), None)
    return Reduction(compute, path, path[home], inner, True)


def _resolved(indices: tuple[Index, ...], point: Mapping[Atom, Index]) -> tuple[Index, ...]:
    return tuple([index.substitute(point) for index in indices])


def _common(first: Path, second: Path) -> Path:
    length = 0
    while length < min(len(first), len(second)) and first[length] is second[length]:
        length += 1
    return first[:length]


def _share(shared: dict[object, Path], value: object, path: Path) -> None:
    known = shared.get(value)
    shared[value] = path if known is None else _common(known, path)


def _in_registers(nest: Nest, producer: _Producer, written: tuple[Index, ...], reader: Path, common: Path) -> bool:
    """True where all iterations on which the value depends exist at once in both places."""
    inside = {loop.axis for loop in common}
    axes = {axis for index in written for axis in index.axes} - inside
    source = producer.path
    reduction_loops = [loop for loop in source[len(common):] if nest.reduces(producer.compute, loop.axis)]
    kinds = {loop.axis: loop.kind for loop in source[len(common):] if loop not in reduction_loops}
    reader_kinds = {loop.axis: loop.kind for loop in reader[len(common):]}
    return all(kinds.get(axis, Kind.SERIAL).instanced and kinds.get(axis) is reader_kinds.get(axis) for axis in axes)


def _scratch(producer: _Producer, path: Path, points: Mapping[int, Mapping[Atom, Index]]) -> Scratch:
    outer = {loop.axis for loop in path}
    vector = next((loop.axis for loop in producer.path if loop.kind is Kind.VECTOR), None)
    bases, extents, order = [], [], []
    for dimension, index in enumerate(_resolved(producer.indices, points[producer.compute.number])):
        fixed = Index(tuple([(a, f) for a, f in index.terms if Index(((a, 1),)).axes <= outer]))
        inner = index - fixed
        low, high = inner.bounds
        bases.append(fixed + low)
        extents.append(high - low + 1)
        order.append((vector is not None and vector in inner.axes, dimension))
    return Scratch(producer.value, producer.value.dtype, path, tuple(bases), tuple(extents),
                   tuple([dimension for _, dimension in sorted(order)]))
