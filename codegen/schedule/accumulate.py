"""Accumulators: a reduction over the outer loops of another group runs inside that group, complete only after it.

The gradient of a layer norm's weight sums over the rows that the kernel of the layer norm's backward pass walks; a loss
sums over the rows of the softmax. Such a reduction moves alone, into a group that computes or reads its operands at
the points of all its outer loops.
"""

from __future__ import annotations

from collections.abc import Iterator

from codegen.index import Axis, Index
from codegen.schedule.alignment import equal_length
from codegen.schedule.computation import Access, Computation
from codegen.schedule.cost import bytes_of
from codegen.schedule.group import Group, Partition
from codegen.schedule.merge import Merger
from codegen.schedule.streaming import is_wide

_MONOIDS = frozenset({"sum", "prod", "max", "min"})
_MOST_READERS = 16  # groups that read one value and are tried as hosts


def attach_accumulators(merger: Merger) -> int:
    """Moves every reduction to the best host there is; the number of those that moved."""
    partition = merger.partition
    moved = 0
    for member in list(partition.computations):
        if member.monoid in _MONOIDS and member.row is None and member in partition.group_of:
            hosts = sorted(((_bytes_saved(partition, member, host), host) for host in _candidates(partition, member)),
                           key=lambda pair: (-pair[0], pair[1].rank))
            moved += any(gain > 0 and _attach(merger, member, host) for gain, host in hosts)
    return moved


def _candidates(partition: Partition, member: Computation) -> list[Group]:
    """The groups that compute or read what the reduction reads; of a contraction, only those that hold its rows."""
    home = partition.group_of[member]
    found: dict[Group, None] = {}
    for access in member.accesses:
        producer = partition.producers.get(access.value)
        if member.contraction is not None:
            if producer is not None and is_wide(producer) and partition.group_of[producer].streams:
                found.setdefault(partition.group_of[producer])
            continue
        if producer is not None:
            found.setdefault(partition.group_of[producer])
        for reader in partition.readers[access.value][:_MOST_READERS]:
            found.setdefault(partition.group_of[reader])
    found.pop(home, None)
    return [group for group in found if group.streams is (member.contraction is not None)
            and (group.streams or not group.has_contraction) and not group.stands_alone]


def _bytes_saved(partition: Partition, member: Computation, host: Group) -> int:
    """What the host spares the reduction to load (and the producers to store), less what its home loads anyway."""
    home = partition.group_of[member]
    read_at_home = {access.value for other in home.members if other is not member for access in other.accesses}
    available = partition.values_read(host)
    saved = 0
    for value in {access.value: None for access in member.accesses}:
        producer = partition.producers.get(value)
        computed_here = producer is not None and producer in host.members
        computed_at_home = producer is not None and producer in home.members
        if computed_at_home:
            others = [reader for reader in partition.readers[value] if reader is not member]
            stored = producer is not None and (producer.required or any(r not in home.members for r in others))
            saved -= bytes_of(value) if stored else 2 * bytes_of(value)
        elif (computed_here or value in available) and value not in read_at_home:
            saved += bytes_of(value)
            if computed_here and producer is not None and not producer.required and all(
                    partition.group_of[reader] is host or reader is member for reader in partition.readers[value]):
                saved += bytes_of(value)
        elif not computed_here and value not in available and value in read_at_home:
            saved -= bytes_of(value)
    if any(partition.group_of[reader] is home for reader in partition.readers.get(member.node, ())):
        saved -= 2 * member.nbytes
    return saved


