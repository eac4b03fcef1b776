"""Reductions over the loops that are to run in parallel: partial results of fixed chunks, combined in a fixed order.

The chunks depend on shapes alone, so the result is the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from codegen.expression import Rewriter
from codegen.index import Atom, Axis, Index
from codegen.kernel import AnyStatement, Contraction, Home, Kernel, Read, Statement
from codegen.monoids import accumulator_dtype
from codegen.nest import reads_of
from codegen.placement import memory_extents, memory_index
from codegen.target import Target
from ir.dtype import DType

_CHUNK_ROWS = 32  # of a contraction, at least

@dataclass(frozen=True)
class Chunking:
    """When a reduction is cut into chunks, and into how many.

    most: chunks of one reduction. enough: independent tasks from which on nothing is cut. work: elements that are worth
    a chunk. columns and products: the results of a column reduction and of a contraction that make one task. depth:
    the length of a chunk of a contraction, at least.
    """

    most: int = 32
    enough: int = 16
    work: int = 1 << 14
    columns: int = 1024
    products: int = 1
    depth: int = 1

    @staticmethod
    def of(target: Target) -> Chunking:
        """For a GPU: enough blocks for its many processors."""
        return Chunking(128, 128, 1 << 14, 32, 64 * 64, 256) if target.kind == "cuda" else Chunking()


@dataclass(frozen=True, eq=False)
class Temporary:
    """Memory that one kernel's launches hand to each other. In expressions it stands where a value does."""

    dtype: DType
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def without_accumulators(kernel: Kernel, target: Target) -> list[Kernel]:
    """The same computation by kernels in which no parallel loop is reduced over.

    Reductions over the kernel's outer loops (``Home.ACCUMULATOR``) are computed for each chunk of the outermost reduced
    loop; a kernel that follows combines the chunks. Where the other outer loops are parallel enough, one chunk does.
    """
    chunking = Chunking.of(target)
    accumulators = [s for s in kernel.statements if isinstance(s, Statement) and s.home is Home.ACCUMULATOR]
    if accumulators:
        reduced = [axis for axis in kernel.axes if any(axis in s.reduced for s in accumulators)]
        free = [axis for axis in kernel.axes if axis not in reduced]
        ordered = replace(kernel, axes=(*free, *reduced))
        inner = prod(axis.extent for s in accumulators for axis in s.axes if axis not in kernel.axes)
        parallel = prod(axis.extent for axis in free)
        if any(s.contraction is not None for s in accumulators):
            return _chunked(ordered, accumulators, reduced[0], _equal_chunks(chunking, reduced[0], parallel))
        chunks = _chunk_count(chunking, reduced[0], parallel, prod(axis.extent for axis in reduced) * max(1, inner))
        return _chunked(ordered, accumulators, reduced[0], chunks)
    wide = _wide_reduction(kernel, chunking)
    if wide is None:
        return [kernel]
    return _chunked(kernel, *wide)


