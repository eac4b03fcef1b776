"""Merging groups: pairs in the order of the bytes they save, each under the clauses of ``legality``.

Two groups meet where one reads what the other computes, or (afterwards) where both read a value from outside in step.
The bytes saved are exact: T(A) + T(B) - T(A and B), where T counts distinct values read and values stored once each.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from itertools import count

from codegen.schedule.alignment import Digits, Pairs, Refusal, align, align_siblings
from codegen.schedule.computation import Computation
from codegen.schedule.cost import bytes_of
from codegen.schedule.group import Group, Partition
from codegen.schedule.legality import Legality
from ir.node import Node

_MOST_SIBLINGS = 16  # readers of one value that are tried against each other


class Merger:
    """Merges the groups of a partition."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.digits = Digits()
        self.legality = Legality(partition, self.digits)
        self._heap: list[tuple[int, int, Group, Group]] = []
        self._serial = count()
        self._failed: dict[tuple[int, int, int, int], str] = {}

    # ------------------------------------------------------------------------------------- producer and consumer

    def merge_neighbours(self) -> None:
        """Merges groups with the groups that read their values, until no legal merge saves a byte."""
        for group in self.partition.groups:
            for other in sorted(group.following, key=lambda neighbour: neighbour.rank):
                self._push(group, other)
        while self._heap:
            negative_gain, _, first, second = heapq.heappop(self._heap)
            if not first.members or not second.members or self._is_known_to_fail(first, second):
                continue
            gain = self.bytes_saved(first, second)
            if gain < -negative_gain:
                if gain > 0:
                    heapq.heappush(self._heap, (-gain, next(self._serial), first, second))
                continue
            pairs = self.try_merge(first, second)
            if isinstance(pairs, Refusal):
                self._failed[_key(first, second)] = pairs.reason
                continue
            self.merge(first, second, pairs)
            self._push_pairs(first)

    def _is_known_to_fail(self, first: Group, second: Group) -> bool:
        return _key(first, second) in self._failed

    def _push_pairs(self, group: Group) -> None:
        """All pairs of the group with a neighbour (in the order of ranks, so that schedules are reproducible)."""
        for other in sorted(group.following, key=lambda neighbour: neighbour.rank):
            self._push(group, other)
        for other in sorted(group.preceding, key=lambda neighbour: neighbour.rank):
            self._push(other, group)

    def _push(self, first: Group, second: Group) -> None:
        if not self._is_known_to_fail(first, second):
            gain = self.bytes_saved(first, second)
            if gain > 0:
                heapq.heappush(self._heap, (-gain, next(self._serial), first, second))

    def bytes_saved(self, first: Group, second: Group) -> int:
        """Loads and stores that one kernel would not do; ``second`` may read from ``first``, not the other way."""
        partition = self.partition
        outside, read = partition.values_read(first), partition.values_read(second)
        common: Iterable[Node] = read
        if len(read) > len(first.members) + len(outside):  # a long chain grows by one small group after the other
            common = [value for member in first.members for value in member.values if value in read]
            common += [value for value in outside if value in read]
        saved = 0
        for value in common:
            producer = partition.producers.get(value)
            if producer is not None and producer in first.members:
                saved += bytes_of(value)
                if not producer.required and all(
                        partition.group_of[reader] in (first, second) for reader in partition.readers[value]):
                    saved += bytes_of(value)
            elif value in outside and (producer is None or producer not in second.members):
                saved += bytes_of(value)
        return saved

    def try_merge(self, first: Group, second: Group) -> Pairs | Refusal:
        """The loops that one kernel of both would share, or why there is none."""
        alone = next((group for group in (first, second) if group.stands_alone), None)
        if alone is not None:
            return Refusal(f"a {next(iter(alone.members)).kind.value} is a kernel of its own")
        pairs = align(self.partition, self.digits, first, second)
        if isinstance(pairs, Refusal):
            return pairs
        refusal = self.legality.refuse(first, second, pairs)
        if refusal is not None:
            return refusal
        if not pairs and any(self._stays_stored(member, first, second) for member in first.members):
            return Refusal("other kernels read it too, and no loop would be shared")
        if self.partition.has_path(first, second):
            return Refusal("another kernel stands between the two")
        return pairs

    def _stays_stored(self, member: Computation, first: Group, second: Group) -> bool:
        readers = self.partition.readers.get(member.node, ())
        return any(self.partition.group_of[reader] not in (first, second) for reader in readers)

    def merge(self, first: Group, second: Group, pairs: Pairs) -> None:
        """Makes the two one group under the loops ``pairs``; ``first`` becomes it."""
        names = {other: loop for loop, other in pairs.items()}
        for member in first.members:
            first.axis_loops[member] = {axis: loop for axis, loop in first.axis_loops[member].items() if loop in pairs}
        for member in second.members:
            first.axis_loops[member] = {axis: names[loop] for axis, loop in second.axis_loops[member].items()
                                        if loop in names}
        first.loops = {loop: axis for loop, axis in first.loops.items() if loop in pairs}
        for member, loops in second.accumulators.items():
            first.accumulators[member] = frozenset(names[loop] for loop in loops)
        self.partition.join(first, second)

    def reason(self, first: Group, second: Group) -> str:
        """Why ``second``, which reads from ``first``, is not one kernel with it."""
        key = _key(first, second)
        if key not in self._failed:
            pairs = self.try_merge(first, second)
            self._failed[key] = pairs.reason if isinstance(pairs, Refusal) else "merging saves no byte"
        return self._failed[key]

    # --------------------------------------------------------------------------------------------------- siblings

    def merge_siblings(self) -> None:
        """Merges groups that read the same values in the same loops, where neither waits for the other."""
        readers: defaultdict[Node, list[Group]] = defaultdict(list)
        for group in self.partition.groups:
            if not group.has_contraction and not group.stands_alone:
                for value in self.partition.values_read(group):
                    readers[value].append(group)
        by_size = sorted(readers.items(), key=lambda item: -bytes_of(item[0]))
        for value, groups in by_size:
            alive = list(dict.fromkeys(groups))[:_MOST_SIBLINGS]
            if len(alive) > 1 and bytes_of(value) > self.partition.limits.tiny:
                self._merge_among(alive)

    def _merge_among(self, groups: list[Group]) -> None:
        kept: list[Group] = []
        for group in groups:
            if not group.members or group in kept:
                continue
            if not any(self._merge_sibling(other, group) for other in kept):
                kept.append(group)

    def _merge_sibling(self, first: Group, second: Group) -> bool:
        if first is second or not first.members or self._is_known_to_fail(first, second):
            return False
        outside = self.partition.values_read(first)
        shared = [value for value in self.partition.values_read(second) if value in outside]
        pairs = align_siblings(self.partition, first, second, shared)
        refusal = pairs if isinstance(pairs, Refusal) else self.legality.refuse(first, second, pairs)
        if isinstance(pairs, Refusal) or refusal is not None or self.partition.is_joined(first, second):
            self._failed[_key(first, second)] = refusal.reason if refusal is not None else "one waits for the other"
            return False
        self.merge(first, second, pairs)
        return True


def _key(first: Group, second: Group) -> tuple[int, int, int, int]:
    """Two groups as they are now: changed groups are tried again."""
    return first.serial, first.version, second.serial, second.version
