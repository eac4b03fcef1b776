"""Groups of computations that become one kernel, and the partition of a graph into them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from codegen.index import Axis
from codegen.schedule.computation import KINDS_ALONE, Computation, Kind, producers_of
from codegen.schedule.cost import Limits, bytes_of
from ir.node import Node

_serial = count()


@dataclass(eq=False)
class Group:
    """Computations under shared outer loops.

    loops: the shared outer loops, by number; ``axis_loops`` says which axis of which member runs along which.
    following, preceding: the groups that must run after and before this one.
    writers: the members that write into the storage of another value or of a buffer.
    accumulators: the members that reduce over some of these loops, with those loops: complete only after them.
    rank: the place in an order of all groups in which whatever reads comes after what it reads.
    """

    members: dict[Computation, None]
    loops: dict[int, Axis]
    axis_loops: dict[Computation, dict[Axis, int]]
    rank: int
    accumulators: dict[Computation, frozenset[int]] = field(default_factory=dict)
    following: set[Group] = field(default_factory=set)
    preceding: set[Group] = field(default_factory=set)
    writers: list[Computation] = field(default_factory=list)
    version: int = 0
    reads: tuple[int, dict[Node, None]] | None = None
    operations: int = 0
    serial: int = field(default_factory=lambda: next(_serial))

    @staticmethod
    def of(computation: Computation) -> Group:
        """A computation alone: all its unreduced axes are shared outer loops."""
        numbers = {axis: next(_serial) for axis in computation.outer}
        if computation.kind in KINDS_ALONE:
            numbers = {}
        loops = {number: axis for axis, number in numbers.items()}
        return Group({computation: None}, loops, {computation: numbers}, computation.number,
                     writers=[computation] if computation.owner is not None else [],
                     operations=computation.operations)

    @property
    def stands_alone(self) -> bool:
        """Whether the group is a computation that shares its kernel with no other."""
        return next(iter(self.members)).kind in KINDS_ALONE

    @property
    def has_contraction(self) -> bool:
        return any(member.contraction is not None for member in self.members)

    @property
    def streams(self) -> bool:
        """Whether a contraction of the group makes long rows, of which it holds a tile at a time."""
        return any(member.contraction is not None and member.row is not None for member in self.members)

    @property
    def stages(self) -> set[int]:
        """The stages of the long rows that the group holds (``streaming``)."""
        return {member.stage for member in self.members if member.row is not None and member.row.along}

    @property
    def has_row_reduction(self) -> bool:
        """Whether a member reduces, not as a contraction, within an iteration of the shared loops."""
        return any(member.kind is Kind.REDUCTION and member.contraction is None and member not in self.accumulators
                   for member in self.members)

    @property
    def parallel(self) -> int:
        """How many iterations the shared loops have."""
        total = 1
        for axis in self.loops.values():
            total *= axis.extent
        return total


class Partition:
    """Every computation in one group; the groups keep an order in which they can run (``Group.rank``)."""

    def __init__(self, order: Sequence[Computation], limits: Limits) -> None:
        self.limits = limits
        self.computations = list(order)
        self.producers = producers_of(order)
        self.group_of: dict[Computation, Group] = {computation: Group.of(computation) for computation in order}
        self.readers: defaultdict[Node, list[Computation]] = defaultdict(list)
        self.successors: defaultdict[Computation, list[Computation]] = defaultdict(list)
        self._order: list[Group | None] = [self.group_of[computation] for computation in order]
        for computation in order:
            for value in {access.value: None for access in computation.accesses}:
                self.readers[value].append(computation)
            for earlier in computation.after:
                self.successors[earlier].append(computation)
        for group in self.group_of.values():
            group.following, group.preceding = self._edges(group)
        self._touched: dict[Group, None] = {}
        self._changes = 0  # of edges and ranks
        self._latest: tuple[tuple[Group, Group, int], tuple[bool, set[Group]] | None] | None = None  # search

    @property
    def groups(self) -> list[Group]:
        """The groups, in an order in which they can run."""
        return [group for group in self._order if group is not None]

    def refresh(self, group: Group) -> None:
        """Finds the edges of a group anew, after its members or what they read have changed."""
        self._changes += 1
        following, preceding = self._edges(group)
        for other in group.following - following:
            other.preceding.discard(group)
        for other in following - group.following:
            other.preceding.add(group)
        for other in group.preceding - preceding:
            other.following.discard(group)
        for other in preceding - group.preceding:
            other.following.add(group)
        group.following, group.preceding = following, preceding
        group.version += 1

    def touch(self, group: Group) -> None:
        """Notes that the members of a group, or what they read, have changed; ``settle`` finds its edges anew."""
        group.version += 1
        self._touched[group] = None

    def settle(self) -> None:
        """Refreshes every group that was touched."""
        for group in self._touched:
            self.refresh(group)
        self._touched.clear()

    def _edges(self, group: Group) -> tuple[set[Group], set[Group]]:
        """The groups that must run after ``group`` (they read from it or overwrite what it reads), and before it."""
        following: set[Group] = set()
        preceding: set[Group] = set()
        group_of = self.group_of
        for member in group.members:
            for value in member.values:
                following.update([group_of[reader] for reader in self.readers.get(value, ())])
            following.update([group_of[later] for later in self.successors.get(member, ())])
            producers = (self.producers.get(access.value) for access in member.accesses)
            preceding.update([group_of[producer] for producer in producers if producer is not None])
            preceding.update([group_of[earlier] for earlier in member.after])
        following.discard(group)
        preceding.discard(group)
        return following, preceding

    def is_stored(self, computation: Computation) -> bool:
        """Whether the value must be in memory: it is asked for, or another group reads it."""
        if computation.required:
            return True
        group = self.group_of[computation]
        return any(self.group_of[reader] is not group for reader in self.readers.get(computation.node, ()))

    def _between(self, start: Group, end: Group) -> tuple[bool, set[Group]] | None:
        """None where a path through another group leads from ``start`` to ``end``; else (True, the groups before
        ``end`` that ``start`` leads to) or (False, those behind ``start`` that lead to ``end``).

        Both are searched in turn, nearest groups first, until they meet or the smaller one is complete.
        """
        key = start, end, self._changes
        if self._latest is not None and self._latest[0] == key:
            return self._latest[1]
        self._latest = key, self._searched(start, end)
        return self._latest[1]

    @staticmethod
    def _searched(start: Group, end: Group) -> tuple[bool, set[Group]] | None:
        forward: set[Group] = set()
        backward: set[Group] = set()
        ahead, behind = deque([start]), deque([end])
        while ahead and behind:
            current = ahead.popleft()
            for group in current.following:
                if group in backward or (group is end and current is not start):
                    return None
                if group.rank < end.rank and group not in forward:
                    forward.add(group)
                    ahead.append(group)
            current = behind.popleft()
            for group in current.preceding:
                if group in forward or (group is start and current is not end):
                    return None
                if group.rank > start.rank and group not in backward:
                    backward.add(group)
                    behind.append(group)
        return (True, forward) if not ahead else (False, backward)

    def has_path(self, first: Group, second: Group) -> bool:
        """Whether a path through another group joins the two: as one kernel they would wait for themselves."""
        start, end = (first, second) if first.rank < second.rank else (second, first)
        return self._between(start, end) is None

    def is_joined(self, first: Group, second: Group) -> bool:
        """Whether any path leads from one to the other."""
        start, end = (first, second) if first.rank < second.rank else (second, first)
        return end in start.following or self.has_path(start, end)

    def join(self, kept: Group, absorbed: Group) -> None:
        """Moves the members of ``absorbed`` to ``kept``; no path may lead between them. Loops are up to the caller.

        What depends on the earlier of the two moves behind the later one, everything else between them in front.
        """
        start, end = (kept, absorbed) if kept.rank < absorbed.rank else (absorbed, kept)
        self._order[start.rank] = self._order[end.rank] = None
        found = self._between(start, end)
        assert found is not None, "a path leads between groups that are joined"
        is_forward, between = found
        self._changes += 1
        if not between:
            kept.rank = end.rank if is_forward else start.rank
        else:
            self._reorder(kept, start.rank, end.rank, is_forward, between)
        self._order[kept.rank] = kept
        for member in absorbed.members:
            kept.members[member] = None
            self.group_of[member] = kept
        self._redirect(kept, absorbed)
        kept.writers += absorbed.writers
        kept.operations += absorbed.operations
        kept.version += 1
        absorbed.members = {}

    @staticmethod
    def _redirect(kept: Group, absorbed: Group) -> None:
        """All edges of ``absorbed`` become edges of ``kept``."""
        for other in absorbed.following:
            other.preceding.discard(absorbed)
            other.preceding.add(kept)
        for other in absorbed.preceding:
            other.following.discard(absorbed)
            other.following.add(kept)
        kept.following = (kept.following | absorbed.following) - {kept, absorbed}
        kept.preceding = (kept.preceding | absorbed.preceding) - {kept, absorbed}

    def _reorder(self, kept: Group, first: int, last: int, is_forward: bool, between: set[Group]) -> None:
        """Places ``kept`` between what must run before it and what must after, in ranks ``first`` to ``last``."""
        affected = [group for group in self._order[first:last + 1] if group is not None]
        before = [group for group in affected if (group in between) is not is_forward]
        after = [group for group in affected if (group in between) is is_forward]
        self._order[first:last + 1] = [None] * (last + 1 - first)
        for rank, group in enumerate([*before, kept, *after], first):
            group.rank = rank
            self._order[rank] = group

    def split(self, member: Computation) -> Group:
        """Takes a member that neither reads its group nor is read in it out into a group of its own."""
        group = self.group_of[member]
        alone = Group.of(member)
        del group.members[member], group.axis_loops[member]
        group.accumulators.pop(member, None)
        group.operations -= member.operations
        group.writers = [writer for writer in group.writers if writer is not member]
        self.group_of[member] = alone
        reads_group = any(self.producers.get(access.value) in group.members for access in member.accesses)
        self._order.insert(group.rank + 1 if reads_group else group.rank, alone)
        self._renumber(group.rank)
        self.refresh(group)
        self.refresh(alone)
        return alone

    def remove(self, member: Computation) -> None:
        """Forgets a computation that nobody reads any more."""
        group = self.group_of.pop(member)
        del group.members[member], group.axis_loops[member]
        group.operations -= member.operations
        for value in {access.value: None for access in member.accesses}:
            self.readers[value].remove(member)
        for later in self.successors.pop(member, ()):
            later.after.remove(member)
        for earlier in member.after:
            self.successors[earlier].remove(member)
        self.touch(group)
        if not group.members:
            self._order[group.rank] = None

    def _renumber(self, start: int) -> None:
        for rank, group in enumerate(self._order[start:], start):
            if group is not None:
                group.rank = rank

    def values_read(self, group: Group) -> dict[Node, None]:
        """The values that the group reads from memory (cached for the group's version)."""
        if group.reads is None or group.reads[0] != group.version:
            found = dict.fromkeys(access.value for member in group.members for access in member.accesses)
            for member in group.members:
                for value in member.values:
                    found.pop(value, None)
            group.reads = group.version, found
        return group.reads[1]

    def bytes_moved(self, group: Group) -> int:
        """Distinct values read, plus values stored."""
        read = sum(map(bytes_of, self.values_read(group)))
        return read + sum(member.nbytes for member in group.members if self.is_stored(member))