def _chunk_count(chunking: Chunking, axis: Axis, parallel: int, work: int) -> int:
    if parallel >= chunking.enough or axis.limit is not None:
        return 1
    return max(1, min(chunking.most, axis.extent, work * parallel // chunking.work))


def _equal_chunks(chunking: Chunking, axis: Axis, parallel: int) -> int:
    """For contractions that add up over rows: no more chunks than make tasks enough, all of the same length."""
    wanted = min(-(-chunking.enough // parallel), axis.extent // _CHUNK_ROWS)
    return next((chunks for chunks in range(wanted, 1, -1) if axis.extent % chunks == 0), 1)


def _wide_reduction(kernel: Kernel, chunking: Chunking) -> tuple[list[Statement], Axis, int] | None:
    """Reductions with too few results to share out, over an axis that all of them reduce: (them, the axis, chunks)."""
    statements = [s for s in kernel.statements if isinstance(s, Statement) and s.reduced and not s.scatter]
    if len(statements) != len(kernel.statements) or not statements:
        return None
    values = {s.value for s in statements}
    if any(read.value in values for s in statements for read in reads_of(s)) or any(
            s.monoid in ("argmax", "argmin") for s in statements):
        return None
    common = frozenset.intersection(*(s.reduced for s in statements))
    results = max(_independent(s, chunking) for s in statements)
    work = max(prod(axis.extent for axis in s.axes) for s in statements)
    order = [axis for axis in statements[0].axes if axis in common and axis.limit is None]
    if not order or work < 4 * chunking.work or results >= chunking.enough:
        return None
    axis = max(order[:1] if order[0].extent >= chunking.enough else order, key=lambda a: a.extent)
    chunks = min(chunking.most, axis.extent, work // chunking.work)
    if chunking.depth > 1 and any(s.contraction is not None for s in statements):
        chunks = min(chunks, axis.extent // chunking.depth)
    return (statements, axis, chunks) if chunks > 1 else None


def _independent(statement: Statement, chunking: Chunking) -> int:
    """How many tasks the results of a reduction make: one a row, or one a tile of columns."""
    results = prod(axis.extent for axis in statement.axes if axis not in statement.reduced)
    if statement.contraction is not None and chunking.products > 1:
        return results // chunking.products
    contiguous = any(memory_index(read.value, read.indices).coefficient(axis) == 1
                     for read in reads_of(statement) for axis in statement.reduced)
    return results if contiguous else results // chunking.columns


def _cut(axis: Axis, chunks: int) -> _AxisChange:
    """``axis`` in at most ``chunks`` chunks of equal length, of which the last may end early."""
    length = -(-axis.extent // chunks)
    chunk, inside = Axis(-(-axis.extent // length)), Axis(length)
    if chunk.extent * length != axis.extent:
        inside.limit = Index((), axis.extent) - Index.of(chunk) * length
    return _AxisChange(axis, chunk, inside, Index.of(chunk) * length + Index.of(inside))


def _chunked(kernel: Kernel, reductions: list[Statement], axis: Axis, chunks: int) -> list[Kernel]:
    """``kernel`` with ``axis`` cut into chunks: tasks, for each of which ``reductions`` leave partial results."""
    if chunks == 1:
        settled = [_settled(s) if any(s is r for r in reductions) else s for s in kernel.statements]
        return [replace(kernel, statements=settled)]
    change = _cut(axis, chunks)
    chunk, inside, chunks = change.chunk, change.inside, change.chunk.extent
    outer = (chunk, *[inside if part is axis else part for part in kernel.axes])
    partials = {s.value: Temporary(accumulator_dtype(s.monoid or "sum", s.value.dtype),
                                   (chunks, *memory_extents(s.value))) for s in reductions}
    first: list[AnyStatement] = []
    for s in kernel.statements:
        changed = change.statement(s)
        first.append(_partial(changed, partials[changed.value], chunk) if any(s is r for r in reductions) else changed)
    stored: Any = [partials.get(value, value) for value in kernel.outputs]
    main = replace(kernel, axes=outer, statements=first, outputs=tuple(stored),
                   in_place={new: old for new, old in kernel.in_place.items() if new not in partials})
    return [main, *[_finishing(kernel, s, partials[s.value], chunks) for s in reductions]]


def cut_sum(kernel: Kernel, statement: Statement, axis: Axis, chunks: int, last: Axis) -> tuple[Kernel, Kernel]:
    """Two kernels: sums of ``statement`` over chunks of ``axis``, and one that adds them and does the rest.

    The partial sums lie with the axis ``last`` contiguous.
    """
    change = _cut(axis, chunks)
    chunk, chunks = change.chunk, change.chunk.extent
    free = [part for part in statement.axes if part not in statement.reduced]
    stored = sorted(free, key=lambda part: part is last)
    value: Any = Temporary(accumulator_dtype("sum", statement.value.dtype), (chunks, *(a.extent for a in stored)))
    indices = tuple([Index.of(part) for part in stored])
    partial = replace(_partial(change.statement(statement), value, chunk), indices=(Index.of(chunk), *indices))
    read = tuple(dict.fromkeys(r.value for r in reads_of(statement)))
    main = Kernel(kernel.name, kernel.strategy, (chunk, *free), [partial], read, (value,))
    count = Axis(chunks)
    total = replace(statement, axes=(*free, count), expression=Read(value, (Index.of(count), *indices)),
                    reduced=frozenset({count}), contraction=None)
    rest: list[AnyStatement] = [total if s is statement else s for s in kernel.statements]
    needed = dict.fromkeys(r.value for s in rest for r in reads_of(s))
    produced = {s.value for s in rest if isinstance(s, Statement)}
    inputs = tuple(v for v in needed if v not in produced)
    return main, replace(kernel, strategy="column reduction", statements=rest, inputs=inputs)


def _settled(statement: AnyStatement) -> AnyStatement:
    """A reduction over outer loops, carried out in its own buffer."""
    return replace(statement, home=Home.MEMORY) if isinstance(statement, Statement) else statement


@dataclass(frozen=True)
class _AxisChange:
    """Statements in which ``axis`` has become ``chunk`` and ``inside``."""

    axis: Axis
    chunk: Axis
    inside: Axis
    meaning: Index

    def statement(self, statement: AnyStatement) -> Statement:
        assert isinstance(statement, Statement)
        if self.axis not in statement.axes:
            return statement
        rewriter = Rewriter({self.axis: self.meaning})
        contraction = statement.contraction
        if contraction is not None:
            contraction = Contraction(rewriter(contraction.left), rewriter(contraction.right),
                                      *[self._axes(part) for part in (contraction.batch, contraction.m,
                                                                      contraction.n, contraction.k)])
        return replace(
            statement, axes=self._axes(statement.axes), expression=rewriter(statement.expression),
            indices=tuple([rewriter.index(index) for index in statement.indices]),
            reduced=frozenset(self._axes(tuple(statement.reduced))),
            position=None if statement.position is None else rewriter.index(statement.position),
            guards=tuple([guard._replace(index=rewriter.index(guard.index)) for guard in statement.guards]),
            contraction=contraction)

    def _axes(self, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        return tuple(new for axis in axes for new in ((self.chunk, self.inside) if axis is self.axis else (axis,)))


def _partial(statement: Statement, partial: Temporary, chunk: Axis) -> Statement:
    """The statement with one result for each chunk."""
    contraction = statement.contraction
    if contraction is not None:
        contraction = replace(contraction, batch=(chunk, *contraction.batch),
                              k=tuple(axis for axis in contraction.k if axis is not chunk))
    value: Any = partial
    return replace(statement, value=value, indices=(Index.of(chunk), *statement.indices), home=Home.MEMORY,
                   reduced=statement.reduced - {chunk}, contraction=contraction)


def _finishing(kernel: Kernel, statement: Statement, partial: Temporary, chunks: int) -> Kernel:
    """The kernel that combines the chunks of one reduction, in their order."""
    chunk = Axis(chunks)
    old = [axis for axis in statement.axes if axis not in statement.reduced]
    fresh: Mapping[Atom, Index] = {axis: Index.of(Axis(axis.extent, limit=axis.limit)) for axis in old}
    axes = tuple(next(iter(index.axes)) for index in fresh.values() if index.axes)
    indices = tuple([index.substitute(fresh) for index in statement.indices])
    value: Any = partial
    combined = Statement(statement.value, (*axes, chunk), Read(value, (Index.of(chunk), *indices)), indices,
                         frozenset({chunk}), statement.monoid)
    in_place = {new: old for new, old in kernel.in_place.items() if new is statement.value}
    return Kernel(kernel.name, "column reduction", axes, [combined], (value,), (statement.value,), in_place)
