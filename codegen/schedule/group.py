"""Groups of computations that become one kernel, and the partition of a graph into them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from codegen.index import Axis
from codegen.schedule.computation import Computation, Kind, producers_of
from codegen.schedule.cost import Limits, bytes_of
from ir.node import Node

_serial = count()


@dataclass(eq=False)
class Group:
    """Computations under shared outer loops.

    loops: the shared outer loops, by number; ``axis_loops`` says which axis of which member runs along which.
    writers: the members that overwrite a version of a buffer.
    accumulators: the members that reduce over some of these loops, with those loops: complete only after them.
    rank: the place in an order of all groups in which whatever reads comes after what it reads.
    """

    members: dict[Computation, None]
    loops: dict[int, Axis]
    axis_loops: dict[Computation, dict[Axis, int]]
    rank: int
    accumulators: dict[Computation, frozenset[int]] = field(default_factory=dict)
    writers: list[Computation] = field(default_factory=list)
    version: int = 0
    reads: tuple[int, dict[Node, None]] | None = None
    operations: int = 0
    serial: int = field(default_factory=lambda: next(_serial))

    @staticmethod
    def of(computation: Computation) -> Group:
        """A computation alone: all its unreduced axes are shared outer loops."""
        numbers = {axis: next(_serial) for axis in computation.outer}
        if computation.kind in (Kind.SCATTER, Kind.SCAN):
            numbers = {}
        loops = {number: axis for axis, number in numbers.items()}
        return Group({computation: None}, loops, {computation: numbers}, computation.number,
                     writers=[computation] if computation.overwrites is not None else [],
                     operations=computation.operations)

    @property
    def has_contraction(self) -> bool:
        return any(member.contraction is not None for member in self.members)

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
        self._order = [self.group_of[computation] for computation in order]
        for computation in order:
            for value in {access.value: None for access in computation.accesses}:
                self.readers[value].append(computation)
            for earlier in computation.after:
                self.successors[earlier].append(computation)

    @property
    def groups(self) -> list[Group]:
        """The groups, in an order in which they can run."""
        return list(self._order)

    def following(self, group: Group) -> Iterator[Group]:
        """The groups that must run after ``group`` because they read from it or overwrite what it reads."""
        seen = {group.serial}
        for member in group.members:
            for later in self.later(member):
                other = self.group_of[later]
                if other.serial not in seen:
                    seen.add(other.serial)
                    yield other

    def later(self, computation: Computation) -> Iterator[Computation]:
        """The computations that must run after this one."""
        for value in computation.values:
            yield from self.readers.get(value, ())
        yield from self.successors.get(computation, ())

    def is_stored(self, computation: Computation) -> bool:
        """Whether the value must be in memory: it is asked for, or another group reads it."""
        if computation.required:
            return True
        group = self.group_of[computation]
        return any(self.group_of[reader] is not group for reader in self.readers.get(computation.node, ()))

    def _between(self, start: Group, end: Group) -> set[Group]:
        """The groups before ``end`` that ``start`` leads to."""
        found: set[Group] = set()
        pending = [start]
        while pending:
            for following in self.following(pending.pop()):
                if following.rank < end.rank and following not in found:
                    found.add(following)
                    pending.append(following)
        return found

    def has_path(self, first: Group, second: Group) -> bool:
        """Whether a path through another group joins the two: as one kernel they would wait for themselves."""
        start, end = (first, second) if first.rank < second.rank else (second, first)
        return any(following is end for group in self._between(start, end) for following in self.following(group))

    def is_joined(self, first: Group, second: Group) -> bool:
        """Whether any path leads from one to the other."""
        start, end = (first, second) if first.rank < second.rank else (second, first)
        return end in self.following(start) or self.has_path(start, end)

    def join(self, kept: Group, absorbed: Group) -> None:
        """Moves the members of ``absorbed`` to ``kept``; there must be no path between them. Loops are up to the caller.

        What depends on the earlier of the two moves behind the later one, everything else between them in front.
        """
        start, end = (kept, absorbed) if kept.rank < absorbed.rank else (absorbed, kept)
        later = self._between(start, end)
        affected = self._order[start.rank:end.rank + 1]
        rest = [group for group in affected if group not in later and group is not start and group is not end]
        self._order[start.rank:end.rank + 1] = [*rest, kept, *(group for group in affected if group in later)]
        self._renumber(start.rank)
        for member in absorbed.members:
            kept.members[member] = None
            self.group_of[member] = kept
        kept.writers += absorbed.writers
        kept.operations += absorbed.operations
        kept.version += 1
        absorbed.members = {}

    def split(self, member: Computation) -> Group:
        """Takes a member that neither reads its group nor is read in it out into a group of its own."""
        group = self.group_of[member]
        alone = Group.of(member)
        del group.members[member], group.axis_loops[member]
        group.accumulators.pop(member, None)
        group.operations -= member.operations
        group.version += 1
        self.group_of[member] = alone
        reads_group = any(self.producers.get(access.value) in group.members for access in member.accesses)
        self._order.insert(group.rank + 1 if reads_group else group.rank, alone)
        self._renumber(group.rank)
        return alone

    def remove(self, member: Computation) -> None:
        """Forgets a computation that nobody reads any more."""
        group = self.group_of.pop(member)
        del group.members[member], group.axis_loops[member]
        group.operations -= member.operations
        group.version += 1
        for value in {access.value: None for access in member.accesses}:
            self.readers[value].remove(member)
        if not group.members:
            self._order.remove(group)
            self._renumber(0)

    def _renumber(self, start: int) -> None:
        for rank in range(start, len(self._order)):
            self._order[rank].rank = rank

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


