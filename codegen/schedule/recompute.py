"""Recomputation: a home belongs to a value in a kernel, not to a value.

After merging, a pointwise value that other kernels read may be cheaper to compute again there, from values that are in
memory anyway, than to store and load. GELU's backward pass reads its input once instead of five stored intermediates.
Consumers are looked at first, so that a chain of such values shrinks down to what must be stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codegen.expression import Rewriter
from codegen.index import Axis, Index
from codegen.kernel import Expression, Read
from codegen.schedule.computation import READERS_OF_MEMORY, Access, Computation, Kind
from codegen.schedule.cost import bytes_of, expression_cost
from codegen.schedule.group import Group
from codegen.schedule.inline import effective_accesses
from codegen.schedule.merge import Merger
from ir.node import Node

_OPERATIONS_PER_BYTE = 3  # that take as long as moving a byte


def recompute_values(merger: Merger) -> int:
    """Computes values again in the kernels that read them, where that saves time; the number of such values."""
    partition = merger.partition
    writers = {member.overwrites: member for member in partition.computations if member.overwrites is not None}
    readers_with: dict[Computation, _Recomputed] = {}
    count = 0
    for value in reversed(list(partition.computations)):
        if value.required or value not in partition.group_of:
            continue
        readers = _outside_readers(merger, value)
        if readers and value.kind is Kind.POINTWISE and _pays(merger, value, readers):
            lost = [writers[access.value] for access in value.accesses if access.value in writers]
            if all(_runs_before(merger, reader, writer) for reader in readers for writer in lost):
                for reader in readers:
                    recomputed = readers_with.setdefault(reader, _Recomputed(reader))
                    recomputed.add(value)
                    _read_anew(merger, value, reader, lost)
                count += 1
        if not partition.readers.get(value.node):
            partition.remove(value)
    for recomputed in readers_with.values():
        recomputed.splice()
    partition.settle()
    return count


def _runs_before(merger: Merger, reader: Computation, writer: Computation) -> bool:
    """Whether the reader may read what the writer overwrites: it is in another kernel, which runs earlier anyway."""
    return merger.partition.group_of[reader].rank < merger.partition.group_of[writer].rank


def _outside_readers(merger: Merger, value: Computation) -> list[Computation]:
    partition = merger.partition
    home = partition.group_of[value]
    return [reader for reader in partition.readers.get(value.node, ()) if partition.group_of[reader] is not home]


def _pays(merger: Merger, value: Computation, readers: list[Computation]) -> bool:
    """Whether computing the value in all its outside readers moves fewer bytes, for a bearable number of operations."""
    partition = merger.partition
    if any(reader.contraction is not None or reader.kind in (*READERS_OF_MEMORY, Kind.SCATTER) for reader in readers):
        return False
    groups = list(dict.fromkeys(partition.group_of[reader] for reader in readers))
    if any(group.operations + value.operations > partition.limits.kernel for group in groups):
        return False
    saved = value.nbytes + sum(min(value.nbytes, reader.volume * value.node.dtype.itemsize) for reader in readers)
    cost = 0
    for leaf in {access.value: None for access in value.accesses}:
        producer = partition.producers.get(leaf)
        if producer is not None and not partition.is_stored(producer):
            cost += bytes_of(leaf)
        for group in groups:
            inside = [reader for reader in readers if partition.group_of[reader] is group]
            if producer is not None and producer in group.members:
                if not all(_is_in_step(merger, group, value, reader, producer) for reader in inside):
                    return False
            elif leaf not in partition.values_read(group):
                cost += min(bytes_of(leaf), leaf.dtype.itemsize * max(reader.volume for reader in inside))
    operations = expression_cost(value.expression) * sum(min(reader.volume, value.size) for reader in readers)
    return cost < saved and operations <= _OPERATIONS_PER_BYTE * saved


def _is_in_step(merger: Merger, group: Group, value: Computation, reader: Computation, producer: Computation) -> bool:
    """Whether ``reader``, computing ``value``, reads what ``producer`` of the same group computed in its iteration."""
    if producer in group.accumulators:
        return False
    for access in reader.accesses:
        if access.value is not value.node:
            continue
        moved = Rewriter(value.digits(access.indices) or {})
        for inner in value.accesses:
            if inner.value not in producer.values:
                continue
            places = merger.digits.of(producer, tuple([moved.index(index) for index in inner.indices]))
            loops, reader_loops = group.axis_loops[producer], group.axis_loops[reader]
            if places is None or any(_loop(reader_loops, index) != loops[axis]
                                     for axis, index in places.items() if axis in loops):
                return False
    return True


def _loop(loops: Mapping[Axis, int], index: Index) -> int | None:
    """The shared loop that an index is, if it is one."""
    return None if index.bare is None else loops.get(index.bare)


class _Recomputed:
    """What one reader computes again. Its accesses are kept up to date; its expression is put together at the end, so
    that a chain of values is not rewritten once for each of them."""

    def __init__(self, reader: Computation) -> None:
        self.reader = reader
        self._places: dict[Node, dict[tuple[Index, ...], Access]] = {}  # where the reader reads each value
        self._steps: list[tuple[Computation, Expression, list[tuple[Index, ...]]]] = []  # consumers first
        self._known: dict[tuple[Node, tuple[Index, ...]], Expression] = {}
        self._values: dict[Node, tuple[Computation, Expression]] = {}
        for access in reader.accesses:
            self._note(access)

    def _note(self, access: Access) -> None:
        self._places.setdefault(access.value, {}).setdefault(access.indices, access)

    def add(self, value: Computation) -> None:
        """From now on the reader computes ``value``, with what that reads."""
        places = list(self._places.pop(value.node))
        self._steps.append((value, value.expression, places))
        self._values[value.node] = value, value.expression
        for indices in places:
            moved = Rewriter(value.digits(indices) or {})
            for access in value.accesses:
                self._note(access._replace(indices=tuple([moved.index(index) for index in access.indices])))
        self.reader.accesses = [access for found in self._places.values() for access in found.values()]
        self.reader.operations += value.operations

    def splice(self) -> None:
        """Puts the expressions of the values, those of producers first, in the place of what reads them."""
        for value, expression, places in reversed(self._steps):
            for indices in places:
                self._known[value.node, indices] = self._expression(value, expression, indices)
        self.reader.expression = Rewriter({}, self._replaced)(self.reader.expression)
        self.reader.accesses = effective_accesses(self.reader)

    def _expression(self, value: Computation, expression: Expression, indices: tuple[Index, ...]) -> Expression:
        return Rewriter(value.digits(indices) or {}, self._replaced)(expression)

    def _replaced(self, read: Read) -> Expression:
        if read.value not in self._values:
            return read
        key = read.value, read.indices
        if key not in self._known:  # an index that loads a value which is computed again is another index now
            self._known[key] = self._expression(*self._values[read.value], read.indices)
        return self._known[key]


def _read_anew(merger: Merger, value: Computation, reader: Computation, writers: Sequence[Computation]) -> None:
    """``reader`` reads what ``value`` reads in its place; ``writers``, which overwrite some of that, wait for it."""
    partition = merger.partition
    group = partition.group_of[reader]
    group.operations += value.operations
    partition.readers[value.node].remove(reader)
    for leaf in {access.value: None for access in value.accesses}:
        if reader not in partition.readers[leaf]:
            partition.readers[leaf].append(reader)
    for writer in writers:
        writer.after.append(reader)
        partition.successors[reader].append(writer)
    partition.touch(group)
