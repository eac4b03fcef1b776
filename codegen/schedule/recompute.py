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
from codegen.schedule.computation import Computation, Kind
from codegen.schedule.cost import bytes_of, expression_cost
from codegen.schedule.group import Group
from codegen.schedule.inline import effective_accesses, expression_at
from codegen.schedule.merge import Merger

_OPERATIONS_PER_BYTE = 3  # that take as long as moving a byte


def recompute_values(merger: Merger) -> int:
    """Computes values again in the kernels that read them, where that saves time; the number of such values."""
    partition = merger.partition
    writers = {member.overwrites: member for member in partition.computations if member.overwrites is not None}
    count = 0
    for value in reversed(list(partition.computations)):
        if value.required or value not in partition.group_of:
            continue
        readers = _outside_readers(merger, value)
        if readers and value.kind is Kind.POINTWISE and _pays(merger, value, readers):
            lost = [writers[access.value] for access in value.accesses if access.value in writers]
            if all(_runs_before(merger, reader, writer) for reader in readers for writer in lost):
                for reader in readers:
                    _recompute_in(merger, value, reader, lost)
                count += 1
        if not partition.readers.get(value.node):
            partition.remove(value)
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
    if any(reader.contraction is not None or reader.kind in (Kind.SCAN, Kind.SCATTER) for reader in readers):
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


def _recompute_in(merger: Merger, value: Computation, reader: Computation, writers: Sequence[Computation]) -> None:
    """Puts the expression of ``value`` in the place of every read of it by ``reader``, which ``writers`` then await."""
    partition = merger.partition
    known: dict[tuple[Index, ...], Expression] = {}

    def replaced(read: Read) -> Expression:
        if read.value is not value.node:
            return read
        if read.indices not in known:
            known[read.indices] = expression_at(value, read.indices)
        return known[read.indices]

    reader.expression = Rewriter({}, replaced)(reader.expression)
    reader.accesses = effective_accesses(reader)
    reader.operations += value.operations
    group = partition.group_of[reader]
    group.operations += value.operations
    partition.readers[value.node].remove(reader)
    for leaf in {access.value: None for access in value.accesses}:
        if reader not in partition.readers[leaf]:
            partition.readers[leaf].append(reader)
    for writer in writers:
        writer.after.append(reader)
        partition.successors[reader].append(writer)
    partition.refresh(group)
