"""Streaming: contractions whose results a kernel holds a tile of rows at a time, and never stores.

    scores[i, j] = sum_d Q[i, d] K[j, d]         wide: a row is longer than what it is made of
    weights[i, j] = exp(scores[i, j] - max_j) / sum_j
    out[i, e] = sum_j weights[i, j] V[j, e]      closes the row: complete with it, and narrow again

All of these may run under the loops over rows, with rows of scores in scratch: that is attention, found by its axes
alone (T. Dao et al., "FlashAttention", NeurIPS 2022). A row leaves in memory what is as long as one of its operands, or
a number.

Where a later kernel reads a wide value again (the backward pass does, with the sum over rows in between), it computes
it again from the operands and from the numbers that were left, its maximum and sum: a wide value is never stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import prod

from codegen.expression import Rewriter, walk
from codegen.index import Axis
from codegen.kernel import Contraction, Read
from codegen.schedule.computation import Access, Computation, Kind, Row, producers_of
from codegen.schedule.contraction import classify
from codegen.schedule.cost import Limits
from codegen.schedule.inline import effective_accesses
from ir.node import Node, located, make_node, tagged

_FEWEST_ROWS = 16  # that share what each of them reads again
_WIDE_VALUES = 4  # rows of which scratch must hold at once: the backward pass has as many

_tags_of_copies = count(-1 << 40, -1)  # unlike those of any other node


def stream_rows(order: Sequence[Computation], limits: Limits) -> list[Computation]:
    """Finds the rows of every computation (``Computation.row``); the computations, with copies of wide values."""
    producers = producers_of(order)
    if not limits.rows or not _find_rows(order, producers, limits):
        return list(order)
    return _Copies(order, producers).all()


# ------------------------------------------------------------------------------------------------------- rows


def _find_rows(order: Sequence[Computation], producers: Mapping[Node, Computation], limits: Limits) -> bool:
    """Gives a row to what is wide and to the contractions that close wide rows; whether anything has one."""
    origins: dict[Computation, frozenset[Computation]] = {}  # the contractions that a wide value comes from
    joined: set[Computation] = set()  # those whose rows are reduced whole
    for computation in order:
        below = [(producers[a.value], a) for a in computation.accesses if producers.get(a.value) in origins]
        if not below and computation.contraction is not None:
            computation.row = _wide_row(computation, computation.contraction, limits)
            if computation.row is not None:
                origins[computation] = frozenset({computation})
            continue
        row = _row_of(computation, below) if below else None
        if row is None:
            continue
        computation.row = row
        if row.along:
            origins[computation] = frozenset().union(*(origins[producer] for producer, _ in below))
        elif computation.contraction is None:
            joined.update(*(origins[producer] for producer, _ in below))
            computation.row = None
    for computation in order:
        if computation.row is not None:
            behind = origins.get(computation) or frozenset().union(
                *(origins.get(producers[a.value], frozenset()) for a in computation.accesses if a.value in producers))
            if not behind <= joined:
                computation.row = None
    _widen_what_rows_read(order, producers)
    return any(computation.row is not None for computation in order)


def _wide_row(computation: Computation, contraction: Contraction, limits: Limits) -> Row | None:
    """The row of a contraction that makes long rows of short ones, from an operand that stays in a cache."""
    itemsize = computation.node.dtype.itemsize
    length, depth, rows = (_points(axes) for axes in (contraction.n, contraction.k, contraction.m))
    if (computation.required or not contraction.batch or rows < _FEWEST_ROWS or length <= depth
            or any(axis.limit is not None for axis in computation.axes)
            or _WIDE_VALUES * limits.rows * length * itemsize > limits.scratch
            or length * depth * itemsize > limits.cache):
        return None
    return Row(frozenset((*contraction.batch, *contraction.m)), frozenset(contraction.n))


def _points(axes: Iterable[Axis]) -> int:
    return prod(axis.extent for axis in axes)


def _row_of(computation: Computation, below: Sequence[tuple[Computation, Access]]) -> Row | None:
    """The row of what reads wide values; None where it does not read them row by row.

    A pointwise value is wide itself; of a reduction along the whole row, ``along`` is empty.
    """
    rows = {_read_row(producer, access) for producer, access in below}
    row = rows.pop()
    if row is None or rows or not row.outer <= set(computation.outer):
        return None
    if computation.kind is Kind.POINTWISE:
        same = set(computation.axes) == row.outer | row.along
        return row if same and not computation.required and computation.owner is None else None
    if computation.kind is Kind.REDUCTION and computation.reduced == row.along:
        if computation.contraction is not None and not _reads_in_one_operand(computation.contraction, below):
            return None
        return Row(row.outer, frozenset())
    return None


def _read_row(producer: Computation, access: Access) -> Row | None:
    """The row of a wide value in the axes of what reads it, where it reads element by element."""
    digits = producer.digits(access.indices)
    assert producer.row is not None
    if digits is None or any(index.bare is None for index in digits.values()):
        return None
    outer, along = (frozenset(digits[axis].bare for axis in axes) for axes in producer.row)
    return Row(outer, along)  # type: ignore[arg-type]  # every index is bare


def _reads_in_one_operand(contraction: Contraction, below: Sequence[tuple[Computation, Access]]) -> bool:
    values = {access.value for _, access in below}
    reading = [operand for operand in (contraction.left, contraction.right)
               if any(isinstance(part, Read) and part.value in values for part in walk(operand))]
    return len(reading) == 1


def _widen_what_rows_read(order: Sequence[Computation], producers: Mapping[Node, Computation]) -> None:
    """Pointwise values of the size of the rows that alone read them, such as a mask of random bits, are wide too."""
    readers: defaultdict[Node, list[Computation]] = defaultdict(list)
    for computation in order:
        for access in computation.accesses:
            readers[access.value].append(computation)
    for value in reversed(order):
        if value.kind is not Kind.POINTWISE or value.row is not None or value.required or value.owner is not None:
            continue
        wide = [reader for reader in readers[value.node] if reader.row is not None and reader.row.along]
        if wide and len(wide) == len(readers[value.node]) and all(r.size == value.size for r in wide):
            reader = wide[0]
            access = next(access for access in reader.accesses if access.value is value.node)
            digits = value.digits(access.indices) or {}
            own = {index.bare: axis for axis, index in digits.items()}
            if None not in own and reader.row is not None and own.keys() == set(reader.axes):
                value.row = Row(*(frozenset(own[axis] for axis in axes) for axes in reader.row))


# ------------------------------------------------------------------------------------------------------- copies


class _Copies:
    """Copies of wide values for the kernels that come after the one that computes them.

    What is read at a later stage (``Computation.stage``) than it is computed at cannot be in the same kernel.
    """

    def __init__(self, order: Sequence[Computation], producers: Mapping[Node, Computation]) -> None:
        self._order, self._producers = order, producers
        self._overwritten = {computation.overwrites for computation in order if computation.overwrites is not None}
        for computation in order:
            computation.stage = max((self._stage_after(before) for before in self._before(computation)), default=0)
        self._copied: dict[tuple[Computation, int], Computation] = {}
        self._result: list[Computation] = []

    def all(self) -> list[Computation]:
        """The computations in order, numbered anew: every copy just before the first that reads it."""
        wanted = self._wanted()
        for computation in self._order:
            stage = computation.stage
            early = {a.value: self._producers[a.value] for a in computation.accesses
                     if self._producers.get(a.value) in wanted and self._producers[a.value].stage < stage}
            if early:
                copies = {value: self._copy(producer, stage) for value, producer in early.items()}
                _read_instead(computation, copies)
            self._result.append(computation)
        for number, computation in enumerate(self._result):
            computation.number = number
        return self._result

    def _before(self, computation: Computation) -> list[Computation]:
        producers = (self._producers.get(access.value) for access in computation.accesses)
        return [*(producer for producer in producers if producer is not None), *computation.after]

    def _stage_after(self, computation: Computation) -> int:
        """The stage of what reads the computation, at least."""
        closes = computation.contraction is not None and any(is_wide(before) for before in self._before(computation))
        return computation.stage + closes

    def _wanted(self) -> set[Computation]:
        """The wide values that are computed again at later stages: all who read them there do so within rows."""
        later: defaultdict[Computation, list[Computation]] = defaultdict(list)
        for computation in self._order:
            for before in self._before(computation):
                if is_wide(before) and before.stage < computation.stage:
                    later[before].append(computation)
        return {value for value, readers in later.items()
                if not self._reads_what_is_lost(value) and all(is_wide(r) or r.kind is Kind.REDUCTION for r in readers)}

    def _reads_what_is_lost(self, value: Computation) -> bool:
        """Whether the value is made of buffers that are overwritten: a copy might come too late."""
        pending, seen = [value], {value}
        while pending:
            computation = pending.pop()
            if any(access.value in self._overwritten for access in computation.accesses):
                return True
            fresh = [before for before in self._before(computation) if is_wide(before) and before not in seen]
            seen.update(fresh)
            pending.extend(fresh)
        return False

    def _copy(self, value: Computation, stage: int) -> Computation:
        """The copy of a wide value for one stage, made (with the wide values that it reads) when first asked for."""
        known = self._copied.get((value, stage))
        if known is not None:
            return known
        pending = [value]
        while pending:
            original = pending[-1]
            wide = [before for before in self._before(original)
                    if is_wide(before) and (before, stage) not in self._copied]
            if wide:
                pending.extend(wide)
                continue
            pending.pop()
            if (original, stage) not in self._copied:
                self._copied[original, stage] = copy = self._copy_of(original, stage)
                self._result.append(copy)
        return self._copied[value, stage]

    def _copy_of(self, original: Computation, stage: int) -> Computation:
        node = original.node
        with tagged(next(_tags_of_copies)), located(node.location):
            fresh = make_node(node.op, node.operands, node.attributes)
        copy = replace(original, node=fresh, values=(), accesses=list(original.accesses), readers=[],
                       after=list(original.after), stage=stage)
        _read_instead(copy, {before.node: self._copied[before, stage]
                             for before in self._before(original) if is_wide(before)})
        return copy


def is_wide(computation: Computation) -> bool:
    """Whether the computation makes rows that are never stored."""
    return computation.row is not None and bool(computation.row.along)


def _read_instead(computation: Computation, copies: Mapping[Node, Computation]) -> None:
    """Makes the computation read the copies in the place of the values that they are copies of."""
    def replaced(read: Read) -> Read:
        copy = copies.get(read.value)
        return read if copy is None else Read(copy.node, read.indices)

    computation.expression = Rewriter({}, replaced)(computation.expression)
    computation.accesses = effective_accesses(computation)
    if computation.contraction is not None:
        computation.contraction = classify(computation)


__all__ = ["is_wide", "stream_rows"]
