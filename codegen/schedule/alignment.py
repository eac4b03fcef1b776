"""Which outer loops two groups could share: those along which every crossing read walks in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from codegen.index import Axis, Index
from codegen.schedule.computation import Access, Computation
from codegen.schedule.group import Group, Partition
from ir.node import Node

Pairs = dict[int, int]


class Refusal(NamedTuple):
    """Why two groups are not one kernel."""

    reason: str


class Digits:
    """Where reads fall in the loops of what they read, computed once per (producer, indices)."""

    def __init__(self) -> None:
        self._known: dict[tuple[Computation, tuple[Index, ...]], Mapping[Axis, Index] | None] = {}

    def of(self, producer: Computation, indices: tuple[Index, ...]) -> Mapping[Axis, Index] | None:
        key = producer, indices
        if key not in self._known:
            self._known[key] = producer.digits(indices)
        return self._known[key]


def crossing_reads(partition: Partition, first: Group,
                   second: Group) -> Iterator[tuple[Computation, Computation, Access]]:
    """(producer, reader, access) for every read in ``second`` of a value of ``first``."""
    if len(first.members) < len(second.members):
        for producer in first.members:
            for value in producer.values:
                for reader in partition.readers.get(value, ()):
                    if reader in second.members:
                        yield from ((producer, reader, access) for access in reader.accesses if access.value is value)
    else:
        for reader in second.members:
            for access in reader.accesses:
                known = partition.producers.get(access.value)
                if known is not None and known in first.members:
                    yield known, reader, access


def align(partition: Partition, digits: Digits, first: Group, second: Group) -> Pairs | Refusal:
    """Loops of ``first`` with the loops of ``second`` that run in step in every read of ``first`` by ``second``."""
    pairs: Pairs = {}
    out_of_step: set[int] = set()
    for producer, reader, access in crossing_reads(partition, first, second):
        if producer in first.accumulators:
            extents = [first.loops[loop].extent for loop in sorted(first.accumulators[producer])]
            return Refusal(f"complete only after the loop over {extents}")
        if producer.node.op.name == "contiguous":
            return Refusal("contiguous() asks for a value in memory")
        places = digits.of(producer, access.indices)
        if places is None:
            return Refusal("the value is written in parts")
        loops, reader_loops = first.axis_loops[producer], second.axis_loops[reader]
        for axis, index in places.items():
            loop = loops.get(axis)
            if loop is None:
                continue
            bare = index.bare
            other = None if bare is None else reader_loops.get(bare)
            if (other is None or not equal_length(first.loops[loop], second.loops[other])
                    or pairs.setdefault(loop, other) != other):
                out_of_step.add(loop)
    for loop in out_of_step:
        pairs.pop(loop, None)
    return pairs if len(set(pairs.values())) == len(pairs) else Refusal("the loops of the two do not line up")


def align_siblings(partition: Partition, first: Group, second: Group, shared: list[Node]) -> Pairs | Refusal:
    """Loops that walk the values which both groups read from outside in step: all loops of both, or none."""
    pairs: Pairs = {}
    for value in shared:
        for one, other in zip(_accesses(first, value), _accesses(second, value), strict=False):
            for left, right in zip(one[1].indices, other[1].indices, strict=True):
                a = None if left.bare is None else first.axis_loops[one[0]].get(left.bare)
                b = None if right.bare is None else second.axis_loops[other[0]].get(right.bare)
                if a is None and b is None:
                    continue
                if (a is None or b is None or not equal_length(first.loops[a], second.loops[b])
                        or pairs.setdefault(a, b) != b):
                    return Refusal("the loops of the two do not line up")
    if pairs.keys() == first.loops.keys() and sorted(pairs.values()) == sorted(second.loops):
        return pairs
    return Refusal("the loops of the two do not line up")


def equal_length(one: Axis, other: Axis) -> bool:
    """Whether two loops have the same iterations: a padded value has more than what it was padded from."""
    return one.extent == other.extent and one.limit == other.limit


def _accesses(group: Group, value: Node) -> list[tuple[Computation, Access]]:
    return [(member, access) for member in group.members for access in member.accesses if access.value is value]