def _attach(merger: Merger, member: Computation, host: Group) -> bool:
    """Moves the reduction into ``host`` if it can run along all of the host's loops without waiting for itself."""
    partition = merger.partition
    home = partition.group_of[member]
    loops = _loops_in_host(merger, member, host)
    if loops is None or not _fits(partition, member, host, loops):
        return False
    if any(reader in host.members for reader in partition.readers.get(member.node, ())):
        return False
    reads_home = any(partition.producers.get(access.value) in home.members for access in member.accesses)
    read_at_home = any(reader in home.members for reader in partition.readers.get(member.node, ()))
    if reads_home and read_at_home:
        return False
    if any(writer.owner is member.owner and (writer.overwrites or member.overwrites) for writer in host.writers):
        return False  # parts of one value are apart; versions of one buffer are not
    overwritten = {writer.overwrites for writer in host.writers}
    if any(access.value in overwritten for access in member.accesses):
        return False
    if len(home.members) == 1:
        alone = home
    else:
        known, accumulated = home.axis_loops[member], home.accumulators.get(member)
        alone = partition.split(member)
    if partition.has_path(host, alone):
        if alone is not home:
            partition.join(home, alone)
            home.axis_loops[member] = known
            if accumulated is not None:
                home.accumulators[member] = accumulated
        return False
    host.axis_loops[member] = loops
    reduced = frozenset(loop for axis, loop in loops.items() if axis in member.reduced)
    if reduced:
        host.accumulators[member] = reduced
    partition.join(host, alone)
    return True


def _loops_in_host(merger: Merger, member: Computation, host: Group) -> dict[Axis, int] | None:
    """Which of the host's loops the axes of the reduction run along: all of the loops, or None."""
    loops: dict[Axis, int] = {}
    found = False
    for access in member.accesses:
        producer = merger.partition.producers.get(access.value)
        if producer is not None and producer in host.members:
            places = merger.digits.of(producer, access.indices)
            if producer in host.accumulators or places is None or producer.node.op.name == "contiguous":
                return None
            found = True
            for axis, index in places.items():
                loop = host.axis_loops[producer].get(axis)
                if loop is not None and (index.bare is None or not equal_length(index.bare, host.loops[loop])
                                         or loops.setdefault(index.bare, loop) != loop):
                    return None
        else:
            for axis, loop in _walked_in_step(access, host):
                found = True
                loops.setdefault(axis, loop)
    complete = found and set(loops.values()) == set(host.loops) and len(loops) == len(host.loops)
    return loops if complete and loops.keys() <= set(member.axes) else None


def _walked_in_step(access: Access, host: Group) -> Iterator[tuple[Axis, int]]:
    """Axes that walk an outside value as a loop of the host does."""
    for other in host.members:
        for same in other.accesses:
            if same.value is access.value:
                for mine, theirs in zip(access.indices, same.indices, strict=True):
                    yield from _same_terms(mine, theirs, host.axis_loops[other])


def _same_terms(mine: Index, theirs: Index, loops: dict[Axis, int]) -> Iterator[tuple[Axis, int]]:
    """Axes of ``mine`` that stand where ``theirs`` has a loop of the host, in indices of the same form."""
    if mine.constant != theirs.constant or len(mine.terms) != len(theirs.terms):
        return
    ordered = [sorted(index.terms, key=lambda term: -term[1]) for index in (mine, theirs)]
    for (axis, factor), (other, other_factor) in zip(*ordered, strict=True):
        if factor == other_factor and isinstance(axis, Axis) and isinstance(other, Axis) and other in loops \
                and equal_length(axis, other):
            yield axis, loops[other]


def _fits(partition: Partition, member: Computation, host: Group, loops: dict[Axis, int]) -> bool:
    """Whether the accumulator fits scratch, and the host walks what the reduction reads the way it lies in memory."""
    parallel = 1
    for axis, loop in loops.items():
        if axis not in member.reduced:
            parallel *= host.loops[loop].extent
    if member.nbytes // parallel > partition.limits.scratch:
        return False
    return member.volume <= partition.limits.tiny or not any(
        _walks_columns(access, member, loops) for access in member.accesses)


def _walks_columns(access: Access, member: Computation, loops: dict[Axis, int]) -> bool:
    """Whether the reduction's own loops, inside those of the host, read the value across its rows: a cache line each.

    So a second matrix-vector product would run beside the first, one column of its matrix a step.
    """
    own = set(member.axes) - loops.keys()
    rows = {axis for index in access.indices[:-1] for axis in index.axes}
    columns = {axis for index in access.indices[-1:] for axis in index.axes}
    return bool(own & rows) and not own & columns
