"""The order in which kernels run: among those that are ready, the one that needs the least memory.

A kernel allocates what it stores and frees what it is the last to read. So a weight's gradient and update run as soon
as the activations they read are at hand, and what only the end of the program needs is not computed at its start.
"""

from __future__ import annotations

import heapq

from codegen.schedule.cost import bytes_of
from codegen.schedule.group import Group, Partition
from ir.node import Node


def memory_order(partition: Partition) -> list[Group]:
    """All groups, in an order in which they can run, greedily by the growth of memory; ties stay in rank order."""
    return _sources_late(_Sequence(partition).order)


def _sources_late(order: list[Group]) -> list[Group]:
    """What waits for nothing (zeros that a scatter adds to) runs right before the first group that waits for it."""
    places = {group: float(place) for place, group in enumerate(order)}
    for group in order:
        if not group.preceding and group.following:
            places[group] = min(places[following] for following in group.following) - 0.5
    return sorted(order, key=places.__getitem__)


class _Sequence:
    """The state of the greedy choice."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._waiting_readers: dict[Node, set[Group]] = {}
        self._growth: dict[Group, int] = {}
        self._ready: list[tuple[int, int, Group]] = []
        self.order: list[Group] = []
        groups = partition.groups
        for group in groups:
            self._take_up(group)
        for value, readers in self._waiting_readers.items():
            if len(readers) == 1:
                self._growth[next(iter(readers))] -= bytes_of(value)
        missing = {group: len(group.preceding) for group in groups}
        for group in groups:
            if not missing[group]:
                self._push(group)
        done: set[Group] = set()
        while self._ready:
            growth, _, group = heapq.heappop(self._ready)
            if group in done or growth != self._growth[group]:
                continue
            done.add(group)
            self.order.append(group)
            for value in partition.values_read(group):
                self._finish_reading(group, value, missing, done)
            for following in group.following:
                missing[following] -= 1
                if not missing[following]:
                    self._push(following)

    def _take_up(self, group: Group) -> None:
        """Counts what the group stores, and that it will read."""
        stored = (member for member in group.members if member.owner is None and self._partition.is_stored(member))
        self._growth[group] = sum(bytes_of(value) for member in stored for value in member.values)
        for value in self._partition.values_read(group):
            if self._is_temporary(value):
                self._waiting_readers.setdefault(value, set()).add(group)

    def _is_temporary(self, value: Node) -> bool:
        """Whether the memory of a value is free once it has been read for the last time."""
        producer = self._partition.producers.get(value)
        return producer is not None and not producer.required

    def _finish_reading(self, group: Group, value: Node, missing: dict[Group, int], done: set[Group]) -> None:
        waiting = self._waiting_readers.get(value)
        if waiting is None:
            return
        waiting.discard(group)
        if len(waiting) == 1:
            (last,) = waiting
            self._growth[last] -= bytes_of(value)
            if not missing[last] and last not in done:
                self._push(last)

    def _push(self, group: Group) -> None:
        heapq.heappush(self._ready, (self._growth[group], group.rank, group))
